"""What evaluation adds to training."""

import time
from typing import NamedTuple

from benchmarks.step import CHAINS, SIZES, Size, trainer_of
from clar_sweeps import data
from clar_sweeps.trainer import Trainer

EPOCHS_AN_EVALUATION = 10
GOAL = 0.1


class Share(NamedTuple):
    """Seconds of one encoder."""

    size: Size
    epoch: float
    steps: int  # of the epoch, that were taken and timed
    steps_an_epoch: int
    evaluation: float

    @property
    def of_training(self) -> float:
        """Of evaluation in the training that comes before it."""
        return self.evaluation / (EPOCHS_AN_EVALUATION * self.epoch)


class _EnoughError(Exception):
    """So many steps have been taken."""


def measure_shares(*, batch: int, most_seconds: float) -> list[Share]:
    """Time an epoch and an evaluation of each encoder on the built-in digits.

    Args:
        batch: Clips a step.
        most_seconds: An epoch is left after so long, and the rest of it told from its steps.
    """
    clips = data.prepare("spoken-digits", condition="medium")
    return [_share(size, clips, batch=batch, most_seconds=most_seconds) for size in SIZES]


def _share(size: Size, clips: data.Waveforms, *, batch: int, most_seconds: float) -> Share:
    trainer = trainer_of(size, CHAINS[0], batch, clips)
    take_steps(trainer, most_seconds=0.0)  # loads loops and chooses kernels
    started = time.perf_counter()
    steps = take_steps(trainer, most_seconds=most_seconds)
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    trainer.evaluate()
    evaluation = time.perf_counter() - started
    steps_an_epoch = trainer.training_set.steps_per_epoch
    return Share(size, seconds * steps_an_epoch / steps, steps, steps_an_epoch, evaluation)


def take_steps(trainer: Trainer, *, most_seconds: float) -> int:
    """Train an epoch, or as many steps of it as fit; at least one.

    Returns:
        How many steps that were. An epoch that was left does not count as trained.
    """
    deadline = time.perf_counter() + most_seconds
    taken = 0

    def leave_in_time(step: int, steps: int) -> None:
        nonlocal taken
        taken = step
        if step < steps and time.perf_counter() >= deadline:
            raise _EnoughError

    before, trainer.on_step = trainer.on_step, leave_in_time
    try:
        trainer.train_epoch()
    except _EnoughError:
        pass
    finally:
        trainer.on_step = before
    return taken


def share_rows(shares: list[Share]) -> list[list[str]]:
    """Table rows: a line an encoder."""
    rows = [["encoder", "epoch", "steps timed", "evaluation", "of ten epochs", "goal"]]
    for share in shares:
        rows.append(
            [
                share.size.title,
                f"{share.epoch:.1f} s",
                f"{share.steps} of {share.steps_an_epoch}",
                f"{share.evaluation:.1f} s",
                f"{share.of_training:.3f}",
                f"at most {GOAL:g}",
            ]
        )
    return rows
