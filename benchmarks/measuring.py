"""Contenders measured side by side: one process, interleaved rounds, median and spread."""

import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Contender(NamedTuple):
    """One way to do a job; `run` does some of it and gives how many clips that were."""

    name: str
    run: Callable[[], int]


class Rate(NamedTuple):
    """Clips a second over the rounds."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        """As a cell of a table."""
        return f"{number(self.median)} ({number(self.lowest)}-{number(self.highest)})"


def side_by_side(
    contenders: Sequence[Contender], *, rounds: int, is_warm: bool = False
) -> dict[str, Rate]:
    """Let each contender run once a round, the rounds one after the other.

    What the machine does beside it, and its clock, then weigh upon all of them alike. A round
    before the first is not counted: it compiles, imports and fills caches. It is left out where
    the contenders are warm.
    """
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for turn in range(1 if is_warm else 0, rounds + 1):
        for contender in contenders:
            started = time.perf_counter()
            clips = contender.run()
            rate = clips / (time.perf_counter() - started)
            if turn:
                rates[contender.name].append(rate)
    return {
        name: Rate(statistics.median(found), min(found), max(found))
        for name, found in rates.items()
    }


def number(value: float) -> str:
    """Three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def num_cores() -> int:
    """Cores that this process may use, which are fewer than the machine's under `taskset`."""
    return len(os.sched_getaffinity(0))


def machine(packages: Sequence[str]) -> dict[str, str]:
    """What a measurement was made on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": str(num_cores()),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def table_of(rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first row is the head, the first column stands left."""
    head, *rest = rows
    lines = [head, [":---", *["---:"] * (len(head) - 1)], *rest]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_result(path: Path, data: Mapping[str, Any], *, title: str, told: str, table: str) -> None:
    """Write the numbers as JSON, and what a person reads as Markdown beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    text = f"# {title}\n\n{told}\n\n{table}\n"
    path.with_suffix(".md").write_text(text, encoding="utf-8")
