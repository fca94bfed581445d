"""Whether recordings are the ones that a cache was made from, in a second."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.data.folder import LONGEST_SECONDS, MANIFEST, SUFFIXES
from clar_sweeps.data.folder_manifest import listed_files

# A stat of each of 300,000 files takes a minute on a disk in a network.
_MOST_SIZES = 10_000
_SOUND_SUFFIXES = tuple(SUFFIXES)
_LIST_SUFFIXES = (".csv", ".txt")
# Bytes a second, about the least that is usual: 16 bits at 16 kHz, and 32 kbit/s.
_PLAIN_RATE, _PACKED_RATE = 32_000, 4_000
_PACKED_SUFFIXES = (".flac", ".mp3", ".oga", ".ogg", ".opus")


class Fingerprint(NamedTuple):
    """Two hashes of the same files.

    Attributes:
        timed: With the times of their last change: also of a file that was recorded again and
            has the size that it had.
        untimed: Without: equal for what was unpacked from the same archive at another time.
    """

    timed: str
    untimed: str


def fingerprint_of(folder: Path) -> Fingerprint:
    """Hash the names of all files of a folder, sizes and times of about 10,000, and the lists.

    Lists are what ends in .csv or .txt: they decide on classes and splits, also by a change that
    leaves their size. Files that a user's list of recordings names count as those of the folder.
    Hidden files are left out. 300,000 files take a second.

    Args:
        folder: Or one file.
    """
    entries = sorted(_files(folder)) if folder.is_dir() else [("", str(folder))]
    present = {os.path.normpath(path) for _, path in entries}
    listed = sorted({os.path.normpath(path) for path in _listed(folder)} - present)
    entries += [(os.path.relpath(path, folder), path) for path in listed]
    step = max(1, len(entries) // _MOST_SIZES)
    timed: list[tuple[str, object]] = []
    untimed: list[tuple[str, object]] = []
    for index, (name, path) in enumerate(entries):
        if path.endswith(_LIST_SUFFIXES):
            content = _content_sha256(path)
            timed.append((name, content))
            untimed.append((name, content))
        else:
            size, changed = _size_and_time(path) if index % step == 0 else (None, None)
            timed.append((name, (size, changed)))
            untimed.append((name, size))
    return Fingerprint(hashed(timed), hashed(untimed))


def sound_files(folder: Path) -> list[str]:
    """Files below a folder whose names end as those of sound files, or those that a list names.

    Args:
        folder: Or a list.
    """
    if listed := _listed(folder):
        return [str(path) for path in listed]
    return [path for name, path in _files(folder) if name.lower().endswith(_SOUND_SUFFIXES)]


def estimate_seconds(files: list[str]) -> float:
    """Length that `folder.list_clips` chooses for these sound files, guessed from their sizes."""
    seconds = sorted(
        min(LONGEST_SECONDS, (_size_and_time(path)[0] or 0) / _rate(path))
        for path in files[:: max(1, len(files) // _MOST_SIZES)]
    )
    return seconds[int(0.95 * len(seconds))] if seconds else 0.0


def _rate(path: str) -> int:
    return _PACKED_RATE if path.lower().endswith(_PACKED_SUFFIXES) else _PLAIN_RATE


def _listed(folder: Path) -> list[Path]:
    """What the user's list names, where there is one."""
    manifest = folder / MANIFEST if folder.is_dir() else folder
    return listed_files(manifest) if manifest.suffix.lower() == ".csv" else []


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


def _size_and_time(path: str) -> tuple[int | None, int | None]:
    """Bytes, and the last change in ns."""
    with contextlib.suppress(OSError):  # a link that leads nowhere
        stat = Path(path).stat()
        return stat.st_size, stat.st_mtime_ns
    return None, None


def _content_sha256(path: str) -> str | None:
    with contextlib.suppress(OSError):
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return None


def hashed(told: object) -> str:
    return hashlib.sha256(repr(told).encode()).hexdigest()
