"""A prepared dataset: int16 waveforms in a memory map, with labels, splits and speakers."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from clar_sweeps.data.decoding import SAMPLE_RATE, decode_clip
from clar_sweeps.errors import DataError

logger = logging.getLogger(__name__)

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Progress = Callable[[str, int, int], None]

FORMAT = 1
SAMPLES_FILE = "waveforms.npy"
METADATA_FILE = "metadata.json"
_PER_CLIP = ("labels", "splits", "speakers", "clip_names")


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
    """

    clips: list[ClipFile]
    clip_length: int
    required_sample_rate: int | None
    expected_sha256: str | None = None


@dataclass(frozen=True, eq=False)
class Waveforms:
    """A dataset as training reads it.

    Attributes:
        samples: (clips, time) int16, mapped copy-on-write: a write stays in this process.
        labels: (clips,) int64 index into `class_names`.
        splits: (clips,) of "train", "valid", "test".
        speakers: (clips,) who or what was recorded; never in two splits.
        clip_names: (clips,) as the dataset names them.
        class_names: Sorted, so that equal words have equal labels in all datasets.
        sample_rate: Hz.
        digest: sha256 over samples, labels, splits, speakers and names, in hex.
    """

    samples: np.memmap[Any, np.dtype[np.int16]]
    labels: NDArray[np.int64]
    splits: tuple[Split, ...]
    speakers: tuple[str, ...]
    clip_names: tuple[str, ...]
    class_names: tuple[str, ...]
    sample_rate: int
    digest: str

    def indices(self, split: Split) -> NDArray[np.int64]:
        """Return the ascending positions of the clips of one split, as int64."""
        if split not in SPLITS:
            raise ValueError(f"split: {split!r} is not one of {', '.join(map(repr, SPLITS))}")
        return np.flatnonzero(np.array(self.splits) == split).astype(np.int64)


