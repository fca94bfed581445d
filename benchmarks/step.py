"""A whole training step over the bare encoder's, and where the rest goes.

    python -m benchmarks.step --out benchmarks/results/step.json

The bare step takes the encoder forwards and backwards on two views that are there already, in the
precision and batch of training. The whole step reads the clips, draws two views, augments them,
computes what the encoder reads, and adds head, loss and optimizer, as `Trainer.train_epoch` does.
Steps of all chains and of the bare encoder take turns. The share of the peak is that of what a
large matrix product reaches here in the same precision. On a machine with a GPU it runs there.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import machine, table_of, write_result
from clar_sweeps import data, rng
from clar_sweeps.config import FeatureConfig, TrialConfig
from clar_sweeps.trainer import Trainer

CHAINS = (("FD", "TM"), ("PS", "TST"))
GOALS = {"FD+TM": 1.10, "PS+TST": 1.25}
SMALL_PICTURE = FeatureConfig(num_bands=40, window_length=512, hop_length=256, n_fft=640)
PACKAGES = ("clar-sweeps", "torch", "numpy", "numba")


class Size(NamedTuple):
    """An encoder as a study has it."""

    title: str
    encoder: str
    width: int
    features: FeatureConfig | None


SIZES = (
    Size("2-D, full width", "resnet18_2d", 64, FeatureConfig()),
    Size("1-D, full width", "resnet18_1d", 64, None),
    Size("2-D, quickstart", "resnet18_2d", 16, SMALL_PICTURE),
    Size("1-D, quickstart", "resnet18_1d", 16, None),
)


class Step(NamedTuple):
    """Milliseconds of a step, medians over the rounds."""

    chain: str
    whole: float
    ratio: float  # over the bare encoder's, median of the rounds' ratios
    lowest: float
    highest: float
    parts: dict[str, float]  # of the whole


class Measured(NamedTuple):
    """One encoder."""

    size: Size
    batch: int
    precision: str
    bare: float  # milliseconds
    teraflops: float  # of the bare encoder, a second
    peak: float
    steps: list[Step]


def main() -> None:
    """Measure, print, and write the numbers where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1024 if torch.cuda.is_available() else 64)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, help="JSON file; the table goes beside it as .md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = []
    for size in SIZES:
        found.append(measure(size, batch=options.batch, rounds=options.rounds))
        print(table_of(rows_of(found[-1:])), flush=True)
    table = table_of(rows_of(found))
    if options.out:
        described = machine(PACKAGES)
        if torch.cuda.is_available():
            described["gpu"] = torch.cuda.get_device_name()
        facts = ", ".join(f"{name} {value}" for name, value in described.items())
        write_result(
            options.out,
            {
                "machine": described,
                "threads": options.threads,
                "rounds": options.rounds,
                "goals": GOALS,
                "measured": [_plain(each) for each in found],
            },
            title="A training step over the bare encoder's",
            told=(
                f"Milliseconds of a step on {options.threads} threads, medians of {options.rounds} "
                "interleaved rounds; ratio of the whole step to the bare encoder's "
                f"(lowest-highest). Goals: at most 1.10 and 1.25 at full width. {facts}."
            ),
            table=table,
        )


def _plain(measured: Measured) -> dict[str, Any]:
    steps = [step._asdict() for step in measured.steps]
    return measured._asdict() | {"size": measured.size.title, "steps": steps}


def rows_of(found: list[Measured]) -> list[list[str]]:
    """Table rows: a line an encoder and chain."""
    head = ["encoder", "chain", "bare", "whole", "ratio", "augment", "features", "optimizer"]
    rows = [[*head, "head, loss, rest", "share of peak"]]
    for each in found:
        for step in each.steps:
            name = f"{each.size.title}, batch {each.batch}, {each.precision}"
            ratio = f"{step.ratio:.2f} ({step.lowest:.2f}-{step.highest:.2f})"
            parts = [f"{step.parts[part]:.1f}" for part in ("augment", "features", "optimizer")]
            rest = step.whole - each.bare - sum(step.parts.values())
            share = f"{each.teraflops / each.peak:.0%}"
            times = [f"{each.bare:.1f}", f"{step.whole:.1f}"]
            rows.append([name, step.chain, *times, ratio, *parts, f"{rest:.1f}", share])
    return rows


