"""The array file of a cache: mapped, read row by row, summed up."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.errors import DataError

SAMPLES_FILE = "waveforms.npy"
_BLOCK_BYTES = 2**22

Samples = np.memmap[Any, np.dtype[np.int16]]


def map_samples(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.int16]]:
    # Mode "r", not "c": a private map that could be written counts in full against the limits on
    # memory, and the largest caches are larger than that.
    samples = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(samples, np.memmap):
        raise ValueError(f"{path.name} is no array file")
    if samples.shape != shape or samples.dtype != np.int16:
        raise ValueError(f"{path.name} is {samples.dtype} {samples.shape}, expected int16 {shape}")
    expected_bytes = samples.offset + samples.nbytes
    if path.stat().st_size != expected_bytes:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, expected {expected_bytes}")
    return samples


def read_rows(path: Path, samples: Samples, clips: NDArray[np.int64]) -> NDArray[np.int16]:
    """Read rows of the file behind `samples`, past the map; see `Waveforms.read`."""
    num_clips, length = samples.shape
    if len(clips) and not 0 <= clips.min() <= clips.max() < num_clips:
        raise IndexError(f"clips: {clips.min()} to {clips.max()}, expected 0 to {num_clips - 1}")
    rows = np.empty((len(clips), length), dtype=np.int16)
    file = os.open(path, os.O_RDONLY)
    try:
        # The cache may have been made again, from other recordings, since it was mapped.
        if (size := os.fstat(file).st_size) != samples.offset + samples.nbytes:
            raise DataError(
                f"{path}: {size} bytes, expected {samples.offset + samples.nbytes}: changed since "
                "it was opened; start again"
            )
        # Ascending: rows that lie together are read together.
        for place in np.argsort(clips, kind="stable"):
            position = samples.offset + int(clips[place]) * rows.strides[0]
            _read_row(file, rows[place], position, path)
    finally:
        os.close(file)
    return rows


def _read_row(file: int, row: NDArray[np.int16], position: int, path: Path) -> None:
    buffer = row.data.cast("B")
    while buffer:
        count = os.preadv(file, [buffer], position)
        if not count:
            raise DataError(f"{path}: ends at byte {position}; prepare the dataset again")
        buffer, position = buffer[count:], position + count


def samples_sha256(samples: NDArray[np.int16]) -> str:
    """Return the sha256 of all samples as little-endian int16, read a block at a time."""
    checksum = hashlib.sha256()
    for start in range(0, len(samples), 512):
        checksum.update(samples[start : start + 512].astype("<i2").tobytes())
    return checksum.hexdigest()


def file_sha256(
    path: Path, samples: Samples, progress: Callable[[str, int, int], None] | None
) -> str:
    """Return `samples_sha256` of the file behind `samples`, with ("check", bytes, bytes)."""
    # Read, not mapped: a mapping of a cache larger than memory would push out all else.
    checksum, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        file.seek(samples.offset)
        while block := file.read(_BLOCK_BYTES):
            checksum.update(block)
            done += len(block)
            if progress is not None:
                progress("check", done, samples.nbytes)
    return checksum.hexdigest()
