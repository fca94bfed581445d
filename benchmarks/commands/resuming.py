"""How soon a trial that has a checkpoint is in training again."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.commands.evaluating import take_steps
from benchmarks.commands.startup import ROOT, Seconds, summary_of
from clar_sweeps import data, records
from clar_sweeps.config import Trial
from clar_sweeps.sweep import load_sweep
from clar_sweeps.trainer import Trainer
from clar_sweeps.trainer.ledger import Ledger

SWEEP = ROOT / "sweeps" / "quickstart.yaml"
TRIAL = "FD-TM_2d_spoken-digits_s0"
WIDTHS = (16, 64)
GOAL_SECONDS = 1.0

# torch imports its compiler when the first optimizer is built, whether it is used or not.
_TRAINER = "clar_sweeps.trainer, torch._dynamo"
# Prints the clock at the end of the imports, so that the end of the process does not count.
_IMPORTS = """
import time
import {modules}
print(time.monotonic())
"""
# The command as it is, which leaves at its first step and writes when training began and when that
# step was done.
_TRAIN = """
import os, sys, time
from pathlib import Path
from clar_sweeps.cli import main
from clar_sweeps.trainer.heartbeat import Heartbeat
told, enter, times = Path(sys.argv.pop(1)), Heartbeat.enter, []
def note_and_enter(self, phase):
    times.append(time.monotonic())
    enter(self, phase)
def note_and_leave(self, step, steps):
    times.append(time.monotonic())
    told.write_text(" ".join(map(str, times)))
    os._exit(0)
Heartbeat.enter, Heartbeat.step = note_and_enter, note_and_leave
main()
"""


class Resumed(NamedTuple):
    """One trial, over some rounds."""

    width: int
    checkpoint_bytes: int
    torch_alone: Seconds  # to import it, in a process of its own
    imports: Seconds  # of the trainer and all that it makes torch import, likewise
    training: Seconds  # from the start of the process until training begins
    first_step: Seconds  # until its first step is done
    beyond_imports: Seconds  # training less imports, a round


def measure_resumption(folder: Path, *, rounds: int) -> list[Resumed]:
    """Time `clar-sweep train` of a trial with a checkpoint, for each width.

    Args:
        folder: For the run folders.
        rounds: Of imports alone and resumption in turn; one more before the first fills caches.
    """
    return [_measure(folder / str(width), width=width, rounds=rounds) for width in WIDTHS]


def _measure(run: Path, *, width: int, rounds: int) -> Resumed:
    size = _write_checkpoint(run, width=width)
    rounds_found = []
    for turn in range(rounds + 1):
        found = (_import("torch"), _import(_TRAINER), *_resume(run, width=width))
        rounds_found += [found] if turn else []
    torch_alone, imports, training, first_step = zip(*rounds_found, strict=True)
    beyond = [all_of_it - part for all_of_it, part in zip(training, imports, strict=True)]
    return Resumed(
        width=width,
        checkpoint_bytes=size,
        torch_alone=summary_of(torch_alone),
        imports=summary_of(imports),
        training=summary_of(training),
        first_step=summary_of(first_step),
        beyond_imports=summary_of(beyond),
    )


def _write_checkpoint(run: Path, *, width: int) -> int:
    """Leave a checkpoint after an epoch of which one step was taken; gives its size."""
    trial = _trial(width)
    folder = records.trial_folder(run, trial)
    folder.mkdir(parents=True)
    records.write_config(folder, trial)
    trainer = Trainer(trial.config, data.prepare("spoken-digits", condition="medium"))
    take_steps(trainer, most_seconds=0.0)
    trainer.epoch = 1
    checkpoint = folder / "checkpoint.pt"
    trainer.save(checkpoint, trial_id=trial.id, progress=Ledger().plain())
    return checkpoint.stat().st_size


def _trial(width: int) -> Trial:
    sweep = load_sweep(SWEEP, overrides=(f"width={width}",))
    (trial,) = (trial for trial in sweep.trials if trial.name == TRIAL)
    return trial


def _import(modules: str) -> float:
    started = time.monotonic()
    ended = _python(_IMPORTS.format(modules=modules))
    return float(ended) - started


def _resume(run: Path, *, width: int) -> tuple[float, float]:
    told = run / "told.txt"
    options = ["--trial", TRIAL, "--run-dir", str(run), "--set", f"width={width}"]
    started = time.monotonic()
    _python(_TRAIN, str(told), "train", str(SWEEP), *options)
    training, first_step = map(float, told.read_text().split())
    return training - started, first_step - started


def _python(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout


def resumption_rows(found: Sequence[Resumed]) -> list[list[str]]:
    """Table rows: a line a width."""
    head = ["trial", "import torch", "import the trainer", "until it trains", "first step done"]
    rows = [[*head, "beyond imports", "goal"]]
    for each in found:
        rows.append(
            [
                f"2-D, width {each.width}, checkpoint of {each.checkpoint_bytes / 1e6:.0f} MB",
                *map(str, (each.torch_alone, each.imports, each.training, each.first_step)),
                str(each.beyond_imports),
                f"below {GOAL_SECONDS:g}",
            ]
        )
    return rows
