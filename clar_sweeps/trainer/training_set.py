"""What an epoch trains on: which clips, in which batches, with which labels."""

import logging
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clar_sweeps import rng
from clar_sweeps.config import TrialConfig
from clar_sweeps.data.waveforms import Waveforms
from clar_sweeps.errors import ConfigError
from clar_sweeps.losses import UNLABELLED
from clar_sweeps.trainer.labels import LabelledClips, choose_labelled

logger = logging.getLogger(__name__)


class TrainingSet:
    """The clips of the training split that a method trains on.

    Attributes:
        clips: (clips,) int64 positions in the dataset, ascending.
        labels: (all clips of the dataset,) int64; -1 where training does not see the label.
        labelled: The subset that keeps its labels; None where the method sees all labels or none.
        batch_size: Clips a step; fewer than the config's where there are not as many.
        steps_per_epoch: An incomplete last batch is left out, but for the released schedule.
        whole_steps: Those with a complete batch, which the released schedule counts.
    """

    def __init__(self, config: TrialConfig, waveforms: Waveforms, *, num_ranks: int = 1) -> None:
        """Choose the clips.

        Args:
            config: The trial.
            waveforms: Its dataset.
            num_ranks: Processes that share each batch.

        Raises:
            ConfigError: Fewer clips are left than a step, or each rank of it, needs.
        """
        self.seed = config.seed
        train = waveforms.indices("train")
        labels, clips = waveforms.labels, train
        self.labelled = _choose(config, waveforms, train)
        if self.labelled is not None:
            _warn_of_lacking_classes(config, self.labelled, of=len(np.unique(labels[train])))
            chosen = train[self.labelled.positions]
            labels = np.full_like(waveforms.labels, UNLABELLED)
            labels[chosen] = waveforms.labels[chosen]
            if config.method == "supervised" or config.unlabelled == "drop":
                clips = chosen
        self.labels = torch.from_numpy(labels)
        self.clips = torch.from_numpy(clips)
        self.batch_size = min(config.batch_size, len(clips))
        if config.epochs:
            _check(config, num_clips=len(clips), batch_size=self.batch_size)
        self.whole_steps, self.steps_per_epoch = _steps(config, len(clips))
        self._passes = 1
        if config.supervised_budget == "steps":
            self.whole_steps, self.steps_per_epoch = _steps(config, len(train))
            self._passes = math.ceil(self.steps_per_epoch * self.batch_size / len(clips))
        last = self._passes * len(clips) - (self.steps_per_epoch - 1) * self.batch_size
        if min(self.batch_size, last) < num_ranks:
            raise ConfigError(
                f"resources.ranks_per_trial: {num_ranks} ranks share a step of "
                f"{min(self.batch_size, last)} clips, expected at least one each; lower it"
            )

    @property
    def clips_per_epoch(self) -> int:
        """Clips that an epoch trains on; more than there are where few labels are gone over."""
        return min(self.steps_per_epoch * self.batch_size, self._passes * len(self.clips))

    def order(self, epoch: int) -> Tensor:
        """Clips in the order of an epoch, (clips,) int64; of the seed alone.

        On the CPU, so that it is the same on every device.
        """
        generator = rng.generator(self.seed, "order", epoch)
        passes = [
            self.clips[torch.randperm(len(self.clips), generator=generator)]
            for _ in range(self._passes)
        ]
        return torch.cat(passes)

    def batches(self, epoch: int) -> list[Tensor]:
        """The epoch's order, cut into its steps: (batch,) int64 each."""
        return list(torch.split(self.order(epoch), self.batch_size)[: self.steps_per_epoch])


def _choose(
    config: TrialConfig, waveforms: Waveforms, train: NDArray[np.int64]
) -> LabelledClips | None:
    if config.label_subset is None or config.label_fraction is None:
        return None
    return choose_labelled(
        [waveforms.clip_names[clip] for clip in train],
        waveforms.labels[train],
        fraction=config.label_fraction,
        rule=config.label_subset,
        seed=config.seed,
    )


def _warn_of_lacking_classes(config: TrialConfig, labelled: LabelledClips, *, of: int) -> None:
    seen = labelled.manifest["num_classes"]
    if seen < of:
        logger.warning(
            "label_fraction %g: the %d labelled clips show %d of %d classes; label_subset "
            "stratified shows them all",
            config.label_fraction,
            labelled.manifest["num_clips"],
            seen,
            of,
        )


def _steps(config: TrialConfig, num_clips: int) -> tuple[int, int]:
    """Steps with a complete batch over so many clips, and all steps."""
    batch_size = min(config.batch_size, num_clips)
    whole, rest = divmod(num_clips, batch_size)
    # The authors' loader keeps the rest.
    kept = config.schedule == "released" and rest >= 2 * (config.negative_shards or 1)
    return whole, whole + kept


def _check(config: TrialConfig, *, num_clips: int, batch_size: int) -> None:
    needed = 2 * (config.negative_shards or 1)
    if batch_size < needed:
        of = "labelled" if config.label_subset else "training"
        of += " clip" if num_clips == 1 else " clips"
        remedy = "raise label_fraction" if config.label_subset else "take a larger dataset"
        raise ConfigError(
            f"dataset {config.dataset}: a step has {num_clips} {of}, expected at least {needed}; "
            f"{remedy}"
        )
    if batch_size < config.batch_size:
        logger.warning(
            "batch_size %d is more than the %d clips to train on: each step takes them all",
            config.batch_size,
            batch_size,
        )
