"""What happens to the trials of a run, and who wants to know."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from clar_sweeps.config import Trial
from clar_sweeps.records import Record

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Told of the trials of a run, in the process that drives it."""

    def started(self, trial: Trial) -> None:
        """A process takes the trial up, for the first time or again."""

    def reported(self, trial: Trial, row: Mapping[str, Any]) -> None:
        """An epoch has ended: its line of the history, and `epochs`."""

    def restarted(self, trial: Trial, why: str) -> None:
        """The trial was interrupted and waits for another process; no reason if told before."""

    def ended(self, trial: Trial, record: Record | None) -> None:
        """The trial will not run again in this run: done, given up, or stopped as asked."""

    def note(self, text: str) -> None:
        """Something that the user should know."""


class Broadcast:
    """Passes all on to several listeners, in their order.

    One that raises is told nothing more: no view and no logger is worth a trial.
    """

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self.listeners = list(listeners)

    def started(self, trial: Trial) -> None:
        """See Listener."""
        self._tell(lambda listener: listener.started(trial))

    def reported(self, trial: Trial, row: Mapping[str, Any]) -> None:
        """See Listener."""
        self._tell(lambda listener: listener.reported(trial, row))

    def restarted(self, trial: Trial, why: str) -> None:
        """See Listener."""
        self._tell(lambda listener: listener.restarted(trial, why))

    def ended(self, trial: Trial, record: Record | None) -> None:
        """See Listener."""
        self._tell(lambda listener: listener.ended(trial, record))

    def note(self, text: str) -> None:
        """See Listener."""
        self._tell(lambda listener: listener.note(text))

    def _tell(self, tell: Callable[[Listener], None]) -> None:
        for listener in list(self.listeners):
            try:
                tell(listener)
            except Exception as error:
                self.listeners.remove(listener)
                name = type(listener).__name__
                logger.warning("%s is told nothing more: %r", name, error, exc_info=True)
