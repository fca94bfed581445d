"""What a trial in training tells of itself: `live.json`, written anew every few seconds.

Beside it `stack.txt`, the stacks of a trial that tells nothing any more.
"""

import os
import re
import socket
import time
from pathlib import Path
from typing import Literal, NamedTuple

from clar_sweeps.records.files import read_sign, write_sign
from clar_sweeps.records.plain import Count, Host, Number, UnixTime

STACK = "stack.txt"
_NAME = "live.json"
_STACK_LINES = 20
_STACK_BYTES = 64_000

Phase = Literal["preparing", "training", "evaluating"]


class Live(NamedTuple):
    """A trial in training, as it was at its last sign of life."""

    host: Host
    pid: Count
    since: UnixTime  # Unix time at which its process took the trial up
    at: UnixTime  # Unix time of this sign of life
    phase: Phase
    epoch: Count  # epochs trained
    step: Count  # steps trained in the epoch under way
    steps: Count  # steps of an epoch; 0 while it is not known
    loss: Number | None  # of the last epoch
    clips_per_second: Number | None  # of the last epoch
    top1: Number | None  # on test clips, of the last evaluation
    memory_bytes: Count  # of the process; of the GPU where it trains on one


def begin_live(*, epoch: int = 0) -> Live:
    """The first sign of life of this process."""
    now = time.time()
    return Live(
        host=socket.gethostname(),
        pid=os.getpid(),
        since=now,
        at=now,
        phase="preparing",
        epoch=epoch,
        step=0,
        steps=0,
        loss=None,
        clips_per_second=None,
        top1=None,
        memory_bytes=0,
    )


def write_live(folder: Path, live: Live) -> None:
    """Leave a sign of life; not synced to the disk, for the next one is near.

    Raises:
        DiskFullError: There is no room.
        OSError: Not writable.
    """
    write_sign(folder / _NAME, live._asdict())


def read_live(folder: Path) -> Live | None:
    """The last sign of life; None where there is none, or none that can be read."""
    return read_sign(Live, folder / _NAME)


def end_live(folder: Path) -> None:
    """Take the sign of life away: the trial is no longer in training."""
    (folder / _NAME).unlink(missing_ok=True)


def read_stack(folder: Path) -> str:
    """Where a trial that hangs stood last, the innermost call first; empty where it is not known.

    Of several threads the one that trains is told, with at most 20 calls.
    """
    path = folder / STACK
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _STACK_BYTES))
            text = file.read(_STACK_BYTES).decode(errors="replace")
    except OSError:
        return ""
    # A dump a time that nothing was heard, each with a paragraph a thread.
    last = re.split(r"^Timeout \(.*\)!$", text, flags=re.MULTILINE)[-1]
    threads = [
        thread.splitlines() for thread in re.split(r"^(?=Thread )", last, flags=re.MULTILINE)
    ]
    threads = [lines for lines in threads if lines]
    trains = [lines for lines in threads if any(" in run_trial" in line for line in lines)]
    chosen = (trains or threads or [[]])[-1]
    return "\n".join(line.rstrip() for line in chosen[1 : 1 + _STACK_LINES] if line.strip())
