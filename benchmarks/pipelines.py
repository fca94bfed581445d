"""Clips a second end to end, ours against the usual stacks of libraries.

    python -m benchmarks.pipelines --out benchmarks/results/pipelines.json

From int16 waveforms in memory to the optimizer's step: two views, features, encoder forwards and
backwards, loss. All train by `Trainer`'s loop, with the same encoder, batch, precision and AdamW;
a stack has a DataLoader, operations and features of libraries in the place of ours (`stacks`,
`stack_trainer`). A round is a whole epoch of each; nothing is read ahead of it. "Training alone"
has its features ready, so that no pipeline is faster. On a machine with a GPU it runs there. Takes
six minutes on two cores and ten on one (`taskset -c 1`); needs the extra `benchmarks`.
"""

import argparse
import dataclasses
import itertools
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measuring import (
    Contender,
    Rate,
    machine,
    num_cores,
    number,
    side_by_side,
    table_of,
    write_result,
)
from benchmarks.stack_trainer import InTurn, StackTrainer
from benchmarks.stacks import STACKS, Chain
from benchmarks.step import SIZES, Size, config_of
from clar_sweeps import data
from clar_sweeps.augment import build_chain
from clar_sweeps.config import TrialConfig
from clar_sweeps.trainer import Trainer

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GOAL = {"cpu": 5, "cuda": 20}[DEVICE]  # times the best stack, at the quickstart's width
OURS, ALONE = "ours", "training alone"
# Those of Figure 4, a pair of one operation being that operation.
OPERATIONS = ("PS", "FD", "WN", "TM", "TS", "TST")
PAIRS = [tuple(dict.fromkeys(pair)) for pair in itertools.product(OPERATIONS, repeat=2)]
_STEPS_OF_A_TRY = 4
PACKAGES = (
    "clar-sweeps",
    "torch",
    "torchaudio",
    "nnAudio",
    "audiomentations",
    "python-stretch",
    "torch-audiomentations",
    "librosa",
    "numpy",
    "numba",
)


class Case(NamedTuple):
    """An encoder, and the chains that take turns on it, a step each.

    steps: Of an epoch.
    batch_steps: Of an epoch of a stack that changes batches, as the one with pitch shift by
        torch-audiomentations takes seconds each; None is all of them.
    """

    size: Size
    chains: Sequence[Chain]
    steps: int
    batch_steps: int | None = None

    @property
    def title(self) -> str:
        """The encoder, and the chain or how many there are."""
        one, *others = ("+".join(chain) for chain in self.chains)
        chains = f"mean of {len(self.chains)} pairs" if others else one
        return f"{self.size.title}: {chains}"


class Pipeline(NamedTuple):
    """A trainer, with what an epoch of it is and how many threads it trains on."""

    name: str
    trainer: Trainer
    steps: int
    threads: int

    def epoch(self) -> int:
        """Train for an epoch, to its end on the device; gives its number of clips."""
        torch.set_num_threads(self.threads)
        self.trainer.training_set.steps_per_epoch = self.steps
        self.trainer.train_epoch()
        return self.trainer.training_set.clips_per_epoch


_FULL_2D, _, _SMALL_2D, _ = SIZES
CASES = (
    Case(_SMALL_2D, [("FD", "TM")], steps=12),
    Case(_SMALL_2D, [("WN", "FD")], steps=12),
    Case(_SMALL_2D, [("PS", "TST")], steps=8, batch_steps=2),
    Case(_SMALL_2D, PAIRS, steps=len(PAIRS)),
    Case(_FULL_2D, [("PS", "TST")], steps=2),
)


