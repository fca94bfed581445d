"""What is told where a file cannot be written: which file, which disk, how much is missing."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clar_sweeps.errors import DiskFullError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def naming(path: Path, *, needed: int = 0) -> Iterator[None]:
    """Name the file in what a write raises: it knows no name, and which disk is full matters.

    Args:
        path: Where the content is to stand.
        needed: Bytes of the content.

    Raises:
        DiskFullError: There is no room, by the disk or by a quota.
        OSError: Anything else that hinders writing.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFullError(_no_room(path, error, needed=needed)) from error
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _no_room(path: Path, error: OSError, *, needed: int) -> str:
    # What was written of the file is gone again by now, so all that it needs has to be free.
    place = next(folder for folder in path.absolute().parents if folder.exists()).resolve()
    disk, at_hand = f"the disk at {_mount_point(place)}", os.statvfs(place)
    free = at_hand.f_bavail * at_hand.f_frsize
    remedy = "free some space"
    if error.errno == errno.EDQUOT:
        what = (
            f"your quota on {disk} leaves no room for it ({_bytes(needed)} are needed; of the "
            f"disk itself {_bytes(free)} are free)"
        )
    elif needed > free:
        what = (
            f"{disk} is full ({_bytes(needed)} are needed, {_bytes(free)} are free, "
            f"{_bytes(needed - free)} are missing)"
        )
    elif at_hand.f_files and not at_hand.f_favail:
        what = (
            f"{disk} takes no more files (all of its {at_hand.f_files} inodes are in use; "
            f"{_bytes(needed)} are needed, {_bytes(free)} are free)"
        )
        remedy = "delete some files"
    else:
        what = f"{disk} was full ({_bytes(needed)} were needed; by now {_bytes(free)} are free)"
    return f"{path}: {what}; {remedy} and give the same command again: what is done stays"


def _mount_point(place: Path) -> Path:
    return next(folder for folder in (place, *place.parents) if folder.is_mount())


def _bytes(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"
