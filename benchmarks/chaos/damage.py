"""A trial's process that is killed, and the damage that is done to its files."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.chaos.processes import kill
from benchmarks.chaos.running import Running
from clar_sweeps import records
from clar_sweeps.records import Live

KILLED = (-signal.SIGKILL,)


class Done(NamedTuple):
    """What was done, and what it does to the command."""

    what: str
    ends: tuple[int, ...] = ()  # exit codes by one of which the command ends now
    may_end: tuple[int, ...] = ()  # by which it may end later


def choose_trial(
    running: Running, draws: random.Random, *, holding: str = "live.json"
) -> tuple[Path, Live] | None:
    """A trial in a living process whose folder holds a file; None where there is none."""
    live = [each for each in sorted(running.live().items()) if (each[0] / holding).exists()]
    return draws.choice(live) if live else None


def damage_checkpoint(running: Running, draws: random.Random) -> Done | None:
    """SIGKILL of a trial's process; its newest checkpoint is cut, or a byte of it is changed."""
    chosen = choose_trial(running, draws, holding="checkpoint.pt")
    if chosen is None:
        return None
    folder, live = chosen
    return _damage(running, live, folder / "checkpoint.pt", draws.choice((_cut, _flip)), draws)


def damage_lines(running: Running, draws: random.Random) -> Done | None:
    """SIGKILL of a trial's process; the end of one of its files of text is cut off."""
    name = draws.choice(("history.jsonl", "history.jsonl", "live.json", "failures.jsonl"))
    chosen = choose_trial(running, draws, holding=name)
    if chosen is None:
        return None
    folder, live = chosen
    return _damage(running, live, folder / name, _cut_end, draws)


def _damage(
    running: Running,
    live: Live,
    path: Path,
    how: Callable[[Path, random.Random], str],
    draws: random.Random,
) -> Done:
    """Kill a trial's process and damage a file of it before another process takes it up."""
    kill(live.pid)
    ends = KILLED if live.pid == running.driver else ()
    what = f"SIGKILL of {path.parent.name}"
    with records.locked(path.parent, timeout_seconds=1.0) as acquired:
        there = path.exists() and path.stat().st_size > 0
        if not acquired or not there or (path.parent / "summary.json").exists():
            return Done(f"{what}; too late for its {path.name}", ends=ends)
        return Done(f"{what}; its {path.name} {how(path, draws)}", ends=ends)


def _cut_end(path: Path, draws: random.Random) -> str:
    size = path.stat().st_size
    less = draws.randrange(1, min(size, 400) + 1)
    os.truncate(path, size - less)
    return f"cut by its last {less} of {size} bytes"


def _cut(path: Path, draws: random.Random) -> str:
    size = path.stat().st_size
    left = draws.randrange(size)
    os.truncate(path, left)
    return f"cut to {left} of {size} bytes"


def _flip(path: Path, draws: random.Random) -> str:
    content = bytearray(path.read_bytes())
    at = draws.randrange(len(content))
    content[at] ^= 1 << draws.randrange(8)
    path.write_bytes(content)
    return f"changed in byte {at}"
