"""From the events of a run to one tracker, in a thread of its own."""

import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.records import Record, State

logger = logging.getLogger(__name__)

# What a tracker still has to send when the run ends is worth waiting for, but not for long.
_LAST_WORDS_SECONDS = 60.0
_NOT_NUMBERS = ("epoch", "epochs")


class TrialLog(Protocol):
    """One trial in one tracker, from when it is taken up until it is interrupted or ends."""

    last_epoch: int  # the tracker holds the rows up to here

    def write(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Add the numbers of an epoch."""

    def close(self, state: State, metrics: Mapping[str, float]) -> None:
        """Say how the trial ended; `unfinished` where another `open` may follow."""


class Tracker(Protocol):
    """Where trials can be followed outside the run folder."""

    def open(self, trial: Trial) -> TrialLog:
        """Take a trial up, for the first time or again."""


class Tracking:
    """Listener that passes trials on to a tracker.

    The tracker works in a thread of its own, for a network may stall and the run must not. One
    that fails is left out from then on: that is told once, and the run goes on.
    """

    def __init__(self, name: str, make: Callable[[Path], Tracker], run: Path) -> None:
        """Start the thread.

        Args:
            name: Of the tracker, as in `--log NAME`.
            make: Makes the tracker; called in the thread.
            run: The run folder.
        """
        self._name = name
        self._make = make
        self._run = run
        self._tracker: Tracker | None = None
        self._logs: dict[str, TrialLog] = {}
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._has_failed = False
        self._thread = threading.Thread(target=self._work, name=f"log-{name}", daemon=True)
        self._thread.start()

    def started(self, trial: Trial) -> None:
        """Nothing yet: from which epoch the trial goes on is known with its first report."""

    def reported(self, trial: Trial, row: Mapping[str, Any]) -> None:
        """Pass the numbers of an epoch on."""
        self._tasks.put(partial(self._report, trial, dict(row)))

    def restarted(self, trial: Trial, why: str) -> None:
        """Let the log go: the next process may repeat epochs, from the last checkpoint on."""
        self._tasks.put(partial(self._interrupt, trial))

    def ended(self, trial: Trial, record: Record | None) -> None:
        """Close the log with the record's state and final metrics."""
        self._tasks.put(partial(self._end, trial, record))

    def note(self, text: str) -> None:
        """Of no interest to a tracker."""

    def close(self) -> None:
        """Wait until all has been passed on; what is open is closed as unfinished."""
        self._tasks.put(None)
        self._thread.join(_LAST_WORDS_SECONDS)
        if self._thread.is_alive():
            text = "--log %s: has not taken all within %.0f s and is left behind"
            logger.warning(text, self._name, _LAST_WORDS_SECONDS)

    def _work(self) -> None:
        for task in iter(self._tasks.get, None):
            self._safely(task)
        for log in self._logs.values():
            self._safely(partial(log.close, "unfinished", {}))

    def _safely(self, task: Callable[[], None]) -> None:
        if self._has_failed:
            return
        try:
            task()
        except Exception as error:  # of whatever kind: a tracker is not worth a sweep
            self._has_failed = True
            reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            text = "--log %s: %s; left out from here on, the records are not concerned"
            logger.warning(text, self._name, reason)
            logger.debug("tracker %s failed", self._name, exc_info=True)

    def _report(self, trial: Trial, row: dict[str, Any]) -> None:
        log = self._log_of(trial, before=row["epoch"])
        _write(log, row)

    def _interrupt(self, trial: Trial) -> None:
        if trial.id in self._logs:
            self._logs.pop(trial.id).close("unfinished", {})

    def _end(self, trial: Trial, record: Record | None) -> None:
        state: State = record.state if record else "unfinished"
        if state == "unfinished":
            self._interrupt(trial)
            return
        assert record is not None
        log = self._log_of(trial, before=trial.config.epochs + 1)
        del self._logs[trial.id]
        log.close(state, record.summary["metrics"])

    def _log_of(self, trial: Trial, *, before: int) -> TrialLog:
        """The trial's open log; a new one is brought up to an epoch from the history.

        So a tracker that is chosen later, or was not told the last epochs of a driver that was
        killed, has them all the same.
        """
        if trial.id not in self._logs:
            self._tracker = self._tracker or self._make(self._run)
            self._logs[trial.id] = self._tracker.open(trial)
            for row in records.read_history(records.trial_folder(self._run, trial)):
                if row["epoch"] < before:
                    _write(self._logs[trial.id], row)
        return self._logs[trial.id]


def _write(log: TrialLog, row: Mapping[str, Any]) -> None:
    if row["epoch"] > log.last_epoch:
        numbers = {name: row[name] for name in row if name not in _NOT_NUMBERS}
        log.write(row["epoch"], numbers)
        log.last_epoch = row["epoch"]


def flat_fields(trial: Trial) -> dict[str, str | int | float | bool]:
    """Fields of a config by their dotted names; lists as JSON, what does not apply left out."""
    flat: dict[str, str | int | float | bool] = {}
    for name, value in trial.config.model_dump(mode="json").items():
        group = value if isinstance(value, dict) else {"": value}
        for part, entry in group.items():
            if entry is not None:
                key = f"{name}.{part}" if part else name
                flat[key] = json.dumps(entry) if isinstance(entry, list) else entry
    return flat
