"""A prepared dataset: int16 waveforms in a memory map, with labels, splits and speakers."""

import contextlib
import hashlib
import json
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from clar_sweeps.data.decoding import SAMPLE_RATE
from clar_sweeps.data.metadata import METADATA_FILE, read_metadata, write_metadata
from clar_sweeps.data.samples_file import (
    SAMPLES_FILE,
    Samples,
    SamplesFile,
    file_sha256,
    map_samples,
    read_rows,
    samples_sha256,
)
from clar_sweeps.data.writing import write_samples
from clar_sweeps.errors import DataError

__all__ = [
    "METADATA_FILE",
    "SAMPLES_FILE",
    "SPLITS",
    "ClipFile",
    "Listing",
    "Progress",
    "Split",
    "Waveforms",
    "build_cache",
    "open_cache",
    "samples_sha256",
    "verify_cache",
]

logger = logging.getLogger(__name__)

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Progress = Callable[[str, int, int], None]


class ClipFile(NamedTuple):
    """One recording before it is decoded."""

    path: Path
    name: str
    class_name: str
    speaker: str
    split: Split


class Listing(NamedTuple):
    """What a source found: its clips, and how they are to be decoded.

    Attributes:
        clips: In the order of the cache.
        clip_length: Samples at 16 kHz that each clip is padded or clipped to, on the right.
        required_sample_rate: Hz that each file must have; None resamples whatever is found.
        expected_sha256: Of all samples, as `samples_sha256` takes it; None if not known.
        class_names: All classes of the dataset, sorted, where the clips need not show each; None
            takes those of the clips.
        fingerprints: Of the recordings, more than the one that `build_cache` is given.
        archives: "ADDRESS sha256:HEX" of each archive that was downloaded.
    """

    clips: list[ClipFile]
    clip_length: int
    required_sample_rate: int | None
    expected_sha256: str | None = None
    class_names: tuple[str, ...] | None = None
    fingerprints: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Waveforms:
    """A dataset as training reads it.

    Attributes:
        samples: (clips, time) int16, mapped read-only.
        labels: (clips,) int64 index into `class_names`.
        splits: (clips,) of "train", "valid", "test".
        speakers: (clips,) who or what was recorded; never in training and in another split.
        clip_names: (clips,) as the dataset names them.
        class_names: All classes of the dataset, also those without a clip here; sorted, so that
            equal words have equal labels in all datasets.
        sample_rate: Hz.
        digest: sha256 over samples, labels, splits, speakers and names, in hex.
        samples_path: The array file behind `samples`.
        opened: That file; opened here where none is given.
    """

    samples: Samples
    labels: NDArray[np.int64]
    splits: tuple[Split, ...]
    speakers: tuple[str, ...]
    clip_names: tuple[str, ...]
    class_names: tuple[str, ...]
    sample_rate: int
    digest: str
    samples_path: Path
    opened: SamplesFile | None = None

    def __post_init__(self) -> None:
        if self.opened is None:
            object.__setattr__(self, "opened", SamplesFile(self.samples_path))

    def indices(self, split: Split) -> NDArray[np.int64]:
        """Return the ascending positions of the clips of one split, as int64."""
        if split not in SPLITS:
            raise ValueError(f"split: {split!r} is not one of {', '.join(map(repr, SPLITS))}")
        return np.flatnonzero(np.array(self.splits) == split).astype(np.int64)

    def read(self, clips: NDArray[np.int64]) -> NDArray[np.int16]:
        """Read clips from the disk, past the memory map.

        Threads may call this at once. What is read stays in no mapping of this process, so
        memory is bounded by what the caller keeps, also for a cache larger than memory.

        Args:
            clips: (num,) positions in any order; the same one may come twice.

        Returns:
            (num, time), in the order asked.

        Raises:
            IndexError: a position is not in [0, clips).
            DataError: the file has changed since it was opened. One that took its place does not
                matter.
        """
        assert self.opened is not None
        return read_rows(self.opened, self.samples, clips)

    def with_classes(
        self, class_of: Callable[[str], str], class_names: Sequence[str]
    ) -> "Waveforms":
        """Return the same clips with classes that follow from their names.

        Args:
            class_of: Class name of a clip name.
            class_names: All of them, sorted.
        """
        label_of = {name: label for label, name in enumerate(class_names)}
        labels = [label_of[class_of(name)] for name in self.clip_names]
        digest = hashlib.sha256(json.dumps([self.digest, list(class_names), labels]).encode())
        return replace(
            self,
            labels=np.array(labels, dtype=np.int64),
            class_names=tuple(class_names),
            digest=digest.hexdigest(),
        )


