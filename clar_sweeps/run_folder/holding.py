"""Who works in a run folder: one process at a time, which leaves the plan in it."""

import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clar_sweeps import records
from clar_sweeps.config import Trial, identity
from clar_sweeps.errors import RecordError, RunLockedError
from clar_sweeps.run_folder.plan import PLAN, read_plan, state_of
from clar_sweeps.run_folder.presence import SECONDS_BETWEEN, Presence
from clar_sweeps.sweep import Sweep, plan_to_json

# What a run that was killed early may have left without a plan.
_OURS = {
    "run.json",
    "stop.json",
    "run.log",
    "ray.log",
    "trials",
    "untrained",
    "report",
    records.COST,  # of `plan --calibrate`
}

# How the names of folders begin that `plan --calibrate` writes to.
SCRATCH = ".calibration-"

# `status` and `stop` hold the lock for an instant when they ask whether a process works here.
_LOCK_TIMEOUT_SECONDS = 1.0


@contextmanager
def opened(run: Path, sweep: Sweep) -> Iterator[Presence]:
    """Hold the run folder for one process, tell that it does, and leave the plan in it.

    Raises:
        RunLockedError: Another process holds it.
        RecordError: A file, another sweep, or something else is in its place.
        OSError: The folder cannot be written.
    """
    with held(run), Presence(run) as presence:
        records.write_json(run / PLAN, plan_to_json(_with_earlier_seeds(sweep, run)))
        yield presence


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Hold the run folder for one process, rid of what killed ones have left.

    Raises:
        RunLockedError: Another process holds it.
        RecordError: A file, or something else, is in its place.
        OSError: The folder cannot be written.
    """
    _refuse_other_folder(run)
    with records.locked(run, timeout_seconds=_LOCK_TIMEOUT_SECONDS) as acquired:
        if not acquired or _lives_elsewhere(run):
            raise RunLockedError(
                f"{run}: {_owner(run)} works in it; wait for it, or end it by "
                f"'clar-sweep stop {run}'"
            )
        records.remove_leftovers(run)
        for scratch in run.glob(f"{SCRATCH}*"):
            shutil.rmtree(scratch, ignore_errors=True)
        yield


def _refuse_other_folder(run: Path) -> None:
    """Make sure that a folder is of a run, or empty, or absent.

    Raises:
        RecordError: A file, or something else, is in its place.
    """
    if run.exists() and not run.is_dir():
        raise RecordError(f"{run}: is a file, not a run folder; give another --run-dir")
    strangers = {path.name for path in run.glob("[!.]*")} - _OURS
    if strangers and not (run / PLAN).exists():
        raise RecordError(
            f"{run.absolute()}: is no run folder and not empty; give another --run-dir"
        )


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


def _owner(run: Path) -> str:
    driver = records.read_driver(run)
    if driver is None:  # it has just taken the lock, or is just giving it back
        return "another process"
    return f"process {driver.pid} on {driver.host}"


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
    began = [trial for trial in before.trials if state_of(run, trial) != "missing"]
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
