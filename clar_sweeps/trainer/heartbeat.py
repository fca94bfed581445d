"""Signs of life of a trial in training, and the stack of one that hangs."""

import faulthandler
import logging
import os
import time
from pathlib import Path
from typing import Any, Self, TextIO

import torch

from clar_sweeps.errors import DiskFullError
from clar_sweeps.records import STACK, Live, Phase, begin_live, end_live, write_live

logger = logging.getLogger(__name__)

# No more often, for a step may take milliseconds ...
_SECONDS_BETWEEN = 2.0
# ... unless somebody waits impatiently.
_SIGNS_A_PATIENCE = 10
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
        self._stack: TextIO | None = None

    def __enter__(self) -> Self:
        """Give the first sign."""
        try:
            self._stack = (self._folder / STACK).open("w", encoding="utf-8")
        except OSError as error:  # as with the signs: training goes on without
            logger.warning("%s: a hang would leave no stack: %s", self._folder, error)
        self._write()
        return self

    def __exit__(self, *error: object) -> None:
        """Take the sign away."""
        if self._stack is not None:
            faulthandler.cancel_dump_traceback_later()
            self._stack.close()
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

    def _write(self) -> None:
        self._written = time.monotonic()
        self._live = self._live._replace(at=time.time(), memory_bytes=_memory_bytes())
        # With each sign, not with each step: both ends of the patience count from here, and a
        # thread is started each time, which takes a fifth of a millisecond.
        if self._patience is not None and self._stack is not None:
            faulthandler.dump_traceback_later(
                self._patience * _SHARE_OF_PATIENCE, repeat=True, file=self._stack
            )
        try:
            write_live(self._folder, self._live)
        except (OSError, DiskFullError) as error:  # a full disk may have room again when it matters
            logger.warning("%s: no sign of life could be left: %s", self._folder, error)


def _memory_bytes() -> int:
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return torch.cuda.memory_reserved()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
