"""Signs of life of a trial in training, and the stack of one that hangs."""

import faulthandler
import logging
import os
import time
from pathlib import Path
from typing import IO, Any, Self

import torch

from clar_sweeps.errors import DiskFullError, RunLockedError
from clar_sweeps.records import (
    STACK,
    Live,
    Phase,
    begin_live,
    end_live,
    open_itself,
    read_live,
    write_live,
)

logger = logging.getLogger(__name__)

# No more often, for a step may take milliseconds ...
_SECONDS_BETWEEN = 2.0
# ... unless somebody waits impatiently.
_SIGNS_A_PATIENCE = 10
# Less than it takes to notice that a machine was lost, whose trial is then taken up elsewhere.
_FRESH_SECONDS = 15.0
# Before the process is ended from outside, so that there is time to write.
_SHARE_OF_PATIENCE = 0.8


class Heartbeat:
    """Writes `live.json` as training goes on; whoever waits for it can tell a hang by it.

    Where nothing is heard for most of the patience, the stacks of all threads go into `stack.txt`.
    They are written by a thread of C, so also where Python itself stands still. A process that is
    killed leaves both files, and the next one of the trial begins them anew.
    """

    def __init__(self, folder: Path, *, patience_seconds: float | None = None) -> None:
        """Prepare; the first sign is given when the context is entered.

        Args:
            folder: The trial's.
            patience_seconds: How long somebody waits for a sign; None where nobody does.
        """
        self._folder = folder
        self._patience = patience_seconds
        self._between = _SECONDS_BETWEEN
        if patience_seconds is not None:
            self._between = min(_SECONDS_BETWEEN, patience_seconds / _SIGNS_A_PATIENCE)
        self._live: Live = begin_live()
        self._written = 0.0
        self._stack: IO[str] | None = None
        self._has_told = False
        self._other: Live | None = None  # who took the trial up although it is ours

    def __enter__(self) -> Self:
        """Give the first sign.

        Raises:
            RunLockedError: Another machine has given one just now.
        """
        before = read_live(self._folder)
        if before is not None and before.host != self._live.host:
            self._other = before if abs(time.time() - before.at) < _FRESH_SECONDS else None
        self.refuse_if_taken()
        try:
            self._stack = open_itself(self._folder / STACK, "w", encoding="utf-8")
        except OSError as error:  # as with the signs: training goes on without
            logger.warning("%s: a hang would leave no stack: %s", self._folder, error)
        self._write()
        return self

    def __exit__(self, *error: object) -> None:
        """Take the sign away."""
        if self._stack is not None:
            faulthandler.cancel_dump_traceback_later()
            self._stack.close()
        if self._other is not None:  # the files are the other's by now
            return
        try:
            (self._folder / STACK).unlink(missing_ok=True)
            end_live(self._folder)
        except OSError as leftover:  # must not take the place of what ended the trial
            logger.warning("%s: a sign of life was left behind: %s", self._folder, leftover)

    def enter(self, phase: Phase) -> None:
        """Tell what is done from now on."""
        self._live = self._live._replace(phase=phase, step=0, steps=0)
        self._write()

    def step(self, step: int, steps: int) -> None:
        """Tell that a step has been taken."""
        self._live = self._live._replace(step=step, steps=steps)
        if time.monotonic() - self._written >= self._between:
            self._write()

    def tell(self, **numbers: Any) -> None:
        """Take numbers of an epoch along, by the names of `Live`."""
        self._live = self._live._replace(**numbers)

    def refuse_if_taken(self) -> None:
        """Check that no other process trains the trial, as it can where locks are not shared.

        Raises:
            RunLockedError: One does; what this one would write would spoil its record.
        """
        self._look_for_other()
        if self._other is not None:
            raise RunLockedError(
                f"{self._folder}: process {self._other.pid} on {self._other.host} trains this "
                "trial as well, so file locks are not shared; this process leaves it"
            )

    def _look_for_other(self) -> None:
        """Of two, the first that finds the other's sign in place of its own gives no more signs."""
        found = read_live(self._folder) if self._has_told and self._other is None else None
        if found is not None and (found.host, found.pid) != (self._live.host, self._live.pid):
            self._other = found

    def _write(self) -> None:
        self._look_for_other()
        self._written = time.monotonic()
        self._live = self._live._replace(at=time.time(), memory_bytes=_memory_bytes())
        # With each sign, not with each step: both ends of the patience count from here, and a
        # thread is started each time, which takes a fifth of a millisecond.
        if self._patience is not None and self._stack is not None:
            faulthandler.dump_traceback_later(
                self._patience * _SHARE_OF_PATIENCE, repeat=True, file=self._stack
            )
        if self._other is not None:
            return
        try:
            write_live(self._folder, self._live)
            self._has_told = True
        except (OSError, DiskFullError) as error:  # a full disk may have room again when it matters
            logger.warning("%s: no sign of life could be left: %s", self._folder, error)


def _memory_bytes() -> int:
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return torch.cuda.memory_reserved()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