def build_cache(
    folder: Path,
    list_clips: Callable[[Path], Listing],
    *,
    remedy: str,
    fingerprint: str = "",
    unpacked_fingerprint: str = "",
    progress: Progress | None = None,
) -> Waveforms:
    """Open the cache in `folder`, made first where it is absent or visibly damaged.

    Any number of processes may call this at once: one makes the cache, the others wait for it.

    Args:
        folder: The cache; its parent is created.
        list_clips: Finds the clips. It is given an empty folder that becomes part of the
            cache, for what it has to make itself.
        remedy: What a user runs when the cache is damaged.
        fingerprint: Of the recordings, where they are at hand; a cache made from others is made
            again.
        unpacked_fingerprint: Another that will do, of a cache that was made from an archive.
        progress: Called with (phase, done, total).

    Raises:
        DataError: a clip cannot be used.
    """
    accepted = tuple(filter(None, (fingerprint, unpacked_fingerprint)))
    # Without the lock where the cache stands, so that it may lie on a disk that is read only.
    with contextlib.suppress(DataError):
        waveforms = open_cache(folder, remedy=remedy, fingerprints=accepted)
        _delete_stale(folder)
        return waveforms
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_lock_file(folder)):
        if folder.exists():
            try:
                return open_cache(folder, remedy=remedy, fingerprints=accepted)
            except DataError as error:
                # Without its last part, the remedy, which is what happens here.
                logger.warning("making the cache again: %s", str(error).rsplit("; ", 1)[0])
        with _aside(folder) as partial:
            source = partial / "clips"
            source.mkdir()
            _write(partial, list_clips(source), fingerprint, progress)
            if not any(source.iterdir()):
                source.rmdir()
            # Rename last: a killed or failed preparation leaves what was there before.
            _put_in_place(partial, folder)
        return open_cache(folder, remedy=remedy)


def open_cache(folder: Path, *, remedy: str, fingerprints: tuple[str, ...] = ()) -> Waveforms:
    """Map the cache in `folder` after checking its metadata and the size of its samples.

    Raises:
        DataError: the cache is absent, truncated, of another format, or of other recordings than
            those that have one of `fingerprints`, where some are given.
    """
    if not folder.is_dir():
        raise DataError(f"cache {folder}: not prepared; run '{remedy}'")
    try:
        metadata = read_metadata(folder)
        made_from = str(metadata["source"]).split()
        if fingerprints and not set(fingerprints).intersection(made_from):
            raise DataError(
                f"cache {folder}: made from other recordings than are there now; run '{remedy}'"
            )
        return _open(folder, metadata)
    # RecursionError: of json, where brackets are nested too deep.
    except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError) as error:
        raise _damaged(folder, str(error), remedy) from error


def verify_cache(folder: Path, *, remedy: str, progress: Progress | None = None) -> Waveforms:
    """Open the cache and read all of it to compare its checksum.

    Raises:
        DataError: the cache is absent or damaged.
    """
    waveforms = open_cache(folder, remedy=remedy)
    expected = read_metadata(folder)["samples_sha256"]
    actual = file_sha256(waveforms.samples_path, waveforms.samples, progress)
    if actual != expected:
        reason = f"{SAMPLES_FILE} has sha256 {actual[:12]}…, expected {expected[:12]}…"
        raise _damaged(folder, reason, remedy)
    return waveforms


