"""Ranks as processes of their own, forked from one that has imported torch once for all."""

import io
import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from clar_sweeps.trainer.rendezvous import Host, Meeting, joined

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["clar_sweeps.trainer"])
_SECONDS = 300.0

# Called as `work(ranks, *arguments)` in each rank; gives plain values and tensors.
Work = Callable[..., Any]


def on_ranks(size: int, work: Work, *arguments: Any) -> list[Any]:
    """What the work gives on each of so many ranks."""
    pipes, processes = [], []
    for rank in range(size):
        ours, theirs = _FORKING.Pipe()
        process = _FORKING.Process(target=_run, args=(rank, size, theirs, work, arguments))
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        meeting = _receive(pipes[0])
        for pipe in pipes[1:]:
            pipe.send(meeting)
        return [_receive(pipe) for pipe in pipes]
    finally:
        for process in processes:
            process.join(timeout=10)
            process.kill()


def _receive(pipe: Connection) -> Any:
    assert pipe.poll(_SECONDS), "a rank says nothing"
    error, content = pipe.recv()
    assert not error, error
    return torch.load(io.BytesIO(content), weights_only=True)


def _send(pipe: Connection, answer: Any) -> None:
    buffer = io.BytesIO()
    torch.save(answer, buffer)
    pipe.send(("", buffer.getvalue()))


def _run(rank: int, size: int, pipe: Connection, work: Work, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    try:
        if rank == 0:
            host = Host(size, patience_seconds=_SECONDS)
            _send(pipe, tuple(host.meeting))
            with host.joined(why_lost=str, is_lost=lambda: False) as ranks:
                answer = work(ranks, *arguments)
        else:
            with joined(Meeting(*pipe.recv()), rank=rank) as ranks:
                answer = work(ranks, *arguments)
        _send(pipe, answer)
    except Exception:
        pipe.send((traceback.format_exc(), b""))
