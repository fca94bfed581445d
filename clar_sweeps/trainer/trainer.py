"""One training run: four verbs. Knows nothing of Ray, of folders, of records."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clar_sweeps import rng
from clar_sweeps.augment import Part, build_chain
from clar_sweeps.checkpoint import load_checkpoint, save_checkpoint
from clar_sweeps.config import SAMPLE_RATE, TrialConfig
from clar_sweeps.data.waveforms import SPLITS, Split, Waveforms
from clar_sweeps.errors import ConfigError, DataError, DivergedError
from clar_sweeps.evaluation import Labelled, evaluate_representations
from clar_sweeps.models import build_encoder
from clar_sweeps.optim import build_optimizer
from clar_sweeps.trainer.device import build_features, choose_device, choose_precision
from clar_sweeps.trainer.epoch import Epoch, mean_losses
from clar_sweeps.trainer.learning_rate import learning_rate_of
from clar_sweeps.trainer.loading import WaveformLoader, refuse_other_clips
from clar_sweeps.trainer.objective import NUM_VIEWS, build_head, build_objective
from clar_sweeps.trainer.ranks import ALONE, Ranks
from clar_sweeps.trainer.recompute import (
    activation_bytes,
    backward_by_views,
    encode_twice,
    fit_into_memory,
)
from clar_sweeps.trainer.representing import augment_held_out, represent
from clar_sweeps.trainer.training_set import TrainingSet


class Trainer:
    """One training run: four verbs, `train_epoch`, `evaluate`, `save`, `load`.

    All draws come from named streams of the config's seed, so a trainer that loads a checkpoint
    goes on as if it had never stopped: on a CPU, bit for bit.
    """

    def __init__(
        self,
        config: TrialConfig,
        waveforms: Waveforms,
        *,
        on_step: Callable[[int, int], None] = lambda step, steps: None,
        ranks: Ranks = ALONE,
    ) -> None:
        """Build encoder, head and optimizer; map the waveforms.

        Args:
            config: The trial.
            waveforms: The prepared dataset that `config.dataset` names.
            on_step: Told, after each step of training and each part of an evaluation, its number
                from 1 and how many there are; not waited for by the device.
            ranks: The processes that train this trial together; each has a trainer.

        Raises:
            ConfigError: bfloat16 is asked for where a CPU computes it wrongly, or too few clips
                are left to train on.
            DataError: A rank has other clips than rank 0.
        """
        refuse_other_clips(waveforms, ranks)
        self.config = config
        self.waveforms = waveforms
        self.on_step = on_step
        self.ranks = ranks
        self.device = choose_device(config.device)
        self.autocast_dtype = choose_precision(
            config, self.device, num_samples=waveforms.samples.shape[1], ranks=ranks
        )
        with rng.seeded(config.seed, "encoder"):
            encoder = build_encoder(config.encoder, width=config.width, stem=config.stem)
        with rng.seeded(config.seed, "projection_head"):
            head = build_head(
                config, encoder.representation_size, num_classes=len(waveforms.class_names)
            )
        ranks.unite(encoder, head)
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
        self.training_set = TrainingSet(config, waveforms, num_ranks=ranks.size)
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
        self.ranks.announce("train_epoch")
        started = time.perf_counter()
        batches = self.training_set.batches(epoch)
        draws = rng.generator(config.seed, "augment", epoch, device=self.device)
        self.encoder.train()
        self.projection_head.train()
        step_losses: list[dict[str, Tensor]] = []
        for number, waveforms in enumerate(self.loader.batches(map(self.ranks.own_rows, batches))):
            learning_rate = learning_rate_of(config, self.training_set, step=epoch * steps + number)
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate
            labels = self.labels[batches[number].to(self.device, non_blocking=True)]
            self.optimizer.zero_grad(set_to_none=True)
            views = self._views(waveforms, draws, self.ranks.part(len(labels)))
            step_losses.append(self._backward(views, labels))
            self.ranks.add_gradients(self.parameters)
            self.optimizer.step()
            self.on_step(number + 1, steps)
        epoch_losses = mean_losses(step_losses, self.parameters, epoch=epoch + 1, ranks=self.ranks)
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

    def _views(
        self, waveforms: Tensor, draws: torch.Generator, part: Part | None = None
    ) -> Sequence[Tensor]:
        if self.num_views == 2:
            return self.chain.two_views(waveforms, draws, part)
        return (self.chain(waveforms, draws, part),)

    def _backward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Losses of a step; their gradients by the own clips are left in the weights.

        Args:
            views: Of this rank's clips.
            labels: Of all ranks' clips.
        """
        losses: dict[str, Tensor] = {}

        def objective(outputs: Sequence[Any]) -> Tensor:
            outputs = self.ranks.gather_outputs(outputs, len(labels))
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

    def evaluate(self) -> dict[str, float]:
        """Judge the frozen encoder on validation and test clips; see `clar_sweeps.evaluation`.

        The judges learn from all clean training clips with all labels, whatever training saw.
        Ranks share the encoder's work; the judges are rank 0's, and the others return nothing.

        Raises:
            DivergedError: A representation is not finite.
        """
        self.ranks.announce("evaluate")
        train, valid, test = (self._represent(split) for split in SPLITS)
        if not self.ranks.leads:
            return {}
        return evaluate_representations(
            train,
            {"valid": valid, "test": test},
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
            CheckpointError: Truncated, damaged, or of another trial. The trainer is then as it
                was.
            ConfigError: Computed in another precision. The checkpoint is sound, so it is not to be
                given up.
            DataError: Of other clips; likewise.
        """
        state = load_checkpoint(path, trial_id=trial_id)
        if state["dataset_digest"] != self.waveforms.digest:
            raise DataError(
                f"{path}: trained on other clips (digest {state['dataset_digest'][:12]}) than are "
                f"prepared now ({self.waveforms.digest[:12]}); prepare those of before, or delete "
                "the trial's folder"
            )
        if state["precision"] != str(self.autocast_dtype):
            raise ConfigError(
                f"{path}: trained in {_precision(state['precision'])}, here it would go on in "
                f"{_precision(str(self.autocast_dtype))}; run it with --retry-failed on a machine "
                "as before, or set precision, which makes another trial"
            )
        self.ranks.announce("load")
        self._take_state(self.ranks.state_from_leader(state))
        progress: dict[str, Any] = state["progress"]
        return progress

    def follow(self) -> None:
        """Take part in what rank 0 does, until it is done; called on every other rank."""
        while (verb := self.ranks.listen()) != "end":
            if verb == "train_epoch":
                self.train_epoch()
            elif verb == "evaluate":
                self.evaluate()
            else:
                self._take_state(self.ranks.state_from_leader({}))

    def _take_state(self, state: dict[str, Any]) -> None:
        self.encoder.load_state_dict(state["encoder"])
        self.projection_head.load_state_dict(state["projection_head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]

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
        fit = fit_into_memory(
            self._kept_bytes,
            self.training_set.clips,
            num_passes=self.num_views,
            largest_part=-(-self.training_set.batch_size // self.ranks.size),
            device=self.device,
        )
        # All or none: batch norm makes the ranks compute in step.
        return self.ranks.any(not fit)

    def _kept_bytes(self, clips: Tensor) -> int:
        """Bytes that a forward pass over some clips keeps for its backward pass."""
        (waveforms,) = self.loader.batches([clips])
        modules = (self.encoder, self.projection_head)
        return activation_bytes(modules, self._project, self._inputs(waveforms))

    def _represent(self, split: Split) -> Labelled:
        """Representations of a split's clips by the encoder in eval mode."""
        self.encoder.eval()
        clips = torch.from_numpy(self.waveforms.indices(split))
        augment = augment_held_out(self.config, split, self.chain, device=self.device)

        def encode(waveforms: Tensor, part: Part | None) -> Tensor:
            inputs = self._inputs(augment(waveforms, part))
            with self._autocast():
                representations: Tensor = self.encoder(inputs).float()
            return representations

        representations = represent(
            clips,
            encode,
            size=self.encoder.representation_size,
            loader=self.loader,
            ranks=self.ranks,
            on_step=self.on_step,
        )
        if not representations.isfinite().all():
            step = self.epoch * self.training_set.steps_per_epoch
            raise DivergedError("a representation is not finite", epoch=self.epoch, step=step)
        labels = torch.from_numpy(self.waveforms.labels)[clips]
        return Labelled(representations, labels.to(self.device))


def _precision(autocast_dtype: str) -> str:
    return "float32" if autocast_dtype == "None" else autocast_dtype.removeprefix("torch.")
