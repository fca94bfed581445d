"""Files that a killed process leaves whole, and the lock of a folder."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clar_sweeps.errors import RecordError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file aside, sync it and rename it: a killed process leaves the old file or the new.

    Raises:
        OSError: The disk is full or not writable; the old file stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except OSError as error:
        Path(aside).unlink(missing_ok=True)
        # A write knows no name: without it nobody would know which disk is full.
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write plain data as JSON, atomically."""
    write_atomically(path, (json.dumps(data, indent=2) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        RecordError: Absent, unreadable or not an object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecordError(f"{path}: does not exist; check the run folder") from error
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: is not readable JSON; remove it and run again") from error
    if not isinstance(data, dict):
        raise RecordError(f"{path}: is not a JSON object; remove it and run again")
    return data


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left aside; call it under the folder's lock."""
    for aside in folder.glob(".*.*"):
        aside.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, *, timeout_seconds: float) -> Iterator[bool]:
    """Hold a folder's lock; gives False when another process kept it for the whole timeout.

    The actors of a killed driver live on for some seconds, so a lock is worth waiting for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=timeout_seconds)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