def _damaged(folder: Path, reason: str, remedy: str) -> DataError:
    reason = " ".join(reason.split())
    return DataError(f"cache {folder}: damaged: {reason}; delete the folder and run '{remedy}'")


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _partial_prefix(folder: Path) -> str:
    return f".{folder.name}.partial-"


def _stale(folder: Path) -> list[Path]:
    """What a killed preparation left beside `folder`, where the caller holds the lock."""
    return list(folder.parent.glob(f"{_partial_prefix(folder)}*"))


def _delete_stale(folder: Path) -> None:
    """Delete what a killed preparation left, unless another process is preparing."""
    if not _stale(folder):
        return
    with contextlib.suppress(Timeout, OSError), FileLock(_lock_file(folder), timeout=0):
        for stale in _stale(folder):
            shutil.rmtree(stale, ignore_errors=True)


def _put_in_place(partial: Path, folder: Path) -> None:
    """Rename `partial` to `folder`; what was there goes last, since to delete it takes time."""
    old = partial.with_name(f"{partial.name}-old")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Folder beside `folder` to write in; removed on an error, and at the next try on a kill."""
    for stale in _stale(folder):
        shutil.rmtree(stale, ignore_errors=True)
    # A name of its own each time: a worker that outlives its parent must not write in ours.
    partial = Path(tempfile.mkdtemp(prefix=_partial_prefix(folder), dir=folder.parent))
    partial.chmod(0o755)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(folder: Path, listing: Listing, fingerprint: str, progress: Progress | None) -> None:
    clips = listing.clips
    _check_splits(folder, clips)
    class_names = listing.class_names or tuple(sorted({clip.class_name for clip in clips}))
    label_of = {name: label for label, name in enumerate(class_names)}
    checksum = write_samples(
        folder / SAMPLES_FILE,
        [clip.path for clip in clips],
        clip_length=listing.clip_length,
        required_sample_rate=listing.required_sample_rate,
        progress=progress,
    )
    if listing.expected_sha256 not in (None, checksum):
        raise DataError(
            f"clips of {clips[0].path.parents[1]}: decoded to sha256 {checksum[:12]}…, expected "
            f"{str(listing.expected_sha256)[:12]}…; check the disk and run it again"
        )
    content = {
        "source": " ".join(dict.fromkeys(filter(None, [fingerprint, *listing.fingerprints]))),
        "archives": listing.archives,
        "sample_rate": SAMPLE_RATE,
        "shape": [len(clips), listing.clip_length],
        "samples_sha256": checksum,
        "class_names": class_names,
        "labels": [label_of[clip.class_name] for clip in clips],
        "splits": [clip.split for clip in clips],
        "speakers": [clip.speaker for clip in clips],
        "clip_names": [clip.name for clip in clips],
    }
    write_metadata(folder, content)


def _check_splits(folder: Path, clips: list[ClipFile]) -> None:
    counts = Counter(clip.split for clip in clips)
    if empty := [split for split in SPLITS if not counts[split]]:
        place = clips[0].path.parents[1] if clips else folder
        there = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
        raise DataError(
            f"clips of {place}: none is in split {', '.join(empty)} ({there}), expected some in "
            "each; restore recordings and lists from the dataset's archive"
        )


def _open(folder: Path, metadata: dict[str, Any]) -> Waveforms:
    opened = SamplesFile(folder / SAMPLES_FILE)
    return Waveforms(
        samples=map_samples(opened, tuple(metadata["shape"])),
        labels=np.array(metadata["labels"], dtype=np.int64),
        splits=tuple(metadata["splits"]),
        speakers=tuple(metadata["speakers"]),
        clip_names=tuple(metadata["clip_names"]),
        class_names=tuple(metadata["class_names"]),
        sample_rate=metadata["sample_rate"],
        digest=metadata["digest"],
        samples_path=opened.path,
        opened=opened,
    )