def build_cache(
    folder: Path,
    list_clips: Callable[[Path], Listing],
    *,
    remedy: str,
    fingerprint: str = "",
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
        progress: Called with (phase, done, total).

    Raises:
        DataError: a clip cannot be used.
    """
    # Without the lock where the cache stands, so that it may lie on a disk that is read only.
    with contextlib.suppress(DataError):
        return open_cache(folder, remedy=remedy, fingerprint=fingerprint)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if folder.exists():
            try:
                return open_cache(folder, remedy=remedy, fingerprint=fingerprint)
            except DataError as error:
                logger.warning("making the cache again: %s", error)
        with _aside(folder) as partial:
            source = partial / "clips"
            source.mkdir()
            _write(partial, list_clips(source), fingerprint, progress)
            if not any(source.iterdir()):
                source.rmdir()
            # Rename last: a killed or failed preparation leaves what was there before.
            if folder.exists():
                shutil.rmtree(folder)
            partial.rename(folder)
        return open_cache(folder, remedy=remedy)


def open_cache(folder: Path, *, remedy: str, fingerprint: str = "") -> Waveforms:
    """Map the cache in `folder` after checking its metadata and the size of its samples.

    Raises:
        DataError: the cache is absent, truncated, of another format, or of other recordings than
            those of a `fingerprint`.
    """
    if not folder.is_dir():
        raise DataError(f"cache {folder}: not prepared; run '{remedy}'")
    try:
        if fingerprint and _read_metadata(folder).get("source") != fingerprint:
            raise DataError(
                f"cache {folder}: made from other recordings than are there now; run '{remedy}'"
            )
        return _open(folder)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise _damaged(folder, str(error), remedy) from error


def verify_cache(folder: Path, *, remedy: str) -> Waveforms:
    """Open the cache and read all of it to compare its checksum.

    Raises:
        DataError: the cache is absent or damaged.
    """
    waveforms = open_cache(folder, remedy=remedy)
    expected = _read_metadata(folder)["samples_sha256"]
    actual = samples_sha256(waveforms.samples)
    if actual != expected:
        reason = f"{SAMPLES_FILE} has sha256 {actual[:12]}…, expected {expected[:12]}…"
        raise _damaged(folder, reason, remedy)
    return waveforms


def samples_sha256(samples: NDArray[np.int16]) -> str:
    """Return the sha256 of all samples as little-endian int16, read a block at a time."""
    checksum = hashlib.sha256()
    for start in range(0, len(samples), 512):
        checksum.update(samples[start : start + 512].astype("<i2").tobytes())
    return checksum.hexdigest()


def _damaged(folder: Path, reason: str, remedy: str) -> DataError:
    reason = " ".join(reason.split())
    return DataError(f"cache {folder}: damaged: {reason}; delete the folder and run '{remedy}'")


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Folder beside `folder` to write in; removed on an error, and at the next try on a kill."""
    prefix = f".{folder.name}.partial-"
    for stale in folder.parent.glob(f"{prefix}*"):
        shutil.rmtree(stale, ignore_errors=True)
    # A name of its own each time: a worker that outlives its parent must not write in ours.
    partial = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    partial.chmod(0o755)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(folder: Path, listing: Listing, fingerprint: str, progress: Progress | None) -> None:
    clips = listing.clips
    class_names = sorted({clip.class_name for clip in clips})
    samples: np.memmap[Any, np.dtype[np.int16]] = np.lib.format.open_memmap(
        folder / SAMPLES_FILE, mode="w+", dtype=np.int16, shape=(len(clips), listing.clip_length)
    )

    def decode(clip: ClipFile) -> NDArray[np.int16]:
        return decode_clip(
            clip.path,
            clip_length=listing.clip_length,
            required_sample_rate=listing.required_sample_rate,
        )

    # Threads: libsndfile and soxr let go of the interpreter lock.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        try:
            for row, waveform in enumerate(pool.map(decode, clips)):
                samples[row] = waveform
                if progress is not None and ((row + 1) % 100 == 0 or row + 1 == len(clips)):
                    progress("decode", row + 1, len(clips))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    samples.flush()
    checksum = samples_sha256(samples)
    if listing.expected_sha256 not in (None, checksum):
        raise DataError(
            f"clips of {clips[0].path.parents[1]}: decoded to sha256 {checksum[:12]}…, expected "
            f"{str(listing.expected_sha256)[:12]}…; check the disk and run it again"
        )
    metadata: dict[str, Any] = {
        "format": FORMAT,
        "source": fingerprint,
        "sample_rate": SAMPLE_RATE,
        "shape": list(samples.shape),
        "samples_sha256": checksum,
        "class_names": class_names,
        "labels": [class_names.index(clip.class_name) for clip in clips],
        "splits": [clip.split for clip in clips],
        "speakers": [clip.speaker for clip in clips],
        "clip_names": [clip.name for clip in clips],
    }
    metadata["digest"] = _digest(metadata)
    (folder / METADATA_FILE).write_text(json.dumps(metadata), encoding="utf-8")


def _digest(metadata: dict[str, Any]) -> str:
    content = {key: value for key, value in metadata.items() if key != "digest"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read_metadata(folder: Path) -> dict[str, Any]:
    metadata = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
    if not isinstance(metadata, dict):
        raise ValueError(f"{METADATA_FILE} holds no object")
    return metadata


def _open(folder: Path) -> Waveforms:
    metadata = _read_metadata(folder)
    if metadata["format"] != FORMAT:
        raise ValueError(f"format is {metadata['format']}, expected {FORMAT}")
    if _digest(metadata) != metadata["digest"]:
        raise ValueError(f"{METADATA_FILE} does not match its own digest")
    num_clips = metadata["shape"][0]
    for key in _PER_CLIP:
        if len(metadata[key]) != num_clips:
            raise ValueError(f"{key} has {len(metadata[key])} entries, expected {num_clips}")
    return Waveforms(
        samples=_map_samples(folder / SAMPLES_FILE, tuple(metadata["shape"])),
        labels=np.array(metadata["labels"], dtype=np.int64),
        splits=tuple(metadata["splits"]),
        speakers=tuple(metadata["speakers"]),
        clip_names=tuple(metadata["clip_names"]),
        class_names=tuple(metadata["class_names"]),
        sample_rate=metadata["sample_rate"],
        digest=metadata["digest"],
    )


def _map_samples(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.int16]]:
    # Mode "c", not "r": torch.from_numpy warns about an array that it may not write to.
    samples = np.load(path, mmap_mode="c", allow_pickle=False)
    if not isinstance(samples, np.memmap):
        raise ValueError(f"{path.name} is no array file")
    if samples.shape != shape or samples.dtype != np.int16:
        raise ValueError(f"{path.name} is {samples.dtype} {samples.shape}, expected int16 {shape}")
    expected_bytes = samples.offset + samples.nbytes
    if path.stat().st_size != expected_bytes:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, expected {expected_bytes}")
    return samples
