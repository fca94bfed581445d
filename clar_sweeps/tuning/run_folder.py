"""The run folder as a whole: who works in it, what is done, what is left to do."""

import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from clar_sweeps import records
from clar_sweeps.config import Trial, identity
from clar_sweeps.errors import RecordError, RunLockedError
from clar_sweeps.records import State
from clar_sweeps.sweep import Sweep, plan_from_json, plan_to_json
from clar_sweeps.tuning.presence import SECONDS_BETWEEN, Presence

PLAN = "plan.json"
# What a run that was killed early may have left without a plan.
_OURS = {"run.json", "stop.json", "run.log", "ray.log", "trials", "untrained", "report"}

# Ended, but not with a result: taken up again on request only.
UNSUCCESSFUL: tuple[State, ...] = ("failed", "diverged")

# `status` and `stop` hold the lock for an instant when they ask whether a process works here.
_LOCK_TIMEOUT_SECONDS = 1.0


class Work(NamedTuple):
    """A plan against its records."""

    states: dict[str, State]  # by id, of trials and baselines
    to_run: tuple[Trial, ...]  # baselines first, then the trials in the order of the plan
    waiting: tuple[Trial, ...]  # failed or diverged earlier; run on request only


def find_work(sweep: Sweep, run: Path, *, retry_failed: bool = False) -> Work:
    """Tell from the records what a run has to do.

    Args:
        sweep: The plan.
        run: The run folder; need not exist.
        retry_failed: Take up failed and diverged trials as well.

    A trial whose summary cannot be read counts as failed: one bad file must not hide the others.
    """
    everything = (*sweep.baselines, *sweep.trials)
    states = {trial.id: _state_of(run, trial) for trial in everything}
    unsuccessful = tuple(trial for trial in everything if states[trial.id] in UNSUCCESSFUL)
    finished = ("done",) if retry_failed else ("done", *UNSUCCESSFUL)
    return Work(
        states=states,
        to_run=tuple(trial for trial in everything if states[trial.id] not in finished),
        waiting=() if retry_failed else unsuccessful,
    )


def _state_of(run: Path, trial: Trial) -> State:
    try:
        return records.state_of(run, trial)
    except RecordError:
        return "failed"


@contextmanager
def opened(run: Path, sweep: Sweep) -> Iterator[Presence]:
    """Hold the run folder for one process, tell that it does, and leave the plan in it.

    Raises:
        RunLockedError: Another process holds it.
        RecordError: A file, another sweep, or something else is in its place.
        OSError: The folder cannot be written.
    """
    if run.exists() and not run.is_dir():
        raise RecordError(f"{run}: is a file, not a run folder; give another --run-dir")
    strangers = {path.name for path in run.glob("[!.]*")} - _OURS
    if strangers and not (run / PLAN).exists():
        raise RecordError(
            f"{run.absolute()}: is no run folder and not empty; give another --run-dir"
        )
    with records.locked(run, timeout_seconds=_LOCK_TIMEOUT_SECONDS) as acquired:
        if not acquired or _lives_elsewhere(run):
            raise RunLockedError(
                f"{run}: {_owner(run)} works in it; wait for it, or end it by "
                f"'clar-sweep stop {run}'"
            )
        records.remove_leftovers(run)
        with Presence(run) as presence:
            records.write_json(run / PLAN, plan_to_json(_with_earlier_seeds(sweep, run)))
            yield presence


def refuse_links(run: Path) -> None:
    """Refuse what lies elsewhere: a stranger's run folder must not have us write or delete there.

    The run folder itself may be reached by a link, and so may be its report.

    Raises:
        RecordError: A link in the run folder leads out of it.
    """
    inside = run.resolve()
    for folder in (run, run / "trials", run / "untrained"):
        for place in folder.iterdir() if folder.is_dir() else ():
            # Not by Path.resolve, which raises where a link leads to itself.
            end = Path(os.path.realpath(place)) if place.is_symlink() else inside
            if not end.is_relative_to(inside) and place != run / "report":
                raise RecordError(f"{place}: is a link out of the run folder; remove it")


def _lives_elsewhere(run: Path) -> bool:
    """Whether another machine gives signs of life: some shared disks keep no lock between two."""
    before = records.read_driver(run)
    if before is None or before.host == socket.gethostname():
        return False
    deadline = time.monotonic() + 2 * SECONDS_BETWEEN
    while time.monotonic() < deadline:
        time.sleep(0.2)
        now = records.read_driver(run)
        if now is None:
            return False
        if now.at != before.at:
            return True
    return False


