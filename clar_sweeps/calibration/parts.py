"""The parts of which trials are made up: each is timed once, and counted as often as it occurs."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from clar_sweeps import data
from clar_sweeps.config import ClipsOf, Trial, TrialConfig
from clar_sweeps.data import Waveforms
from clar_sweeps.trainer.objective import NUM_VIEWS
from clar_sweeps.trainer.training_set import TrainingSet

# A line of history takes so much at the most, and the other small files of a record.
_LINE_BYTES = 600
_RECORD_BYTES = 8_000


@dataclass(frozen=True)
class Steps:
    """Training without augmentation: what building it, a step, and a checkpoint take."""

    config: TrialConfig


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of an encoder, on clean clips."""

    config: TrialConfig  # of the untrained encoder


@dataclass(frozen=True)
class Operation:
    """One augmentation on the waveforms of one view of a step."""

    config: TrialConfig  # with this operation alone


Part = Steps | Evaluation | Operation


class Makeup(NamedTuple):
    """A trial as the parts that it is made up of."""

    steps: Steps | None  # None for an untrained encoder
    evaluation: Evaluation
    operations: tuple[Operation, ...]
    num_steps: int
    num_views: int  # of a step
    num_evaluations: int
    num_checkpoints: int
    augmented_batches: float  # of the size of a step, in evaluations on augmented clips
    record_bytes: int  # without its checkpoint

    @property
    def parts(self) -> tuple[Part, ...]:
        """All that has to be timed."""
        return (*([self.steps] if self.steps else []), self.evaluation, *self.operations)


def make_up(trials: Iterable[Trial]) -> dict[str, Makeup]:
    """Makeup of trials, by id; their datasets are prepared.

    Raises:
        DataError: A dataset cannot be read.
        ConfigError: Too few clips are left for a step.
    """
    opened: dict[ClipsOf, Waveforms] = {}
    made = {}
    for trial in trials:
        clips = trial.config.clips
        if clips not in opened:
            opened[clips] = data.load(*clips)
        made[trial.id] = _makeup(trial.config, opened[clips])
    return made


def _makeup(config: TrialConfig, waveforms: Waveforms) -> Makeup:
    evaluation = Evaluation(config.untrained().cell())
    if not config.epochs:
        return Makeup(None, evaluation, (), 0, 0, 1, 0, 0.0, _RECORD_BYTES)
    training_set = TrainingSet(config, waveforms)
    num_evaluations = -(-config.epochs // config.eval_every)
    num_checkpoints = -(-config.epochs // config.checkpoint_every)
    step = _step_config(config, batch_size=training_set.batch_size)
    held_out = len(waveforms.indices("valid")) + len(waveforms.indices("test"))
    augmented = held_out if config.evaluate_on == "augmented" else 0
    manifest = training_set.labelled.manifest if training_set.labelled else {}
    return Makeup(
        steps=Steps(step),
        evaluation=evaluation,
        operations=tuple(
            Operation(_operation_config(config, name, batch_size=training_set.batch_size))
            for name in config.augment
        ),
        num_steps=config.epochs * training_set.steps_per_epoch,
        num_views=NUM_VIEWS[config.method],
        num_evaluations=num_evaluations,
        num_checkpoints=num_checkpoints,
        augmented_batches=num_evaluations * augmented / training_set.batch_size,
        record_bytes=_RECORD_BYTES + _LINE_BYTES * config.epochs + len(json.dumps(manifest)),
    )


def _step_config(config: TrialConfig, *, batch_size: int) -> TrialConfig:
    """Config of a trial that takes such steps: equal for all trials whose steps cost the same."""
    return config.cell().model_copy(
        update={
            "augment": (),
            "augment_probability": (),
            "augment_definition": "paper",
            "augment_backend": "torch",
            "batch_size": batch_size,
            "label_fraction": None if config.label_fraction is None else 1.0,
            "label_subset": None,
            "unlabelled": None,
            "supervised_budget": None,
            "cross_entropy_weight": None if config.cross_entropy_weight is None else 1.0,
            "temperature": 0.5,
            # So small that no loss leaves the range of numbers, however many steps are timed.
            "learning_rate": 1e-9,
            "weight_decay": 0.0,
            "schedule": "paper",
            "warmup_epochs": 0.0,
            "epochs": 1,
            "eval_every": 1,
            "checkpoint_every": 1,
            "evaluate_on": "clean",
            "profile": "paper",
        }
    )


def _operation_config(config: TrialConfig, name: str, *, batch_size: int) -> TrialConfig:
    untrained = config.untrained().cell()
    # Of the encoder nothing matters, so that one operation is timed once for all of them.
    shared = {"encoder": "resnet18_1d", "width": 1, "features": None, "stem": "paper"}
    own = {
        "augment": (name,),
        "augment_probability": (1.0,),
        "augment_definition": config.augment_definition,
        "augment_backend": config.augment_backend,
        "batch_size": batch_size,
    }
    return untrained.model_copy(update={**shared, **own})
