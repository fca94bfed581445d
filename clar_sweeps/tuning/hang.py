"""Trials in training that give no sign of life."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.records import Live

# The driver looks about once a second. After a longer gap it stood still itself (a machine paused,
# a shared disk away), and so may have all that it watches.
_LONGEST_GAP_SECONDS = 30.0
# Before its first sign a process may have to get its clips ready and wait for its other ranks.
_FIRST_SIGN_SECONDS = 30 * 60.0


@dataclass
class _Watched:
    trial: Trial
    folder: Path
    last: Live | None  # at first what an earlier process may have left
    heard: float
    has_spoken: bool = False  # in this attempt


class HangWatch:
    """Tells which trials have been silent for too long.

    A sign of life is any change of `live.json`. Its time is taken by this process' own monotonic
    clock, for those of two machines may differ, and clocks of the day are set.

    The first sign of an attempt may take half an hour where the timeout is shorter. If this process
    itself did not look for half a minute, the silence until then is forgiven.
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
        self._looked = clock()

    def begin(self, trial: Trial) -> None:
        """Watch a trial; call it before its process begins."""
        folder = records.trial_folder(self._run, trial)
        self._watched[trial.id] = _Watched(trial, folder, records.read_live(folder), self._clock())

    def end(self, trial: Trial) -> None:
        """Watch it no longer."""
        self._watched.pop(trial.id, None)

    def silent(self) -> list[Trial]:
        """The watched trials of which nothing has been heard for longer than their patience."""
        now = self._clock()
        stood_still = now - self._looked > _LONGEST_GAP_SECONDS
        self._looked = now
        found = []
        for each in self._watched.values():
            live = records.read_live(each.folder)
            if live is not None and live != each.last:
                each.last, each.heard, each.has_spoken = live, now, True
            elif stood_still:
                each.heard = now
            elif now - each.heard > self.patience_seconds(each.trial):
                found.append(each.trial)
        return found

    def patience_seconds(self, trial: Trial) -> float:
        """How long a watched trial may be silent by now."""
        if self._watched[trial.id].has_spoken:
            return self.timeout_seconds
        return max(self.timeout_seconds, _FIRST_SIGN_SECONDS)
