"""The run folder as a whole: who works in it, what is done, what is left to do."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError, RunLockedError
from clar_sweeps.records import State
from clar_sweeps.sweep import Sweep, plan_from_json, plan_to_json

PLAN = "plan.json"
OWNER = "run.json"

# Ended, but not with a result: taken up again on request only.
UNSUCCESSFUL: tuple[State, ...] = ("failed", "diverged")


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

    Raises:
        RecordError: A record cannot be read.
    """
    everything = (*sweep.baselines, *sweep.trials)
    states = {trial.id: records.state_of(run, trial) for trial in everything}
    unsuccessful = tuple(trial for trial in everything if states[trial.id] in UNSUCCESSFUL)
    finished = ("done",) if retry_failed else ("done", *UNSUCCESSFUL)
    return Work(
        states=states,
        to_run=tuple(trial for trial in everything if states[trial.id] not in finished),
        waiting=() if retry_failed else unsuccessful,
    )


@contextmanager
def opened(run: Path, sweep: Sweep) -> Iterator[None]:
    """Hold the run folder for one process, and leave the plan in it.

    Raises:
        RunLockedError: Another process holds it.
        RecordError: A file is in its place.
        OSError: The folder cannot be written.
    """
    if run.exists() and not run.is_dir():
        raise RecordError(f"{run}: is a file, not a run folder; give another --run-dir")
    with records.locked(run, timeout_seconds=0.0) as acquired:
        if not acquired:
            raise RunLockedError(f"{run}: {_owner(run)} works in it; wait for it or stop it")
        owner = {"host": socket.gethostname(), "pid": os.getpid()}
        records.write_json(run / OWNER, owner)
        try:
            records.write_json(run / PLAN, plan_to_json(sweep))
            yield
        finally:
            (run / OWNER).unlink(missing_ok=True)


def _owner(run: Path) -> str:
    try:
        owner = records.read_json(run / OWNER)
    except RecordError:  # it has just taken the lock, or is just giving it back
        return "another process"
    return f"process {owner.get('pid')} on {owner.get('host')}"


def read_plan(run: Path) -> Sweep:
    """The sweep as the run folder keeps it.

    Raises:
        RecordError: Not a run folder, or its plan cannot be read.
    """
    if not (run / PLAN).exists():
        raise RecordError(f"{run}: is not a run folder (it has no {PLAN}); check the path")
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
