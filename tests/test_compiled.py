"""Loops over rows: compiled also where nothing can be kept, and shared out among threads."""

import threading
from typing import Any

import numba
import numpy as np
import pytest
import torch

from clar_sweeps import compiled


def number_rows(first: int, last: int, output: compiled.Floats) -> None:
    for row in range(first, last):
        output[row] = row


def test_a_loop_is_compiled_where_there_is_no_folder_to_keep_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    njit = numba.njit

    def njit_without_folder(loop: Any, *, cache: bool = False, **how: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function 'number_rows': no locator available")
        return njit(loop, **how)

    monkeypatch.setattr(numba, "njit", njit_without_folder)
    output = np.zeros(3, np.float32)
    compiled.by_rows(compiled.compiled(number_rows), 3, output)
    assert output.tolist() == [0, 1, 2]


@pytest.mark.parametrize("num_threads", [1, 2, 3, 7])
def test_threads_share_all_rows(num_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_WORTH_A_THREAD", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    output = np.full(5, -1, np.float32)
    parts: list[tuple[int, int]] = []

    def kept(first: int, last: int, output: compiled.Floats) -> None:
        parts.append((first, last))
        number_rows(first, last, output)

    compiled.by_rows(kept, 5, output)
    assert output.tolist() == [0, 1, 2, 3, 4]
    assert len(parts) == min(num_threads, 5)
    compiled._threads.cache_clear()


def test_shared_out_work_is_done_by_threads_in_each_of_which_torch_is_alone() -> None:
    before = torch.get_num_threads()
    seen: dict[int, tuple[int, int]] = {}

    def work(item: int) -> None:
        seen[item] = threading.get_ident(), torch.get_num_threads()

    try:
        torch.set_num_threads(2)
        compiled.share_out(work, range(5))
        assert sorted(seen) == [0, 1, 2, 3, 4]
        assert {number for _, number in seen.values()} == {1}
        assert threading.get_ident() not in {thread for thread, _ in seen.values()}
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert (torch.get_num_threads(), later) == (2, [2])
    finally:
        torch.set_num_threads(before)


def test_a_fault_in_shared_out_work_is_raised() -> None:
    before = torch.get_num_threads()

    def work(item: int) -> None:
        if item == 3:
            raise ValueError("item 3")

    try:
        for torch_threads in (1, 2):
            torch.set_num_threads(torch_threads)
            with pytest.raises(ValueError, match="item 3"):
                compiled.share_out(work, range(5))
    finally:
        torch.set_num_threads(before)
