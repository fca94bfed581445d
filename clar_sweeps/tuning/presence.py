"""The sign of life of the process that drives a run: writes `run.json` as long as it does."""

import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Self

from clar_sweeps import records
from clar_sweeps.errors import DiskFullError
from clar_sweeps.records import Driver
from clar_sweeps.tuning.schedule import Schedule

logger = logging.getLogger(__name__)

# An unchanged state is told anew so often, a change within the shorter time.
SECONDS_BETWEEN = 5.0
_SECONDS_BETWEEN_LOOKS = 0.5


class Presence:
    """Tells in a thread of its own, for the driver may be busy for minutes with a dataset."""

    def __init__(self, run: Path) -> None:
        self.schedule: Schedule | None = None  # once there is one
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
        schedule = self.schedule
        running = schedule.running if schedule else []
        folders = [records.trial_folder(self._run, trial) for trial in running]
        return Driver(
            host=socket.gethostname(),
            pid=os.getpid(),
            since=self._since,
            at=time.time(),
            slots=schedule.slots.num if schedule else 0,
            running=tuple(str(folder.relative_to(self._run)) for folder in folders),
            waiting=schedule.num_waiting if schedule else 0,
            stopping=schedule.stopping if schedule else False,
        )
