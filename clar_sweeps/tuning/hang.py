"""Trials in training that give no sign of life."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.records import Live


@dataclass
class _Watched:
    trial: Trial
    folder: Path
    last: Live | None  # at first what an earlier process may have left
    heard: float


class HangWatch:
    """Tells which trials have been silent for too long.

    A sign of life is any change of `live.json`. Its time is taken by this process' own monotonic
    clock, for those of two machines may differ, and clocks of the day are set.
    """

    def __init__(
        self,
        run: Path,
        *,
        timeout_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout_seconds = timeout_seconds
        self._run = run
        self._clock = clock
        self._watched: dict[str, _Watched] = {}

    def begin(self, trial: Trial) -> None:
        """Watch a trial; call it before its process begins."""
        folder = records.trial_folder(self._run, trial)
        self._watched[trial.id] = _Watched(trial, folder, records.read_live(folder), self._clock())

    def end(self, trial: Trial) -> None:
        """Watch it no longer."""
        self._watched.pop(trial.id, None)

    def silent(self) -> list[Trial]:
        """The watched trials of which nothing has been heard for the whole timeout."""
        now = self._clock()
        found = []
        for each in self._watched.values():
            live = records.read_live(each.folder)
            if live is not None and live != each.last:
                each.last, each.heard = live, now
            elif now - each.heard > self.timeout_seconds:
                found.append(each.trial)
        return found
