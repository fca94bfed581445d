"""Training of one trial, from its config to its record. Knows nothing of Ray."""

import logging
import math
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from clar_sweeps import data, provenance, records, rng
from clar_sweeps.augment import build_chain
from clar_sweeps.checkpoint import load_checkpoint, save_checkpoint
from clar_sweeps.config import SAMPLE_RATE, Trial, TrialConfig
from clar_sweeps.data.waveforms import Split, Waveforms
from clar_sweeps.errors import CheckpointError, ConfigError, DivergedError, RunLockedError
from clar_sweeps.evaluation import Labelled, evaluate_representations
from clar_sweeps.features import RawWaveform, SpectralFeatures
from clar_sweeps.losses import nt_xent
from clar_sweeps.models import ENCODERS, ProjectionHead
from clar_sweeps.optim import build_optimizer, learning_rate_at

logger = logging.getLogger(__name__)

Report = Callable[[dict[str, float | int | str]], None]

_CLIPS_AT_ONCE = 256
_INT16_SCALE = 1 / 32768
_SMALLEST_PICTURE = 16
# A killed driver's actors write for about three seconds more.
_LOCK_TIMEOUT_SECONDS = 15.0


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
        self.device = _choose_device(config.device)
        self.autocast_dtype = _choose_precision(
            config, self.device, num_samples=waveforms.samples.shape[1]
        )
        with rng.seeded(config.seed, "encoder"):
            encoder = ENCODERS[config.encoder](config.width)
        with rng.seeded(config.seed, "projection_head"):
            head = ProjectionHead(encoder.representation_size)
        # channels_last: the 2-D encoder trains 1.2 to 1.8 times as fast on a CPU in bfloat16.
        self.encoder = encoder.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types no such overload
        self.projection_head = head.to(self.device)
        self.features = _build_features(config).to(self.device)
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


def run_trial(trial: Trial, run: Path, report: Report) -> records.EndState:
    """Train a trial to its final record, from its last checkpoint if it has one.

    The same function with Ray and without. A trial that fails or diverges gets a record as well;
    an interruption leaves checkpoint and history, from which the next call goes on.

    Args:
        trial: What to train.
        run: The run folder.
        report: Told the numbers of each epoch, as plain values.

    Returns:
        How the trial ended.

    Raises:
        RunLockedError: Another process is training this trial.
    """
    folder = records.trial_folder(run, trial)
    with records.locked(folder, timeout_seconds=_LOCK_TIMEOUT_SECONDS) as acquired:
        if not acquired:
            raise RunLockedError(f"{folder}: another process trains this trial; wait for it")
        records.remove_leftovers(folder)
        if not (folder / "config.json").exists():
            records.write_config(folder, trial)
        state = records.state_of(run, trial)
        if state in ("done", "failed", "diverged"):
            return state
        try:
            return _train_to_end(trial, folder, report)
        except DivergedError as error:
            _close_in_error(folder, trial, "diverged", error)
            return "diverged"
        except Exception as error:
            logger.exception("%s failed", trial.name)
            _close_in_error(folder, trial, "failed", error)
            return "failed"


