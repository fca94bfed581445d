"""Whether recordings are the ones that a cache was made from, in a second."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from clar_sweeps.data.folder import SUFFIXES

# A stat of each of 300,000 files takes a minute on a disk in a network.
_MOST_SIZES = 10_000
_SOUND_SUFFIXES = tuple(SUFFIXES)
_LIST_SUFFIXES = (".csv", ".txt")


def fingerprint_of(folder: Path) -> str:
    """Hash the names of all files of a folder, the sizes of 10,000 at most, and the lists.

    Lists are what ends in .csv or .txt: they decide on classes and splits, also by a change that
    leaves their size. Hidden files are left out. 300,000 files take a second.

    Args:
        folder: Or one file.
    """
    entries = sorted(_files(folder)) if folder.is_dir() else [("", str(folder))]
    step = max(1, len(entries) // _MOST_SIZES)
    told: list[tuple[str, object]] = []
    for index, (name, path) in enumerate(entries):
        if path.endswith(_LIST_SUFFIXES):
            told.append((name, _content_sha256(path)))
        else:
            told.append((name, _size(path) if index % step == 0 else None))
    return hashed(told)


def count_sound_files(folder: Path) -> int:
    """Number of files below a folder whose names end as those of sound files."""
    if not folder.is_dir():
        return 0
    return sum(name.lower().endswith(_SOUND_SUFFIXES) for name, _ in _files(folder))


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Path below the folder, and whole path, of each file; links to folders are followed."""
    visited = set()
    # os.walk, not rglob: it knows without a call for each file which are folders.
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:  # a link that leads back up
            folders.clear()
            continue
        visited.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = os.path.relpath(parent, folder)
        for name in names:
            if not name.startswith("."):
                yield f"{below}/{name}", f"{parent}/{name}"


def _size(path: str) -> int | None:
    with contextlib.suppress(OSError):  # a link that leads nowhere
        return Path(path).stat().st_size
    return None


def _content_sha256(path: str) -> str | None:
    with contextlib.suppress(OSError):
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return None


def hashed(told: object) -> str:
    return hashlib.sha256(repr(told).encode()).hexdigest()
