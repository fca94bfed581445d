"""The samples of a cache: clips decoded side by side, written one after another."""

import contextlib
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.data.decoding import ClipError, decode_clip
from clar_sweeps.errors import DataError

# On two cores, with files in memory, one thread decodes 8,000 WAV files of 1 s a second and two
# 5,000 (the interpreter lock), but of Ogg files of 5 s 140 and 270. More threads change neither.
_MOST_WORKERS = 8
_CLIPS_A_TASK = 16
_TASKS_A_WORKER = 4
_NUM_NAMED = 3

Task = tuple[list[NDArray[np.int16]], list[ClipError]]


class Decoding(NamedTuple):
    """How each clip is decoded; see `decode_clip`."""

    clip_length: int
    required_sample_rate: int | None


def write_samples(
    target: Path,
    clips: Sequence[Path],
    *,
    clip_length: int,
    required_sample_rate: int | None,
    progress: Callable[[str, int, int], None] | None = None,
) -> str:
    """Decode clips into an array file, (clips, time) int16, in their order.

    Memory holds some hundred clips at a time, whatever their number. Where a clip cannot be
    used, the others are still read, so that the error tells of all.

    Args:
        target: The .npy file to write.
        clips: Sound files.
        clip_length: Samples at 16 kHz of each clip.
        required_sample_rate: Hz that each file must have; None resamples what it has.
        progress: Called with ("decode", done, total).

    Returns:
        The sha256 of all samples as little-endian int16, in hex.

    Raises:
        DataError: clips that cannot be used, or less free disk than the samples need.
    """
    _check_space(target, num_bytes=2 * clip_length * len(clips))
    decoding = Decoding(clip_length, required_sample_rate)
    checksum, failures, done = hashlib.sha256(), list[ClipError](), 0
    # Closing: on a fault or Ctrl-C nothing goes on decoding.
    with target.open("wb") as file, contextlib.closing(_decoded(clips, decoding)) as blocks:
        _write_header(file, (len(clips), clip_length))
        for rows, failed in blocks:
            failures += failed
            if not failures:
                block = np.stack(rows).astype("<i2", copy=False).tobytes()
                checksum.update(block)
                file.write(block)
            done = min(done + _CLIPS_A_TASK, len(clips))
            if progress is not None:
                progress("decode", done, len(clips))
    if failures:
        raise _summary(failures, len(clips))
    return checksum.hexdigest()


def _check_space(target: Path, *, num_bytes: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if num_bytes > free:
        raise DataError(
            f"{target.parent.parent}: {free / 1e9:.1f} GB are free, expected "
            f"{num_bytes / 1e9:.1f} GB for the decoded clips; free some space, or set "
            "CLAR_SWEEPS_CACHE to a folder on another disk"
        )


def _write_header(file: BinaryIO, shape: tuple[int, int]) -> None:
    header = {"descr": "<i2", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _decoded(clips: Sequence[Path], decoding: Decoding) -> Generator[Task, None, None]:
    """Blocks of clips in order; never more than a few blocks a worker are decoded ahead."""
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    blocks = (clips[i : i + _CLIPS_A_TASK] for i in range(0, len(clips), _CLIPS_A_TASK))
    ahead: deque[Future[Task]] = deque()
    # Threads: libsndfile and soxr let go of the interpreter lock.
    with ThreadPoolExecutor(workers) as pool:
        try:
            for block in blocks:
                ahead.append(pool.submit(_decode, block, decoding))
                if len(ahead) >= workers * _TASKS_A_WORKER:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _decode(clips: Sequence[Path], decoding: Decoding) -> Task:
    rows, failures = [], []
    for path in clips:
        try:
            rows.append(decode_clip(path, **decoding._asdict()))
        except ClipError as error:
            failures.append(error)
    return rows, failures


def _summary(failures: list[ClipError], num_clips: int) -> DataError:
    if len(failures) == 1:
        return failures[0]
    named = "; ".join(f"{failure.path} {failure.reason}" for failure in failures[:_NUM_NAMED])
    more = "" if len(failures) <= _NUM_NAMED else f", the first {_NUM_NAMED}"
    return DataError(
        f"{len(failures)} of {num_clips} clips cannot be used{more}: {named}; delete the files or "
        "restore them from the dataset's archive"
    )
