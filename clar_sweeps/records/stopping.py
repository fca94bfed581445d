"""Requests to stop: files in the run folder, so that they reach every machine that sees it."""

import json
import logging
import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path

from clar_sweeps.records.disk import naming
from clar_sweeps.records.files import open_itself

logger = logging.getLogger(__name__)

_NAME = "stop.json"


def request_stop(folder: Path) -> None:
    """Ask a whole run (its folder) or one trial (its own) to stop after the epoch under way.

    Raises:
        DiskFullError: There is no room, not even for an empty file.
        RecordError: The file is a link.
        OSError: Not writable.
    """
    asked = {"host": socket.gethostname(), "pid": os.getpid(), "at": time.time()}
    path, content = folder / _NAME, json.dumps(asked)
    # Not written aside: that the file is there says all, and a full disk takes an empty one.
    with naming(path, needed=len(content)):
        try:
            with open_itself(path, "w", encoding="utf-8") as file:
                file.write(content)
        except OSError:
            if not path.exists():
                raise


def stop_requested(*folders: Path) -> bool:
    """Whether one of the folders is asked to stop; False as long as that cannot be seen."""
    return any(_is_there(folder / _NAME) for folder in folders)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a shared disk that is away for a moment ends no trial
        logger.debug("%s", error)
        return False


def withdraw_stop(folders: Iterable[Path]) -> None:
    """Forget earlier requests: who starts a run wants its trials to train."""
    for folder in folders:
        (folder / _NAME).unlink(missing_ok=True)
