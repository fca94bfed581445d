"""The learning rate of each step, by the config's schedule."""

from clar_sweeps.config import TrialConfig
from clar_sweeps.optim import learning_rate_at, released_learning_rate_at
from clar_sweeps.trainer.training_set import TrainingSet


def learning_rate_of(config: TrialConfig, training_set: TrainingSet, *, step: int) -> float:
    """Learning rate of a step, counted from 0 over all epochs."""
    released = config.schedule == "released"
    if released and config.label_fraction == 0.01:
        return config.learning_rate  # a quirk of the authors' code
    steps = training_set.whole_steps if released else training_set.steps_per_epoch
    rate_at = released_learning_rate_at if released else learning_rate_at
    return rate_at(
        step,
        base=config.learning_rate,
        warmup_steps=round(config.warmup_epochs * steps),
        total_steps=config.epochs * steps,
    )