def is_driven(run: Path) -> bool:
    """Whether a process holds the run folder."""
    with records.locked(run, timeout_seconds=0.0) as acquired:
        return not acquired


def withdraw_stops(run: Path, trials: Iterable[Trial], *, ours: bool) -> None:
    """Forget earlier requests to stop these trials, and the whole run if no other process is in it.

    Args:
        run: The run folder.
        trials: Those about to run.
        ours: This process holds the run folder.
    """
    folders = [records.trial_folder(run, trial) for trial in trials]
    if ours or not is_driven(run):
        folders.append(run)
    records.withdraw_stop(folders)


def _with_earlier_seeds(sweep: Sweep, run: Path) -> Sweep:
    """The plan with the trials of its cells that ran at other seeds.

    Raises:
        RecordError: The folder holds records of a sweep that shares no cell with this one.
    """
    try:
        before = read_plan(run)
    except RecordError:  # there is none, or none that this version reads
        return sweep
    cells = {identity(trial.config.cell()) for trial in sweep.trials}
    began = [trial for trial in before.trials if _state_of(run, trial) != "missing"]
    shared = [trial for trial in began if identity(trial.config.cell()) in cells]
    if began and not shared:
        raise RecordError(
            f"{run}: holds {len(began)} trials of other configs and none of this sweep; "
            "give another --run-dir"
        )
    trials = {trial.id: trial for trial in (*sweep.trials, *shared)}
    baselines = {trial.id: trial for trial in (*sweep.baselines, *_baselines_of(before, shared))}
    return sweep._replace(trials=tuple(trials.values()), baselines=tuple(baselines.values()))


def _baselines_of(sweep: Sweep, trials: list[Trial]) -> list[Trial]:
    untrained = {identity(trial.config.untrained()) for trial in trials}
    return [baseline for baseline in sweep.baselines if baseline.id in untrained]


def _owner(run: Path) -> str:
    driver = records.read_driver(run)
    if driver is None:  # it has just taken the lock, or is just giving it back
        return "another process"
    return f"process {driver.pid} on {driver.host}"


def refuse_other_clips(to_run: Iterable[Trial], run: Path) -> None:
    """Compare the clips of a run's results with those that are prepared now.

    Args:
        to_run: The trials that are to be added; only their datasets are looked at.
        run: The run folder, with the plan of all its trials.

    Raises:
        RecordError: A result is of other clips, so those to come could not be compared with it.
    """
    from clar_sweeps import data  # numpy, which `plan` and `status` do without

    prepared = {
        _clips(trial): data.load(
            trial.config.dataset, condition=trial.config.condition, folder=trial.config.folder
        ).digest
        for trial in {_clips(trial): trial for trial in to_run}.values()
    }
    plan = read_plan(run)
    for trial in (*plan.baselines, *plan.trials):
        if _clips(trial) not in prepared or _state_of(run, trial) != "done":
            continue
        place = records.trial_folder(run, trial) / "summary.json"
        before = records.read_json(place)["provenance"].get("dataset_digest")
        now = prepared[_clips(trial)]
        if before != now:
            raise RecordError(
                f"{place}: trained on other clips of {trial.config.folder or trial.config.dataset} "
                f"(digest {str(before)[:12]}) than are prepared now ({now[:12]}); give another "
                "--run-dir or prepare those of before"
            )


def _clips(trial: Trial) -> tuple[str | None, ...]:
    """What names the clips of a trial."""
    return trial.config.dataset, trial.config.condition, trial.config.folder


def refuse_stranger(run: Path) -> None:
    """Tell a run folder from others before what takes long.

    Raises:
        RecordError: Not a run folder.
    """
    if not (run / PLAN).exists():
        raise RecordError(f"{run}: is not a run folder (it has no {PLAN}); check the path")


def read_plan(run: Path) -> Sweep:
    """The sweep as the run folder keeps it.

    Raises:
        RecordError: Not a run folder, or its plan cannot be read.
    """
    refuse_stranger(run)
    return plan_from_json(records.read_json(run / PLAN), run / PLAN)


def newest_run(runs: Path) -> Path:
    """The run folder whose plan was written last.

    Raises:
        RecordError: There is none.
    """
    plans = sorted(runs.glob(f"*/{PLAN}"), key=lambda path: path.stat().st_mtime)
    if not plans:
        raise RecordError(f"{runs}: holds no run; start one with 'clar-sweep run FILE'")
    return plans[-1].parent
