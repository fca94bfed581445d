"""Loops compiled for a CPU, and work shared out among its threads.

numba compiles a loop when it is first called, and keeps the result beside its file or in the user's
cache. Inner loops run over slices from 0: an index that might be negative, or a stride that is not
known, keeps the compiler from using vectors, and a loop is then four times as slow.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

import numba
import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Item = TypeVar("Item")

# Numbers to write: below, to call a thread takes as long as the loop.
_WORTH_A_THREAD = 1 << 19

_HOW: dict[str, Any] = {"nogil": True, "fastmath": True, "error_model": "numpy"}


def compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """Compile a loop over rows, `loop(first, last, ...)`, which writes into arrays it is given."""
    kernel: Callable[..., None]
    try:
        kernel = numba.njit(loop, cache=True, **_HOW)
    except RuntimeError:  # no folder to keep it in, neither here nor at home
        kernel = numba.njit(loop, **_HOW)
    return kernel


def by_rows(kernel: Callable[..., None], rows: int, *arguments: Any) -> None:
    """Call `kernel(first, last, *arguments)` for all rows, shared out among torch's threads.

    A row's numbers do not depend on how many threads there are. The last argument is what the
    kernel writes.
    """
    num_threads = min(torch.get_num_threads(), rows)
    if num_threads < 2 or arguments[-1].size < _WORTH_A_THREAD:
        kernel(0, rows, *arguments)
        return
    bounds = [rows * part // num_threads for part in range(num_threads + 1)]
    calls = [_threads(num_threads).submit(kernel, *part, *arguments) for part in pairwise(bounds)]
    for call in calls:
        call.result()


def share_out(work: Callable[[Item], None], items: Sequence[Item]) -> None:
    """Call `work(item)` for each item, by as many threads as torch has, each alone with its item.

    An item's numbers stay in the cache of one core from its first operation to its last, which
    they do not where each operation shares itself out. It pays where an item takes a millisecond.
    """
    num_threads = torch.get_num_threads()
    if num_threads < 2 or len(items) < 2:
        for item in items:
            work(item)
        return
    calls = [_threads(num_threads).submit(_alone, work, item) for item in items]
    try:
        for call in calls:
            call.result()
    finally:
        torch.set_num_threads(num_threads)  # as a thread that begins later has it


def _alone(work: Callable[[Item], None], item: Item) -> None:
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)  # for this thread: those that run have each their own number
    work(item)


@lru_cache(maxsize=1)
def _threads(number: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(number)
