"""Processes, by the folder in which they were started."""

import os
import signal
from pathlib import Path


def kill(pid: int, sent: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process that may have ended meanwhile."""
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return


def processes_in(work: Path) -> dict[int, str]:
    """Processes that were started in a folder or below it, by id: their command lines.

    By their working folder: Ray's workers write their title over their environment.
    """
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if is_at_work(int(entry.name), work, stopped_counts=True):
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            found[int(entry.name)] = line.decode(errors="replace").strip()[:100]
    found.pop(os.getpid(), None)
    return found


def is_at_work(pid: int, work: Path, *, stopped_counts: bool = False) -> bool:
    """Whether a process lives, is one of a folder's, and has not been stopped."""
    entry = Path("/proc") / str(pid)
    try:
        here = (entry / "cwd").readlink()
        state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # has ended, is a zombie, or is not ours to see
        return False
    return here.is_relative_to(work) and state != "Z" and (stopped_counts or state != "T")
