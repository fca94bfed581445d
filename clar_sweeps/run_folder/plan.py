"""The plan that a run folder keeps, against its records: what is done, what is left to do."""

from pathlib import Path
from typing import NamedTuple

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError
from clar_sweeps.records import State
from clar_sweeps.sweep import Sweep, plan_from_json

PLAN = "plan.json"

# Ended, but not with a result: taken up again on request only.
_UNSUCCESSFUL: tuple[State, ...] = ("failed", "diverged")


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
    states = {trial.id: state_of(run, trial) for trial in everything}
    unsuccessful = tuple(trial for trial in everything if states[trial.id] in _UNSUCCESSFUL)
    finished = ("done",) if retry_failed else ("done", *_UNSUCCESSFUL)
    return Work(
        states=states,
        to_run=tuple(trial for trial in everything if states[trial.id] not in finished),
        waiting=() if retry_failed else unsuccessful,
    )


def state_of(run: Path, trial: Trial) -> State:
    """The state of a trial; one whose summary cannot be read counts as failed."""
    try:
        return records.state_of(run, trial)
    except RecordError:
        return "failed"
