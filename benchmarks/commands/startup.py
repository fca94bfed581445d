"""Whole commands, each in a process of its own."""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from clar_sweeps import run_folder
from clar_sweeps.sweep import load_sweep

ROOT = Path(__file__).parents[2]
SWEEP = ROOT / "sweeps" / "aug_pairs.yaml"
RUN_COMMAND = "from clar_sweeps.cli import main; main()"


class Command(NamedTuple):
    """What Python is told to do."""

    name: str
    code: str
    arguments: tuple[str, ...] = ()
    goal_seconds: float | None = None


class Seconds(NamedTuple):
    """Of some runs."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        """As a cell of a table."""
        return f"{self.median:.2f} ({self.lowest:.2f}-{self.highest:.2f})"


def summary_of(seconds: Sequence[float]) -> Seconds:
    """Median and range."""
    return Seconds(statistics.median(seconds), min(seconds), max(seconds))


def commands(folder: Path) -> list[Command]:
    """Those that are timed; the run folder that `status` shows is written below `folder`."""
    run = folder / "aug_pairs"
    with run_folder.opened(run, load_sweep(SWEEP)):
        pass  # leaves the plan of its 72 trials
    return [
        Command("python -c pass", "pass"),
        Command("import typer, rich, pydantic", "import typer, rich, pydantic"),
        Command("clar-sweep --help", RUN_COMMAND, ("--help",), 0.3),
        Command(
            "clar-sweep plan sweeps/aug_pairs.yaml",
            RUN_COMMAND,
            ("plan", str(SWEEP), "--run-dir", str(run)),
            1.0,
        ),
        Command("clar-sweep status", RUN_COMMAND, ("status", str(run))),
    ]


def time_commands(timed: Sequence[Command], *, rounds: int) -> dict[str, Seconds]:
    """Let each run once a round; a round before the first, which fills caches, is not counted."""
    found: dict[str, list[float]] = {each.name: [] for each in timed}
    for turn in range(rounds + 1):
        for each in timed:
            seconds = _seconds_of(each)
            found[each.name] += [seconds] if turn else []
    return {name: summary_of(seconds) for name, seconds in found.items()}


def _seconds_of(command: Command) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", command.code, *command.arguments],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def startup_rows(timed: Sequence[Command], found: dict[str, Seconds]) -> list[list[str]]:
    """Table rows: a line a command."""
    rows = [["command", "seconds", "goal"]]
    for each in timed:
        goal = f"below {each.goal_seconds:g}" if each.goal_seconds else ""
        rows.append([f"`{each.name}`", str(found[each.name]), goal])
    return rows