def measure(size: Size, *, batch: int, rounds: int) -> Measured:
    """Time one encoder with every chain, and bare."""
    clips = data.prepare("spoken-digits", condition="medium")
    trainers = [trainer_of(size, chain, batch, clips) for chain in CHAINS]
    chosen = torch.from_numpy(clips.indices("train")[:batch])
    bare = _bare_step(trainers[0], chosen)
    bare_times: list[float] = []
    whole_times: list[list[float]] = [[] for _ in trainers]
    parts: list[list[dict[str, float]]] = [[] for _ in trainers]
    for turn in range(rounds + 1):
        seconds = _timed(bare)
        bare_times += [seconds] if turn else []
        for place, trainer in enumerate(trainers):
            spent, seconds = whole_step(trainer, chosen)
            if turn:
                whole_times[place].append(seconds)
                parts[place].append(spent)
    steps = []
    for place, chain in enumerate(CHAINS):
        ratios = [w / b for w, b in zip(whole_times[place], bare_times, strict=True)]
        steps.append(
            Step(
                chain="+".join(chain),
                whole=1e3 * statistics.median(whole_times[place]),
                ratio=statistics.median(ratios),
                lowest=min(ratios),
                highest=max(ratios),
                parts={
                    name: 1e3 * statistics.median(each[name] for each in parts[place])
                    for name in parts[place][0]
                },
            )
        )
    dtype = trainers[0].autocast_dtype or torch.float32
    seconds = statistics.median(bare_times)
    return Measured(
        size=size,
        batch=batch,
        precision=str(dtype).removeprefix("torch."),
        bare=1e3 * seconds,
        teraflops=_flops(bare) / seconds / 1e12,
        peak=_peak_teraflops(dtype, trainers[0].device),
        steps=steps,
    )


def trainer_of(size: Size, chain: tuple[str, ...], batch: int, clips: data.Waveforms) -> Trainer:
    """A trainer of an encoder with a chain of operations on the built-in digits."""
    return Trainer(config_of(size, chain, batch_size=batch), clips)


def config_of(size: Size, chain: Sequence[str], **fields: Any) -> TrialConfig:
    """A trial on the built-in digits; `fields` are those of the config that a script decides."""
    return TrialConfig.model_validate(
        {
            "dataset": "spoken-digits",
            "condition": "medium",
            "encoder": size.encoder,
            "width": size.width,
            "features": size.features,
            "augment": tuple(chain),
            "epochs": 10,
            "warmup_epochs": 1.0,
            **fields,
        }
    )


def _bare_step(trainer: Trainer, clips: Tensor) -> Callable[[], object]:
    (waveforms,) = trainer.loader.batches([clips])
    inputs = [trainer._inputs(view) for view in (waveforms, waveforms.flip(0))]

    def step() -> None:
        trainer.optimizer.zero_grad(set_to_none=True)
        for view in inputs:
            with trainer._autocast():
                representations = trainer.encoder(view)
            representations.sum().backward()

    return step


def whole_step(trainer: Trainer, clips: Tensor) -> tuple[dict[str, float], float]:
    """Seconds of the parts that can be told apart, and of a whole step."""
    spent: dict[str, float] = {"augment": 0.0, "features": 0.0, "optimizer": 0.0}
    views, inputs = trainer._views, trainer._inputs

    def kept(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            _wait(trainer.device)
            started = time.perf_counter()
            answer = function(*arguments)
            _wait(trainer.device)
            spent[name] += time.perf_counter() - started
            return answer

        return timed

    def step(augment: Callable[..., Any], optimize: Callable[[], Any]) -> None:
        trainer.optimizer.zero_grad(set_to_none=True)
        draws = rng.generator(0, "augment", 0, device=trainer.device)
        (waveforms,) = trainer.loader.batches([clips])
        trainer._backward(augment(waveforms, draws), trainer.labels[clips.to(trainer.device)])
        optimize()

    seconds = _timed(lambda: step(views, trainer.optimizer.step))
    try:
        trainer._inputs = kept("features", inputs)  # type: ignore[method-assign]  # timed
        step(kept("augment", views), kept("optimizer", trainer.optimizer.step))
    finally:
        trainer._inputs = inputs  # type: ignore[method-assign]  # as before
    return spent, seconds


def _timed(step: Callable[[], object]) -> float:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _wait(device)
    started = time.perf_counter()
    step()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _flops(step: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())


def _peak_teraflops(dtype: torch.dtype, device: torch.device) -> float:
    """Of a large matrix product, the best of some."""
    side = 8192 if device.type == "cuda" else 2048
    left, right = torch.randn(2, side, side, device=device).to(dtype)
    seconds = min(_timed(lambda: left @ right) for _ in range(9))
    return 2 * side**3 / seconds / 1e12


if __name__ == "__main__":
    main()
