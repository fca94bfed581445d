"""Training of one trial, from its config to its record. Knows nothing of Ray."""

from clar_sweeps.trainer.trainer import Trainer
from clar_sweeps.trainer.trial import run_trial

__all__ = ["Trainer", "run_trial"]
