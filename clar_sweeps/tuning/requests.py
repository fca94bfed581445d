"""What a run that stops asks of its own trials."""

import logging
from pathlib import Path

from clar_sweeps import records
from clar_sweeps.errors import UsageError

logger = logging.getLogger(__name__)


class Requests:
    """Asks trials to stop after their epoch, and withdraws that when none is in training."""

    def __init__(self) -> None:
        self._asked: list[Path] = []

    def ask(self, folder: Path) -> None:
        """Ask the process of a trial, which may not have come to make its folder."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            records.request_stop(folder)
        except (OSError, UsageError) as error:  # it will meet the same wall
            logger.debug("%s", error)
        else:
            self._asked.append(folder)

    def withdraw(self) -> None:
        """Take back all that was asked."""
        records.withdraw_stop(self._asked)
