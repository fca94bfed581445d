"""The command that shows how far a run is, once or again and again."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from clar_sweeps import run_folder
from clar_sweeps.cli.entry import app, command, interrupted_code, stdout_console
from clar_sweeps.cli.options import RUNS, RunArgument
from clar_sweeps.errors import ConfigError
from clar_sweeps.watching import overview
from clar_sweeps.watching.snapshot import Snapshot, to_json
from clar_sweeps.watching.view import Picture, describe_driver, one_line
from clar_sweeps.watching.watcher import Watcher
from clar_sweeps.watching.wording import plain


@command(app, "status")
def status_command(
    run: RunArgument = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Draw it again and again until the run ends.")
    ] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", help="Between two looks of --watch.")
    ] = 1.0,
    trials: Annotated[
        bool, typer.Option("--trials", help="A line each trial in place of the picture.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object in place of the picture.")
    ] = False,
) -> int:
    """Show how far a run is, from its records alone: also from another machine."""
    if watch + trials + as_json > 1:
        raise ConfigError("--watch, --trials, --json: are given together; choose one")
    if not 0.1 <= every <= 3600:
        raise ConfigError(f"--every {every:g}: is not between 0.1 and 3600 seconds; change it")
    folder = run or run_folder.newest_run(RUNS)
    if trials:
        return _show_trials(folder)
    watcher = Watcher(folder)
    if as_json:
        print(json.dumps(to_json(watcher.read())))
        return 0
    console = stdout_console()
    if not watch:
        snapshot = watcher.read()
        console.print(Picture(snapshot, max_lines=_lines_of_terminal(console)))
        _conclude(snapshot)
        return 0
    try:
        snapshot = _watch(watcher, console, every=every)
    except KeyboardInterrupt:  # the usual way to leave; the run itself goes on
        return interrupted_code()
    _conclude(snapshot)
    return 0


def _show_trials(folder: Path) -> int:
    sweep = run_folder.read_plan(folder)
    work = run_folder.find_work(sweep, folder)
    stdout_console().print(overview.status_table(sweep, folder, work.states))
    print(f"{plain(folder)}: {overview.count_states(sweep.trials, work.states)}")
    return 0


def _lines_of_terminal(console: Console) -> int | None:
    """Room above what `_conclude` prints and the prompt."""
    return console.size.height - 3 if console.is_terminal else None


def _conclude(snapshot: Snapshot) -> None:
    print(describe_driver(snapshot))
    counts = overview.describe_counts(snapshot.counts)
    print(f"{plain(snapshot.run)}: {counts}", flush=True)


def _watch(watcher: Watcher, console: Console, *, every: float) -> Snapshot:
    """Show a run until nobody drives it."""
    if not console.is_terminal:
        return _watch_in_lines(watcher, console, every=every)
    snapshot = watcher.read()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while snapshot.is_driven:
            picture = Picture(snapshot, max_lines=_lines_of_terminal(console))
            live.update(
                Group(
                    picture,
                    Text(describe_driver(snapshot), "dim", no_wrap=True, overflow="ellipsis"),
                ),
                refresh=True,
            )
            time.sleep(every)
            snapshot = watcher.read()
    console.print(Picture(snapshot, max_lines=_lines_of_terminal(console)))
    return snapshot


def _watch_in_lines(watcher: Watcher, console: Console, *, every: float) -> Snapshot:
    """A line each time that a trial has ended or trained an epoch."""
    snapshot, before = watcher.read(), None
    while snapshot.is_driven:
        epochs = [(each.trial.id, each.live and each.live.epoch) for each in snapshot.running]
        if (snapshot.counts, epochs) != before:
            console.print(Text(one_line(snapshot)), soft_wrap=True)
        before = snapshot.counts, epochs
        time.sleep(every)
        snapshot = watcher.read()
    return snapshot
