"""Trials that are killed: each runs in a process of its own, forked from one that has torch."""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch
from tiny import tiny_config

from clar_sweeps import records
from clar_sweeps.checkpoint import load_checkpoint
from clar_sweeps.config import Trial, make_trial
from clar_sweeps.trainer import run_trial

# An epoch takes a few hundredths of a second.
QUICK = {
    "features": {"num_bands": 8, "window_length": 256, "hop_length": 1024, "n_fft": 256},
    "epochs": 3,
    "eval_every": 3,
    "augment": ["TM"],
    "method": "supervised",
    "label_fraction": 0.5,
    "precision": "float32",
}

# So long that it trains by then: to write a stack while the interpreter goes on, without its lock,
# may crash it.
HANG_PATIENCE_SECONDS = 2.0


def quick_trial(**fields: object) -> Trial:
    return make_trial(tiny_config(**{**QUICK, **fields}))


def started(function: Callable[..., None], *arguments: object) -> ForkServerProcess:
    """A process that runs a function; torch is imported once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["clar_sweeps.trainer", "torch._dynamo"])
    process = context.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def train(run: Path, cache: Path, patience_seconds: float | None = None) -> None:
    os.environ["CLAR_SWEEPS_CACHE"] = str(cache)
    torch.set_num_threads(1)
    ended = run_trial(quick_trial(), run, lambda row: None, patience_seconds=patience_seconds)
    assert ended == "done"


def train_and_die_at(run: Path, cache: Path, number: int) -> None:
    """Train, and be killed just before the given sync or rename, counted from 1."""
    left = number

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        return call

    os.fsync, os.replace = counted(os.fsync), counted(os.replace)
    train(run, cache)


def train_and_die_between_renames(run: Path, cache: Path, epoch: int) -> None:
    """Train, and be killed where the checkpoint of an epoch is about to take its place."""
    replace, seen = os.replace, 0

    def call(source: Any, target: Any) -> None:
        nonlocal seen
        seen += Path(target).name == "checkpoint.pt"
        if seen == epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = call  # type: ignore[assignment]
    train(run, cache)


def train_and_hang(run: Path, cache: Path, how: str) -> None:
    """Train, and stand still in the middle of the first epoch."""
    from clar_sweeps.trainer.trainer import Trainer

    def stand_still(trainer: Trainer) -> None:
        if how == "holding the interpreter":
            _ = 7 ** (7**10)  # minutes within one call of C
        time.sleep(600)

    Trainer.train_epoch = stand_still  # type: ignore[assignment,method-assign]
    if how == "in a thread":  # as Ray does it
        thread = threading.Thread(target=train, args=(run, cache, HANG_PATIENCE_SECONDS))
        thread.start()
        thread.join()
    train(run, cache, HANG_PATIENCE_SECONDS)


def train_on_a_disk_that_is_full(run: Path, cache: Path) -> None:
    """Train on a disk whose free space grows from call to call; see `small_disk`."""
    from clar_sweeps.errors import DiskFullError

    folder, ballast = records.trial_folder(run, quick_trial()), run / "ballast"
    free, messages = 0, []
    while True:
        space = os.statvfs(run)
        there = ballast.stat().st_size if ballast.exists() else 0
        size = max(0, space.f_bavail * space.f_frsize + there - free)
        with ballast.open("ab") as file:
            file.truncate(min(there, size))
            os.posix_fallocate(file.fileno(), 0, max(1, size))
        before = max(_epochs(folder), default=0)
        try:
            train(run, cache)
            break
        except DiskFullError as error:
            messages.append(str(error))
        assert max(_epochs(folder), default=0) >= before
        for path in (*folder.glob("config.json"), *folder.glob("history.jsonl")):
            assert path.read_bytes()[-1:] in (b"", b"\n"), f"{path} is cut"
        free += 4096 if free < 4096 else 24_576  # the smallest files fit a page
    (run / "messages.json").write_text(json.dumps(messages))


def _epochs(folder: Path) -> list[int]:
    """Epochs of the checkpoints that could be gone on from."""
    paths = [folder / name for name in ("checkpoint.pt", "checkpoint.previous.pt")]
    states = [load_checkpoint(path, trial_id=quick_trial().id) for path in paths if path.exists()]
    return [state["epoch"] for state in states]


def numbers_of(run: Path) -> tuple[Any, Any, dict[str, torch.Tensor]]:
    """All that must not depend on kills: metrics, history less times, and weights."""
    folder = records.trial_folder(run, quick_trial())
    record = records.read_record(folder)
    assert record.state == "done"
    history = [{k: v for k, v in row.items() if "second" not in k} for row in record.history]
    state = load_checkpoint(folder / "checkpoint.pt", trial_id=record.trial.id)
    return record.summary["metrics"], history, {**state["encoder"], **state["projection_head"]}


def assert_equal_numbers(run: Path, other: Path) -> None:
    (metrics, history, weights), (others, other_history, other_weights) = map(
        numbers_of, (run, other)
    )
    assert metrics == others
    assert history == other_history
    assert weights.keys() == other_weights.keys()
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
