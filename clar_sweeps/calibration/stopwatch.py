"""Time as a process alone on its CPU would take it, on a machine that others use as well."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

# Of the main thread, Linux only: nanoseconds on a CPU, nanoseconds in wait for one, turns.
_SCHEDULER = Path("/proc/self/schedstat")

Result = TypeVar("Result")


def waited_seconds() -> float:
    """Seconds that this process has waited for a CPU since it began; 0 where nothing tells."""
    try:
        return int(_SCHEDULER.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def timed(what: Callable[[], Result]) -> tuple[float, Result]:
    """Call a function; gives its seconds, without those that it waited for a CPU, and its result.

    A wait for a disk, a GPU or another thread counts.
    """
    started, waited = time.perf_counter(), waited_seconds()
    result = what()
    passed = time.perf_counter() - started
    return max(0.0, passed - (waited_seconds() - waited)), result
