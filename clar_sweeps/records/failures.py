"""Why a trial was interrupted: `failures.jsonl`, a line each time, kept when it is retried."""

import json
import os
import socket
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from clar_sweeps.records.files import append_line, read_lines
from clar_sweeps.records.plain import Count, Host, UnixTime, as_row

_NAME = "failures.jsonl"
_LINES = 20
_LONGEST = 2000

OUT_OF_MEMORY = "OutOfMemory"
DIVERGED = "DivergedError"


class Failure(NamedTuple):
    """One interruption."""

    at: UnixTime
    host: Host
    pid: Count  # of the trial's process
    kind: str  # the error's class, or OUT_OF_MEMORY, ProcessDied, Hung
    message: str
    traceback: str  # its last lines
    log: str  # where more is told
    provenance: dict[str, Any]  # versions and hardware, as far as known


# Stands for one whose line is lost.
UNKNOWN = Failure(
    at=0.0,
    host="",
    pid=0,
    kind="Unknown",
    message="failures.jsonl tells of no failure; see the run's log",
    traceback="",
    log="",
    provenance={},
)


def describe_failure(
    error: Exception, *, kind: str, log: Path, provenance: Mapping[str, Any]
) -> Failure:
    """What an exception in this process comes to."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return Failure(
        at=time.time(),
        host=socket.gethostname(),
        pid=os.getpid(),
        kind=kind,
        message=str(error)[:_LONGEST],
        traceback="\n".join(line[:_LONGEST] for line in lines[-_LINES:]),
        log=str(log),
        provenance=dict(provenance),
    )


def append_failure(folder: Path, failure: Failure) -> None:
    """Keep why a trial was interrupted.

    Raises:
        DiskFullError: There is no room.
        OSError: Not writable.
    """
    append_line(folder / _NAME, json.dumps(failure._asdict()))


def read_failures(folder: Path) -> list[Failure]:
    """All interruptions so far, the oldest first; a line that cannot be is left out.

    Raises:
        RecordError: The file is there and cannot be read.
    """
    rows = [as_row(Failure, line) for line in read_lines(folder / _NAME)]
    return [row for row in rows if row is not None]