def main() -> None:
    """Measure, print, and write the numbers where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1024 if DEVICE == "cuda" else 64)
    parser.add_argument("--threads", type=int, default=num_cores(), help="of the trainer")
    parser.add_argument("--workers", type=int, default=num_cores(), help="of each DataLoader")
    parser.add_argument("--only", default="", help="the cases that have this in their name")
    parser.add_argument("--out", type=Path, help="JSON file; the table goes beside it as .md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the libraries'
    clips = data.prepare("spoken-digits", condition="medium")
    found: dict[str, dict[str, Rate]] = {}
    threads: dict[str, dict[str, int]] = {}
    cases = {case.title: case for case in CASES if options.only in case.title}
    for place, (name, case) in enumerate(cases.items()):
        print(f"{place + 1} of {len(cases)}, {name}", flush=True)
        pipelines = build(
            case, clips, batch=options.batch, workers=options.workers, threads=options.threads
        )
        threads[name] = {each.name: each.threads for each in pipelines}
        epochs = [Contender(each.name, each.epoch) for each in pipelines]
        found[name] = side_by_side(epochs, rounds=options.rounds, is_warm=True)
        print(table_of(rows_of({name: found[name]})), flush=True)
        if options.out:
            write(options, found, threads)


def write(
    options: argparse.Namespace,
    found: dict[str, dict[str, Rate]],
    threads: dict[str, dict[str, int]],
) -> None:
    """Write what was found so far, with who did what in which stack."""
    described = machine(PACKAGES)
    if DEVICE == "cuda":
        described["gpu"] = torch.cuda.get_device_name()
    facts = ", ".join(f"{key} {value}" for key, value in described.items())
    write_result(
        options.out,
        {
            "machine": described,
            "threads": threads,
            "workers": options.workers,
            "batch": options.batch,
            "rounds": options.rounds,
            "goal": GOAL,
            "libraries": {stack.name: stack.libraries for stack in STACKS},
            "clips_per_second": {
                name: {who: rate._asdict() for who, rate in rates.items()}
                for name, rates in found.items()
            },
        },
        title="Pipelines, end to end",
        told=(
            f"Clips of one second a second, two views each, batches of {options.batch}: median "
            f"(lowest-highest) of {options.rounds} interleaved rounds. Workers of a DataLoader: "
            f"{options.workers}; most threads that train: {options.threads}. "
            f"Goal at the quickstart's width: ours at least {GOAL} times the best stack. {facts}."
        ),
        table=f"{table_of(rows_of(found))}\n\nWho does what:\n\n{table_of(library_rows())}",
    )


def rows_of(found: dict[str, dict[str, Rate]]) -> list[list[str]]:
    """Table rows: ours, the best stack, how many times that is ours, the limit, the others."""
    rows = [["encoder and chain", OURS, "best stack", "ratio", ALONE, "other stacks"]]
    for name, rates in found.items():
        stacks = [(who, rate) for who, rate in rates.items() if who not in (OURS, ALONE)]
        (best, rate), *others = sorted(stacks, key=lambda stack: -stack[1].median)
        ratio = f"{rates[OURS].median / rate.median:.1f}"
        rest = "; ".join(f"{who} {number(each.median)}" for who, each in others)
        limit = number(rates[ALONE].median)
        rows.append([name, str(rates[OURS]), f"{best} {rate}", ratio, limit, rest])
    return rows


def library_rows() -> list[list[str]]:
    """Table rows: the library of each operation, a column a stack."""
    rows = [["operation", *(stack.name for stack in STACKS)]]
    for name in OPERATIONS:
        rows.append([name, *(stack.libraries[name] for stack in STACKS)])
    return rows


def build(
    case: Case, waveforms: data.Waveforms, *, batch: int, workers: int, threads: int
) -> list[Pipeline]:
    """Ours, the stacks, and the training alone: each warm."""
    clips = first_clips(waveforms, case.steps * batch)
    config = config_of(
        case.size,
        case.chains[0],
        batch_size=batch,
        epochs=1000,
        optimizer="adamw",
        learning_rate=2e-3,
        device=DEVICE,
    )
    found = [Pipeline(OURS, our_trainer(config, clips, case.chains), case.steps, threads)]
    for stack in STACKS:
        trainer = StackTrainer(config, clips, stack=stack, chains=case.chains, workers=workers)
        steps = (stack.on_batch and case.batch_steps) or case.steps
        found.append(Pipeline(stack.name, trainer, steps, threads))
    found.append(Pipeline(ALONE, training_alone(config, clips), case.steps, threads))
    for pipeline in found:
        pipeline._replace(steps=1).epoch()  # starts workers, compiles loops and fills caches
    return [_with_best_threads(each) for each in found] if threads > 1 else found


def _with_best_threads(pipeline: Pipeline) -> Pipeline:
    """One thread, which suits some beside busy workers, or all: the faster in a short try."""
    tries = [pipeline._replace(threads=threads) for threads in {1, pipeline.threads}]

    def seconds(each: Pipeline) -> float:
        started = time.perf_counter()
        each._replace(steps=min(each.steps, _STEPS_OF_A_TRY)).epoch()
        return time.perf_counter() - started

    return min(tries, key=seconds)


def first_clips(waveforms: data.Waveforms, num_clips: int) -> data.Waveforms:
    """The first training clips in memory, from the beginning again where there are too few."""
    clips = np.resize(waveforms.indices("train"), num_clips)
    return dataclasses.replace(
        waveforms,
        samples=waveforms.samples[clips],  # type: ignore[arg-type]  # no map, as these are few
        labels=waveforms.labels[clips],
        splits=tuple(waveforms.splits[clip] for clip in clips),
        speakers=tuple(waveforms.speakers[clip] for clip in clips),
        clip_names=tuple(waveforms.clip_names[clip] for clip in clips),
    )


def our_trainer(config: TrialConfig, clips: data.Waveforms, chains: Sequence[Chain]) -> Trainer:
    """`Trainer` as it is, but for the chains that take turns."""
    trainer = Trainer(config, clips)
    trainer.chain = InTurn([build_chain(chain) for chain in chains])  # type: ignore[assignment]  # has what the trainer calls
    return trainer


def training_alone(config: TrialConfig, clips: data.Waveforms) -> Trainer:
    """A trainer that has the features of its views ready, the same ones for each batch."""
    trainer = Trainer(config, clips)
    (waveforms,) = trainer.loader.batches([torch.arange(config.batch_size)])
    ready = _Ready(trainer._inputs(waveforms))
    trainer.loader, trainer.chain = ready, ready  # type: ignore[assignment]  # has what the trainer calls
    trainer.features = nn.Identity()
    return trainer


class _Ready:
    """In the place of a loader and of a chain."""

    def __init__(self, inputs: Tensor) -> None:
        self._inputs = inputs

    def batches(self, clips: Iterable[Tensor]) -> Iterator[Tensor]:
        for _ in clips:
            yield self._inputs

    def two_views(self, inputs: Tensor, *_: Any) -> Sequence[Tensor]:
        return inputs, inputs


if __name__ == "__main__":
    main()
