"""One training run: four verbs. Knows nothing of Ray, of folders, of records."""

import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clar_sweeps import rng
from clar_sweeps.augment import build_chain
from clar_sweeps.checkpoint import load_checkpoint, save_checkpoint
from clar_sweeps.config import SAMPLE_RATE, TrialConfig
from clar_sweeps.data.waveforms import Split, Waveforms
from clar_sweeps.errors import CheckpointError, DataError, DivergedError
from clar_sweeps.evaluation import Labelled, evaluate_representations
from clar_sweeps.models import build_encoder
from clar_sweeps.optim import build_optimizer, learning_rate_at, released_learning_rate_at
from clar_sweeps.trainer.device import build_features, choose_device, choose_precision
from clar_sweeps.trainer.loading import WaveformLoader, memory_bytes
from clar_sweeps.trainer.objective import NUM_VIEWS, build_head, build_objective
from clar_sweeps.trainer.recompute import activation_bytes, backward_by_views, encode_twice
from clar_sweeps.trainer.training_set import TrainingSet

logger = logging.getLogger(__name__)

_CLIPS_AT_ONCE = 256
# Of the memory at hand that kept activations may fill.
_SHARE_OF_ACTIVATIONS = 0.6


class Epoch(NamedTuple):
    """What one epoch of training was."""

    epoch: int  # epochs trained so far
    step: int  # steps trained so far
    losses: dict[str, float]  # mean over the epoch's steps: loss, and the terms it sums up
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
            ConfigError: bfloat16 is asked for where a CPU computes it wrongly, or too few clips
                are left to train on.
        """
        self.config = config
        self.waveforms = waveforms
        self.device = choose_device(config.device)
        self.autocast_dtype = choose_precision(
            config, self.device, num_samples=waveforms.samples.shape[1]
        )
        with rng.seeded(config.seed, "encoder"):
            encoder = build_encoder(config.encoder, width=config.width, stem=config.stem)
        with rng.seeded(config.seed, "projection_head"):
            head = build_head(
                config, encoder.representation_size, num_classes=len(waveforms.class_names)
            )
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
        self.objective, self.num_views = build_objective(config), NUM_VIEWS[config.method]
        self.chain = build_chain(
            config.augment,
            probabilities=config.augment_probability,
            backend=config.augment_backend,
            sample_rate=SAMPLE_RATE,
            definition=config.augment_definition,
        )
        self.loader = WaveformLoader(waveforms, self.device)
        self.training_set = TrainingSet(config, waveforms)
        self.labels = self.training_set.labels.to(self.device)
        self.parameters = [*self.encoder.parameters(), *self.projection_head.parameters()]
        self.epoch = 0
        self.recomputes = config.epochs > 0 and self._must_recompute()

    def train_epoch(self) -> Epoch:
        """Train on every clip of the training set once, less an incomplete last batch.

        Raises:
            DivergedError: A loss or a weight is not finite; names epoch and step.
        """
        config, epoch, steps = self.config, self.epoch, self.training_set.steps_per_epoch
        started = time.perf_counter()
        batches = self.training_set.batches(epoch)
        draws = rng.generator(config.seed, "augment", epoch, device=self.device)
        self.encoder.train()
        self.projection_head.train()
        step_losses: list[dict[str, Tensor]] = []
        for number, waveforms in enumerate(self.loader.batches(batches)):
            learning_rate = self._learning_rate(epoch * steps + number)
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate
            labels = self.labels[batches[number].to(self.device, non_blocking=True)]
            self.optimizer.zero_grad(set_to_none=True)
            step_losses.append(self._backward(self._views(waveforms, draws), labels))
            self.optimizer.step()
        epoch_losses = self._wait(step_losses)
        self.epoch = epoch + 1
        seconds = time.perf_counter() - started
        return Epoch(
            epoch=self.epoch,
            step=self.epoch * steps,
            losses=epoch_losses,
            learning_rate=learning_rate,
            seconds=seconds,
            clips_per_second=self.training_set.clips_per_epoch / seconds,
        )

    def _views(self, waveforms: Tensor, draws: torch.Generator) -> Sequence[Tensor]:
        if self.num_views == 2:
            return self.chain.two_views(waveforms, draws)
        return (self.chain(waveforms, draws),)

    def _backward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Losses of a step; their gradients are left in the weights."""
        losses: dict[str, Tensor] = {}

        def objective(outputs: Sequence[Any]) -> Tensor:
            losses.update(self.objective(outputs, labels))
            return losses["loss"]

        # A forward pass a view, so that batch norm sees each by itself, as the authors do.
        inputs = [self._inputs(view) for view in views]
        if self.recomputes:
            modules = (self.encoder, self.projection_head)
            backward_by_views(objective, self._project, inputs, modules=modules)
        else:
            loss = objective([self._project(view) for view in inputs])
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return {name: value.detach() for name, value in losses.items()}

    def _learning_rate(self, step: int) -> float:
        config = self.config
        released = config.schedule == "released"
        if released and config.label_fraction == 0.01:
            return config.learning_rate  # a quirk of the authors' code
        steps = self.training_set.whole_steps if released else self.training_set.steps_per_epoch
        rate_at = released_learning_rate_at if released else learning_rate_at
        return rate_at(
            step,
            base=config.learning_rate,
            warmup_steps=round(config.warmup_epochs * steps),
            total_steps=config.epochs * steps,
        )

    def _wait(self, steps: list[dict[str, Tensor]]) -> dict[str, float]:
        """Mean losses of an epoch after a look at all of them: the epoch's one wait for the device.

        Raises:
            DivergedError: A loss or a weight is not finite.
        """
        epoch = self.epoch + 1
        # The last update comes after the last loss, so the weights are looked at as well.
        sound = torch.stack([weight.isfinite().all() for weight in self.parameters]).all()
        names = list(steps[0])
        values = torch.stack([losses[name].float() for losses in steps for name in names])
        *flat, all_sound = torch.cat([values, sound.float()[None]]).tolist()
        rows = [flat[i : i + len(names)] for i in range(0, len(flat), len(names))]
        for number, row in enumerate(rows):
            if not math.isfinite(row[0]):
                raise DivergedError(f"loss is {row[0]}", epoch=epoch, step=number + 1)
        if not all_sound:
            raise DivergedError("a weight is not finite", epoch=epoch, step=len(rows))
        columns = zip(*rows, strict=True)
        return {
            name: math.fsum(column) / len(rows) for name, column in zip(names, columns, strict=True)
        }

    def evaluate(self) -> dict[str, float]:
        """Judge the frozen encoder on validation and test clips; see `clar_sweeps.evaluation`.

        The judges learn from all clean training clips with all labels, whatever training saw.

        Raises:
            DivergedError: A representation is not finite.
        """
        return evaluate_representations(
            self._represent("train"),
            {"valid": self._represent("valid"), "test": self._represent("test")},
            num_classes=len(self.waveforms.class_names),
            seed=self.config.seed,
        )

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
            CheckpointError: Truncated, damaged, of another trial, or computed in another
                precision. The trainer is then as it was.
            DataError: Of other clips. The checkpoint is sound, so it is not to be given up.
        """
        state = load_checkpoint(path, trial_id=trial_id, device=self.device)
        if state["dataset_digest"] != self.waveforms.digest:
            raise DataError(
                f"{path}: trained on other clips (digest {state['dataset_digest'][:12]}) than are "
                f"prepared now ({self.waveforms.digest[:12]}); prepare those of before, or delete "
                "the trial's folder"
            )
        if state["precision"] != str(self.autocast_dtype):
            raise CheckpointError(
                f"{path}: precision is {state['precision']}, here it is {self.autocast_dtype}"
            )
        self.encoder.load_state_dict(state["encoder"])
        self.projection_head.load_state_dict(state["projection_head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]
        progress: dict[str, Any] = state["progress"]
        return progress

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=self.autocast_dtype, enabled=self.autocast_dtype is not None
        )

    def _project(self, inputs: Tensor) -> Any:
        with self._autocast():
            if self.recomputes:
                return self.projection_head(encode_twice(self.encoder, inputs))
            return self.projection_head(self.encoder(inputs))

    def _inputs(self, waveforms: Tensor) -> Tensor:
        with torch.no_grad():
            inputs: Tensor = self.features(waveforms)
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def _must_recompute(self) -> bool:
        """Whether the activations of a step do not fit into memory; measured on a few clips."""
        if self.config.recompute != "auto":
            return self.config.recompute == "always"
        self.recomputes = False
        clips = self.training_set.clips
        few, more = (self._kept_bytes(clips[:number]) for number in (2, 4))
        # Beside what each clip keeps there is what a pass keeps, such as weights in bfloat16.
        per_clip = (more - few) / 2 if len(clips) >= 4 else few / 2
        per_pass = max(0.0, few - 2 * per_clip)
        needed = self.num_views * (per_clip * self.training_set.batch_size + per_pass)
        available = _SHARE_OF_ACTIVATIONS * memory_bytes(self.device)
        if self.device.type == "cpu":  # slots side by side share the memory as they share cores
            available *= min(1.0, torch.get_num_threads() / (os.cpu_count() or 1))
        if needed > available:
            logger.info(
                "activations of a step take %.1f GB, %.1f GB are at hand: computed twice, not kept",
                needed / 1e9,
                available / 1e9,
            )
        return needed > available

    def _kept_bytes(self, clips: Tensor) -> int:
        """Bytes that a forward pass over some clips keeps for its backward pass."""
        (waveforms,) = self.loader.batches([clips])
        modules = (self.encoder, self.projection_head)
        return activation_bytes(modules, self._project, self._inputs(waveforms))

    @torch.no_grad()
    def _represent(self, split: Split) -> Labelled:
        """Representations of a split's clips by the encoder in eval mode."""
        self.encoder.eval()
        clips = torch.from_numpy(self.waveforms.indices(split))
        parts = []
        augment = self._augment_held_out(split)
        for waveforms in self.loader.batches(torch.split(clips, _CLIPS_AT_ONCE)):
            inputs = self._inputs(augment(waveforms))
            with self._autocast():
                parts.append(self.encoder(inputs).float())
        representations = torch.cat(parts)
        if not representations.isfinite().all():
            step = self.epoch * self.training_set.steps_per_epoch
            raise DivergedError("a representation is not finite", epoch=self.epoch, step=step)
        labels = torch.from_numpy(self.waveforms.labels)[clips]
        return Labelled(representations, labels.to(self.device))

    def _augment_held_out(self, split: Split) -> Callable[[Tensor], Tensor]:
        """The training chain where the config has it, with equal draws each time."""
        if split == "train" or self.config.evaluate_on == "clean":
            return lambda waveforms: waveforms
        draws = rng.generator(self.config.seed, f"held_out_{split}", device=self.device)
        return lambda waveforms: self.chain(waveforms, draws)
