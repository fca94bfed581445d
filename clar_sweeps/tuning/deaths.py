"""Failures of trials, put into words and kept by the process that drives the run."""

import socket
import time
from pathlib import Path

from clar_sweeps import records
from clar_sweeps.records import Failure


def describe_death(kind: str, message: str, *, trace: str, log: Path) -> Failure:
    """A failure that the trial's process could not describe itself."""
    return Failure(
        at=time.time(),
        host=socket.gethostname(),
        pid=0,
        kind=kind,
        message=message,
        traceback=trace,
        log=str(log),
        provenance={},
    )


def keep_death(folder: Path, death: Failure, *, before: int) -> list[Failure]:
    """All failures of a trial; the last is its own if it kept one since there were `before`.

    Raises:
        DiskFullError: There is no room.
        RecordError: The failures that are there cannot be read.
        OSError: Not writable.
    """
    failures = records.read_failures(folder)
    if len(failures) > before:
        return failures
    folder.mkdir(parents=True, exist_ok=True)
    records.append_failure(folder, death)
    return [*failures, death]


def is_repeated(failures: list[Failure]) -> bool:
    """Whether an earlier failure says the same as the last."""
    *earlier, last = failures
    return any((each.kind, each.message) == (last.kind, last.message) for each in earlier)


def last_line(failure: Failure) -> str:
    """What it says, in a line."""
    return (failure.message.strip().splitlines() or [failure.kind])[-1]