def _train_to_end(trial: Trial, folder: Path, report: Report) -> records.EndState:
    config = trial.config
    started = time.perf_counter()
    trainer = Trainer(config, data.load(config.dataset, condition=config.condition))
    if trainer.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(trainer.device)
    cost = {"train_seconds": 0.0, "eval_seconds": 0.0, "total_seconds": 0.0}
    metrics: dict[str, float] = {}
    spent_before = 0.0
    resumed = _resume(trainer, trial, folder)
    if resumed is not None:
        metrics, cost = resumed["metrics"], resumed["cost"]
        spent_before = cost["total_seconds"]
    while trainer.epoch < config.epochs:
        epoch = trainer.train_epoch()
        cost["train_seconds"] += epoch.seconds
        row: dict[str, float | int | str] = dict(epoch._asdict())
        if trainer.epoch % config.eval_every == 0 or trainer.epoch == config.epochs:
            metrics = _evaluate(trainer, cost)
            row |= metrics
        records.append_history(folder, row)
        cost["total_seconds"] = spent_before + time.perf_counter() - started
        if trainer.epoch % config.checkpoint_every == 0 or trainer.epoch == config.epochs:
            trainer.save(
                folder / "checkpoint.pt",
                trial_id=trial.id,
                progress={"metrics": metrics, "cost": dict(cost)},
            )
        logger.info("%s epoch %d/%d loss %.4f", trial.name, epoch.epoch, config.epochs, epoch.loss)
        report({**row, "epochs": config.epochs})
    if config.epochs == 0:
        metrics = _evaluate(trainer, cost)
    cost["total_seconds"] = spent_before + time.perf_counter() - started
    trained_clips = trainer.epoch * trainer.steps_per_epoch * trainer.batch_size
    if trained_clips:
        cost["clips_per_second"] = trained_clips / cost["train_seconds"]
    if trainer.device.type == "cuda":
        cost["peak_memory_bytes"] = float(torch.cuda.max_memory_allocated(trainer.device))
    records.write_summary(
        folder,
        trial,
        state="done",
        metrics=metrics,
        cost=cost,
        provenance={
            **provenance.describe(trainer.device),
            "precision": str(trainer.autocast_dtype or torch.float32).removeprefix("torch."),
            "dataset_digest": trainer.waveforms.digest,
        },
    )
    return "done"


def _evaluate(trainer: Trainer, cost: dict[str, float]) -> dict[str, float]:
    started = time.perf_counter()
    metrics = trainer.evaluate()
    cost["eval_seconds"] += time.perf_counter() - started
    return metrics


def _resume(trainer: Trainer, trial: Trial, folder: Path) -> dict[str, Any] | None:
    """Load the trial's checkpoint, if it has a sound one, and cut the history back to it."""
    path = folder / "checkpoint.pt"
    progress = None
    if path.exists():
        try:
            progress = trainer.load(path, trial_id=trial.id)
            logger.info("%s resumes at epoch %d from %s", trial.name, trainer.epoch, path)
        except CheckpointError as error:
            aside = path.replace(path.with_suffix(".damaged"))
            logger.warning("%s; put aside as %s, training starts anew", error, aside.name)
    records.cut_history(folder, epoch=trainer.epoch)
    return progress


def _close_in_error(folder: Path, trial: Trial, state: records.EndState, error: Exception) -> None:
    tail = "".join(traceback.format_exception(error)).splitlines()[-20:]
    records.write_summary(
        folder,
        trial,
        state=state,
        metrics={},
        cost={},
        provenance=provenance.describe(torch.device("cpu")),
        error={
            "type": type(error).__name__,
            "message": str(error),
            "traceback": "\n".join(tail),
        },
    )


def _choose_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _choose_precision(
    config: TrialConfig, device: torch.device, *, num_samples: int
) -> torch.dtype | None:
    """Type of autocast, None for float32 throughout."""
    name = config.precision
    if device.type == "cpu" and config.features is not None:
        num_frames = num_samples // config.features.hop_length + 1
        # The last stage then reads a single point, and torch 2.11 leaves the gradient of kernel
        # taps that no point reaches uninitialised in bfloat16: numbers of any size.
        if min(config.features.num_bands, num_frames) <= _SMALLEST_PICTURE:
            if name == "bfloat16":
                raise ConfigError(
                    f"precision: bfloat16 on a CPU needs a picture above {_SMALLEST_PICTURE} bands "
                    f"and frames, this is {config.features.num_bands} by {num_frames}; use float32"
                )
            return None
    if name == "auto":
        gains = (
            torch.cuda.is_bf16_supported(including_emulation=False)
            if device.type == "cuda"
            else torch.cpu._is_avx512_bf16_supported()
        )
        name = "bfloat16" if gains else "float32"
    return torch.bfloat16 if name == "bfloat16" else None


def _build_features(config: TrialConfig) -> nn.Module:
    if config.features is None:
        return RawWaveform()
    return SpectralFeatures(sample_rate=SAMPLE_RATE, **config.features.model_dump())
