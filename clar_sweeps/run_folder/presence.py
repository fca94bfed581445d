"""The sign of life of the process that drives a run: writes `run.json` as long as it does."""

import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Protocol, Self

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import DiskFullError
from clar_sweeps.records import Driver

logger = logging.getLogger(__name__)

# An unchanged state is told anew so often, a change within the shorter time.
SECONDS_BETWEEN = 5.0
_SECONDS_BETWEEN_LOOKS = 0.5


class Driving(Protocol):
    """What a process does in the run folder."""

    stopping: bool

    @property
    def num_slots(self) -> int:
        """Trials at once."""

    @property
    def running(self) -> list[Trial]:
        """Trials in training."""

    @property
    def num_waiting(self) -> int:
        """Trials that are still to be started."""


class Presence:
    """Tells in a thread of its own, for the driver may be busy for minutes with a dataset."""

    def __init__(self, run: Path) -> None:
        self.work: Driving | None = None  # once there is one
        self._run = run
        self._since = time.time()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell_until_over, daemon=True)

    def __enter__(self) -> Self:
        """Give the first sign."""
        records.write_driver(self._run, self._describe())
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Take the sign away."""
        self._over.set()
        self._thread.join()
        records.end_driver(self._run)

    def _tell_until_over(self) -> None:
        told, last = self._describe(), time.monotonic()
        while not self._over.wait(_SECONDS_BETWEEN_LOOKS):
            now = self._describe()
            if now._replace(at=told.at) == told and time.monotonic() - last < SECONDS_BETWEEN:
                continue
            told, last = now, time.monotonic()
            try:
                records.write_driver(self._run, now)
            except (OSError, DiskFullError) as error:  # the run goes on; the next one may fit
                logger.debug("%s", error)

    def _describe(self) -> Driver:
        work = self.work
        running = work.running if work else []
        folders = [records.trial_folder(self._run, trial) for trial in running]
        return Driver(
            host=socket.gethostname(),
            pid=os.getpid(),
            since=self._since,
            at=time.time(),
            slots=work.num_slots if work else 0,
            running=tuple(str(folder.relative_to(self._run)) for folder in folders),
            waiting=work.num_waiting if work else 0,
            stopping=work.stopping if work else False,
        )
