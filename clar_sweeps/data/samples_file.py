"""The array file of a cache: mapped, read row by row, summed up."""

import hashlib
import os
import tokenize
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.errors import DataError

SAMPLES_FILE = "waveforms.npy"
_BLOCK_BYTES = 2**22

Samples = np.memmap[Any, np.dtype[np.int16]]


class SamplesFile:
    """An array file, open as long as this object lives.

    A cache that is made again takes its path; what is open stays the file that was opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY)
        # Not at exit: threads may be reading, and the system closes it then.
        weakref.finalize(self, os.close, self.descriptor).atexit = False

    def num_bytes(self) -> int:
        return os.fstat(self.descriptor).st_size


def map_samples(opened: SamplesFile, shape: tuple[int, ...]) -> Samples:
    name = opened.path.name
    with open(opened.descriptor, "rb", closefd=False) as file:
        found_shape, dtype = _read_header(file, name)
        if found_shape != shape or dtype != np.int16:
            raise ValueError(f"{name} is {dtype} {found_shape}, expected int16 {shape}")
        expected_bytes = file.tell() + 2 * int(np.prod(shape))
        if opened.num_bytes() != expected_bytes:
            raise ValueError(f"{name} has {opened.num_bytes()} bytes, expected {expected_bytes}")
        # Mode "r", not "c": a private map that could be written counts in full against the limits
        # on memory, and the largest caches are larger than that.
        return np.memmap(file, dtype=np.int16, mode="r", offset=file.tell(), shape=shape)


def _read_header(file: BinaryIO, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file)
    # What numpy's parser of Python literals raises where the header is no literal.
    except (SyntaxError, tokenize.TokenError, RecursionError, MemoryError) as error:
        raise ValueError(f"{name} has no header of an array ({error})") from error
    if version != (1, 0) or in_columns:
        raise ValueError(f"{name} is an array of another form, expected rows, version 1.0")
    return shape, dtype


def read_rows(opened: SamplesFile, samples: Samples, clips: NDArray[np.int64]) -> NDArray[np.int16]:
    """Read rows of the file behind `samples`, past the map; see `Waveforms.read`."""
    num_clips, length = samples.shape
    if len(clips) and not 0 <= clips.min() <= clips.max() < num_clips:
        raise IndexError(f"clips: {clips.min()} to {clips.max()}, expected 0 to {num_clips - 1}")
    rows = np.empty((len(clips), length), dtype=np.int16)
    if (size := opened.num_bytes()) != samples.offset + samples.nbytes:
        raise DataError(
            f"{opened.path}: {size} bytes, expected {samples.offset + samples.nbytes}: changed "
            "since it was opened; start again"
        )
    # Ascending: rows that lie together are read together.
    for place in np.argsort(clips, kind="stable"):
        position = samples.offset + int(clips[place]) * rows.strides[0]
        _read_row(opened, rows[place], position)
    return rows


def _read_row(opened: SamplesFile, row: NDArray[np.int16], position: int) -> None:
    buffer = row.data.cast("B")
    while buffer:
        count = os.preadv(opened.descriptor, [buffer], position)
        if not count:
            raise DataError(f"{opened.path}: ends at byte {position}; prepare the dataset again")
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
