"""Trials packed on one device: clips a second of all together, and the hours of Figure 4.

    python -m benchmarks.packing --out benchmarks/results/packing.json

One, two and four processes train the same encoder at the same time, with chains from the cheapest
to the dearest, each from clips in memory to the optimizer's step. They begin together and count
what they train until all have had their seconds. The hours are those of Figure 4: the 36 pairs on
each encoder, 1000 epochs of SC-10's 18,620 clips, at the mean time of the chains. On a machine with
a GPU all share the first one.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.commands.evaluating import take_steps
from benchmarks.measuring import machine, number, table_of, write_result
from benchmarks.step import PACKAGES, SIZES, Size, config_of
from clar_sweeps import data
from clar_sweeps.trainer import Trainer

CHAINS = (("FD", "TM"), ("WN", "FD"), ("TST", "FD"), ("PS", "TST"))  # cheapest to dearest
PACKED = (1, 2, 4)
_ENDLESS = 1_000_000  # epochs, which a measurement never reaches
# Of Figure 4.
_PAIRS, _EPOCHS, _CLIPS = 36, 1000, 18_620


class Load(NamedTuple):
    """Trials of one encoder and chain at once."""

    encoder: str
    chain: str
    packed: int
    clips_per_second: float  # of all together


class Trained(NamedTuple):
    """What one process did."""

    clips: int
    seconds: float


def main() -> None:
    """Measure, print, and write the numbers where they are asked for."""
    has_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--batch", type=int, default=1024 if has_gpu else 64)
    parser.add_argument("--only", default="full width", help="the encoders with this in their name")
    parser.add_argument("--packed", type=int, nargs="+", default=list(PACKED), metavar="N")
    parser.add_argument("--out", type=Path, help="JSON file; the table goes beside it as .md")
    options = parser.parse_args()
    data.prepare("spoken-digits", condition="medium")
    loads: list[Load] = []
    for size in (size for size in SIZES if options.only in size.title):
        for chain in CHAINS:
            for packed in options.packed:
                loads.append(load_of(size, chain, packed, options.batch, options.seconds))
                print(loads[-1], flush=True)
    table = table_of(rows_of(loads))
    print(table)
    if options.out:
        described = machine(PACKAGES)
        if has_gpu:
            described["gpu"] = torch.cuda.get_device_name()
        facts = ", ".join(f"{name} {value}" for name, value in described.items())
        told = (
            f"Clips a second of all trials on one device, batch {options.batch}, "
            f"{options.seconds:g} s each; hours of the 36 pairs of Figure 4 on that encoder at the "
            f"mean rate of the chains. {facts}."
        )
        write_result(
            options.out,
            {
                "machine": described,
                "batch": options.batch,
                "loads": [one._asdict() for one in loads],
            },
            title="Trials packed on a device",
            told=told,
            table=table,
        )


def load_of(size: Size, chain: tuple[str, ...], packed: int, batch: int, seconds: float) -> Load:
    """Train in so many processes at once."""
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(packed)
    pipes, processes = [], []
    for _ in range(packed):
        ours, theirs = spawn.Pipe()
        arguments = (theirs, start, size, chain, batch, seconds, max(1, _cores() // packed))
        processes.append(spawn.Process(target=_train, args=arguments, daemon=True))
        processes[-1].start()
        theirs.close()
        pipes.append(ours)
    trained: list[Trained] = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join()
    return Load(size.title, "+".join(chain), packed, together(trained))


def together(trained: Sequence[Trained]) -> float:
    """Clips a second of processes that trained side by side."""
    return sum(each.clips / each.seconds for each in trained)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _train(
    pipe: Connection,
    start: "multiprocessing.synchronize.Barrier",
    size: Size,
    chain: tuple[str, ...],
    batch: int,
    seconds: float,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    clips = data.load("spoken-digits", condition="medium")
    trainer = Trainer(config_of(size, chain, batch_size=batch, epochs=_ENDLESS), clips)
    take_steps(trainer, most_seconds=0.0)  # compiles, allocates
    start.wait()
    began, steps = time.perf_counter(), 0
    while (left := seconds - (time.perf_counter() - began)) > 0:
        steps += take_steps(trainer, most_seconds=left)
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
    pipe.send(Trained(steps * batch, time.perf_counter() - began))


def rows_of(loads: Sequence[Load]) -> list[list[str]]:
    """A line an encoder and number of trials: the rate of each chain, the hours of its pairs."""
    chains = list(dict.fromkeys(load.chain for load in loads))
    rows = [["encoder", "trials at once", *chains, "hours of its 36 pairs"]]
    for encoder, packed in dict.fromkeys((load.encoder, load.packed) for load in loads):
        rates = {
            load.chain: load.clips_per_second
            for load in loads
            if (load.encoder, load.packed) == (encoder, packed)
        }
        hours = figure_hours(list(rates.values()))
        shown = [number(rates[chain]) for chain in chains]
        rows.append([encoder, str(packed), *shown, number(hours)])
    return rows


def figure_hours(rates: Sequence[float]) -> float:
    """Hours of the pairs of one encoder, a chain taking as long as those measured do on average."""
    seconds = sum(_EPOCHS * _CLIPS / rate for rate in rates) / len(rates)
    return _PAIRS * seconds / 3600


if __name__ == "__main__":
    main()
