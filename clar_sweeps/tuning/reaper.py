"""Ends what a run's Ray leaves behind, also where the process that drives the run was killed.

Ray's processes follow a killed driver within seconds, but for its two agents: they try for a minute
to tell the control store, which is gone as well, that their raylet is. No setting shortens it
(`publish_error_to_driver` in ray/_private/utils.py). And nothing removes what Ray wrote.

This file is run as a program of its own, by the standard library alone.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Ray's own way of ending takes so long; its agents know no other than ours.
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.1


@contextmanager
def reaped(folder: Path) -> Iterator[None]:
    """End all processes that use a folder when this process leaves it or ends; then remove it.

    Args:
        folder: Where a Ray of this process alone keeps sockets and logs: whatever Ray starts has
            its log there open, and so has what that starts.
    """
    # Its input ends when this process does, in whichever way. Ctrl-C does not reach its session.
    reaper = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(folder), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    try:
        yield
    finally:
        assert reaper.stdin is not None
        reaper.stdin.close()
        with suppress(subprocess.TimeoutExpired):  # what cannot be killed is waited for by it alone
            reaper.wait(timeout=3 * _GRACE_SECONDS)


def _reap(folder: Path, *, driver: int) -> None:
    sys.stdin.buffer.read()
    deadline = time.monotonic() + _GRACE_SECONDS
    while users_of(folder) - {driver} and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    end_users_of(folder, but=driver)
    shutil.rmtree(folder, ignore_errors=True)


def end_users_of(folder: Path, *, but: int) -> None:
    """End at once all processes but one that have a file below a folder open."""
    while left := users_of(folder) - {but}:
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def users_of(folder: Path) -> set[int]:
    """Processes of this user that have a file below a folder open; Linux only.

    Not by their environment: Ray writes the titles of its processes over that.
    """
    found = set()
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # ended meanwhile
            if handle.readlink().is_relative_to(folder):
                found.add(int(handle.parts[2]))
    return found


if __name__ == "__main__":
    _reap(Path(sys.argv[1]), driver=int(sys.argv[2]))
