"""One training run: four verbs. Knows nothing of Ray, of folders, of records."""

import logging
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clar_sweeps import rng
from clar_sweeps.augment import build_chain
from clar_sweeps.checkpoint import load_checkpoint, save_checkpoint
from clar_sweeps.config import SAMPLE_RATE, TrialConfig
from clar_sweeps.data.waveforms import Split, Waveforms
from clar_sweeps.errors import CheckpointError, DivergedError
from clar_sweeps.evaluation import Labelled, evaluate_representations
from clar_sweeps.losses import nt_xent
from clar_sweeps.models import ENCODERS, ProjectionHead
from clar_sweeps.optim import build_optimizer, learning_rate_at
from clar_sweeps.trainer.device import build_features, choose_device, choose_precision

logger = logging.getLogger(__name__)

_CLIPS_AT_ONCE = 256
_INT16_SCALE = 1 / 32768


class Epoch(NamedTuple):
    """What one epoch of training was."""

    epoch: int  # epochs trained so far
    step: int  # steps trained so far
    loss: float  # mean over the epoch's steps
    learning_rate: float  # of its last step
    seconds: float
    clips_per_second: float


class Trainer:
    """One training run: four verbs, `train_epoch`, `evaluate`, `save`, `load`.

    All draws come from named streams of the config's seed, so a trainer that loads a checkpoint
    goes on as if it had never stopped: on a CPU, bit for bit.
    """

    def __init__(self, config: TrialConfig, waveforms: Waveforms) -> None:
        """Build encoder, head and optimizer; map the waveforms.

        Args:
            config: The trial.
            waveforms: The prepared dataset that `config.dataset` names.

        Raises:
            ConfigError: bfloat16 is asked for where a CPU computes it wrongly.
        """
        self.config = config
        self.waveforms = waveforms
        self.device = choose_device(config.device)
        self.autocast_dtype = choose_precision(
            config, self.device, num_samples=waveforms.samples.shape[1]
        )
        with rng.seeded(config.seed, "encoder"):
            encoder = ENCODERS[config.encoder](config.width)
        with rng.seeded(config.seed, "projection_head"):
            head = ProjectionHead(encoder.representation_size)
        # channels_last: the 2-D encoder trains 1.2 to 1.8 times as fast on a CPU in bfloat16.
        self.encoder = encoder.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types no such overload
        self.projection_head = head.to(self.device)
        self.features = build_features(config).to(self.device)
        self.optimizer = build_optimizer(
            config.optimizer,
            [self.encoder, self.projection_head],
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        self.chain = build_chain(
            config.augment,
            probabilities=config.augment_probability,
            backend=config.augment_backend,
            sample_rate=SAMPLE_RATE,
        )
        # On a CPU the map itself; on a GPU a copy there, once.
        self.samples = torch.from_numpy(waveforms.samples).to(self.device)
        self.train_clips = torch.from_numpy(waveforms.indices("train"))
        self.batch_size = min(config.batch_size, len(self.train_clips))
        if self.batch_size < config.batch_size:
            logger.warning(
                "batch_size %d is more than the %d training clips: each step takes them all",
                config.batch_size,
                self.batch_size,
            )
        self.steps_per_epoch = len(self.train_clips) // self.batch_size
        self.parameters = [*self.encoder.parameters(), *self.projection_head.parameters()]
        self.epoch = 0

    def train_epoch(self) -> Epoch:
        """Train on every clip of the training split once, less an incomplete last batch.

        Raises:
            DivergedError: A loss or a weight is not finite; names epoch and step.
        """
        config, epoch = self.config, self.epoch
        started = time.perf_counter()
        clips = self.order(epoch).to(self.device)
        draws = rng.generator(config.seed, "augment", epoch, device=self.device)
        self.encoder.train()
        self.projection_head.train()
        losses = []
        for number, batch in enumerate(torch.split(clips, self.batch_size)[: self.steps_per_epoch]):
            step = epoch * self.steps_per_epoch + number
            learning_rate = learning_rate_at(
                step,
                base=config.learning_rate,
                warmup_steps=round(config.warmup_epochs * self.steps_per_epoch),
                total_steps=config.epochs * self.steps_per_epoch,
            )
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate
            view0, view1 = self.chain.two_views(self._read(batch), draws)
            # Two forward passes, so that batch norm sees each view by itself, as the authors do.
            loss = nt_xent(self._project(view0), self._project(view1), config.temperature)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self.optimizer.step()
            losses.append(loss.detach())
        # The last update comes after the last loss, so the weights are looked at as well.
        sound = torch.stack([weight.isfinite().all() for weight in self.parameters]).all()
        # The epoch's one wait for the device.
        *epoch_losses, all_sound = torch.stack([*losses, sound.to(losses[0].dtype)]).tolist()
        for number, value in enumerate(epoch_losses):
            if not math.isfinite(value):
                raise DivergedError(f"loss is {value}", epoch=epoch + 1, step=number + 1)
        if not all_sound:
            raise DivergedError("a weight is not finite", epoch=epoch + 1, step=len(losses))
        self.epoch = epoch + 1
        seconds = time.perf_counter() - started
        return Epoch(
            epoch=self.epoch,
            step=self.epoch * self.steps_per_epoch,
            loss=math.fsum(epoch_losses) / len(epoch_losses),
            learning_rate=learning_rate,
            seconds=seconds,
            clips_per_second=self.steps_per_epoch * self.batch_size / seconds,
        )

    def evaluate(self) -> dict[str, float]:
        """Judge the frozen encoder on validation and test clips; see `clar_sweeps.evaluation`.

        Raises:
            DivergedError: A representation is not finite.
        """
        return evaluate_representations(
            self._represent("train"),
            {"valid": self._represent("valid"), "test": self._represent("test")},
            num_classes=len(self.waveforms.class_names),
            seed=self.config.seed,
        )

    def order(self, epoch: int) -> Tensor:
        """Clips of the training split in the order of an epoch, (clips,) int64; of the seed alone.

        On the CPU, so that it is the same on every device.
        """
        generator = rng.generator(self.config.seed, "order", epoch)
        return self.train_clips[torch.randperm(len(self.train_clips), generator=generator)]

    def save(self, path: Path, *, trial_id: str, progress: dict[str, Any]) -> None:
        """Write everything that `load` needs, and the caller's own plain values."""
        state = {
            "epoch": self.epoch,
            "encoder": self.encoder.state_dict(),
            "projection_head": self.projection_head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": str(self.autocast_dtype),
            "dataset_digest": self.waveforms.digest,
            "progress": progress,
        }
        save_checkpoint(path, state, trial_id=trial_id)

    def load(self, path: Path, *, trial_id: str) -> dict[str, Any]:
        """Go on from a checkpoint; gives back the caller's values.

        Raises:
            CheckpointError: Truncated, damaged, of another trial, of other clips, or computed in
                another precision. The trainer is then as it was.
        """
        state = load_checkpoint(path, trial_id=trial_id, device=self.device)
        for name, own in (
            ("precision", str(self.autocast_dtype)),
            ("dataset_digest", self.waveforms.digest),
        ):
            if state[name] != own:
                raise CheckpointError(f"{path}: {name} is {state[name]}, here it is {own}")
        self.encoder.load_state_dict(state["encoder"])
        self.projection_head.load_state_dict(state["projection_head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]
        progress: dict[str, Any] = state["progress"]
        return progress

    def _read(self, clips: Tensor) -> Tensor:
        """Waveforms of some clips: (batch, time) float32 in [-1, 1)."""
        return self.samples[clips].to(torch.float32).mul_(_INT16_SCALE)

    def _project(self, view: Tensor) -> Tensor:
        inputs = self._inputs(view)
        with torch.autocast(
            self.device.type, dtype=self.autocast_dtype, enabled=self.autocast_dtype is not None
        ):
            projections: Tensor = self.projection_head(self.encoder(inputs))
        return projections

    def _inputs(self, waveforms: Tensor) -> Tensor:
        with torch.no_grad():
            inputs: Tensor = self.features(waveforms)
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    @torch.no_grad()
    def _represent(self, split: Split) -> Labelled:
        """Representations of a split's clean clips by the encoder in eval mode."""
        self.encoder.eval()
        clips = torch.from_numpy(self.waveforms.indices(split))
        parts = []
        for batch in torch.split(clips.to(self.device), _CLIPS_AT_ONCE):
            inputs = self._inputs(self._read(batch))
            with torch.autocast(
                self.device.type, dtype=self.autocast_dtype, enabled=self.autocast_dtype is not None
            ):
                parts.append(self.encoder(inputs).float())
        representations = torch.cat(parts)
        if not representations.isfinite().all():
            step = self.epoch * self.steps_per_epoch
            raise DivergedError("a representation is not finite", epoch=self.epoch, step=step)
        labels = torch.from_numpy(self.waveforms.labels)[clips]
        return Labelled(representations, labels.to(self.device))
