"""The command that ends a run, or some of its trials, at the next epoch."""

import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from clar_sweeps import records, run_folder
from clar_sweeps.cli.entry import app, command
from clar_sweeps.cli.options import find_trial
from clar_sweeps.config import Trial
from clar_sweeps.sweep import Sweep
from clar_sweeps.watching.wording import plain

# A trial that evaluates tells nothing for minutes; a request too many is withdrawn by the next run.
_FRESH_SECONDS = 600.0


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
    run_folder.refuse_links(run)
    if not _is_driven(run) and not _trained_alone(sweep, run):
        print(f"{plain(run)}: no process works in it; nothing to stop")
    elif chosen:
        _stop_trials(run, chosen)
    else:
        _stop_run(run)
    return 0


def _trained_alone(sweep: Sweep, run: Path) -> bool:
    """Whether `clar-sweep train` works in the run folder, which it does not hold."""
    folders = [records.trial_folder(run, trial) for trial in (*sweep.baselines, *sweep.trials)]
    signs = [(folder, records.read_live(folder)) for folder in folders]
    return any(
        _is_fresh_elsewhere(sign.host, sign.at) or run_folder.is_driven(folder)
        for folder, sign in signs
        if sign is not None
    )


def _is_driven(run: Path) -> bool:
    driver = records.read_driver(run)
    elsewhere = driver is not None and _is_fresh_elsewhere(driver.host, driver.at)
    return elsewhere or run_folder.is_driven(run)


def _is_fresh_elsewhere(host: str, at: float) -> bool:
    """Whether another machine has told of itself: some shared disks keep no lock between two."""
    return host != socket.gethostname() and abs(time.time() - at) < _FRESH_SECONDS


def _stop_run(run: Path) -> None:
    records.request_stop(run)
    driver, name = records.read_driver(run), plain(run)
    if driver is None:
        print(f"{name}: asked to stop; what is in training ends its epoch and keeps a checkpoint")
        return
    print(
        f"{name}: asked process {driver.pid} on {plain(driver.host)} to stop; in training: "
        f"{len(driver.running)} (each ends its epoch and keeps a checkpoint), to be started: "
        f"{driver.waiting} (left for the next run)"
    )


def _stop_trials(run: Path, trials: Sequence[Trial]) -> None:
    for trial in trials:
        state = records.state_of(run, trial)
        if state not in ("missing", "unfinished"):
            print(f"{plain(trial.name)}: is {state}; nothing to stop")
            continue
        folder = records.trial_folder(run, trial)
        folder.mkdir(parents=True, exist_ok=True)
        records.request_stop(folder)
        if records.read_live(folder):
            print(f"{plain(trial.name)}: ends its epoch, keeps a checkpoint and stops")
        else:
            print(f"{plain(trial.name)}: will not be started in this run")
