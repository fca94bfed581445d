"""The end of a run's log: what reports show of it, and bundles hold."""

import re
import stat
from collections import deque
from pathlib import Path

from clar_sweeps.faults import one_line

LOG = "run.log"
_MOST_BYTES = 4 * 2**20
_MOST_LINES = 20  # of each trial
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ [A-Z]+ [\w.]+: (\S+) ")


def end_of(run: Path) -> bytes:
    """The last bytes of a run's log; none without a log, or where this user may not read it.

    Nor where it is a link or no file: a run folder may be a stranger's.
    """
    path = run / LOG
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return b""
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _MOST_BYTES))
            return file.read()
    except OSError:
        return b""


def ends_by_trial(run: Path, names: set[str]) -> dict[str, list[str]]:
    """The last lines that begin with the name of a trial, and what follows them without a stamp."""
    found: dict[str, deque[str]] = {}
    current: deque[str] | None = None
    for line in end_of(run).decode(errors="replace").splitlines():
        stamped = _STAMP.match(line)
        if stamped or line[:4].isdigit():
            name = stamped[1] if stamped else ""
            current = found.setdefault(name, deque(maxlen=_MOST_LINES)) if name in names else None
        if current is not None:
            current.append(one_line(line) if line.strip() else "")
    return {name: list(lines) for name, lines in found.items()}
