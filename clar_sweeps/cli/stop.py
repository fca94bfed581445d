"""The command that ends a run, or some of its trials, at the next epoch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from clar_sweeps import records
from clar_sweeps.cli.entry import app, command
from clar_sweeps.cli.options import find_trial
from clar_sweeps.config import Trial
from clar_sweeps.sweep import Sweep
from clar_sweeps.tuning import run_folder


@command(app, "stop")
def stop_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    trials: Annotated[
        list[str] | None,
        typer.Argument(metavar="TRIAL", help="Names or ids; the whole run if none."),
    ] = None,
) -> int:
    """End a run, or some of its trials, after the epochs under way, with a checkpoint."""
    sweep = run_folder.read_plan(run)
    chosen = [find_trial(sweep, name, option="TRIAL") for name in trials or ()]
    if not run_folder.is_driven(run) and not _trained_alone(sweep, run):
        print(f"{run}: no process works in it; nothing to stop")
    elif chosen:
        _stop_trials(run, chosen)
    else:
        _stop_run(run)
    return 0


def _trained_alone(sweep: Sweep, run: Path) -> bool:
    """Whether `clar-sweep train` works in the run folder, which it does not hold."""
    folders = [records.trial_folder(run, trial) for trial in (*sweep.baselines, *sweep.trials)]
    return any(run_folder.is_driven(folder) for folder in folders if records.read_live(folder))


def _stop_run(run: Path) -> None:
    records.request_stop(run)
    driver = records.read_driver(run)
    if driver is None:
        print(f"{run}: asked to stop; what is in training ends its epoch and keeps a checkpoint")
        return
    print(
        f"{run}: asked process {driver.pid} on {driver.host} to stop; in training: "
        f"{len(driver.running)} (each ends its epoch and keeps a checkpoint), to be started: "
        f"{driver.waiting} (left for the next run)"
    )


def _stop_trials(run: Path, trials: Sequence[Trial]) -> None:
    for trial in trials:
        state = records.state_of(run, trial)
        if state not in ("missing", "unfinished"):
            print(f"{trial.name}: is {state}; nothing to stop")
            continue
        folder = records.trial_folder(run, trial)
        folder.mkdir(parents=True, exist_ok=True)
        records.request_stop(folder)
        if records.read_live(folder):
            print(f"{trial.name}: ends its epoch, keeps a checkpoint and stops")
        else:
            print(f"{trial.name}: will not be started in this run")
