"""A trial from its config to its record; the same with Ray and without."""

import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from clar_sweeps import data, provenance, records
from clar_sweeps.config import Trial
from clar_sweeps.data import SPLITS
from clar_sweeps.errors import CheckpointError, DivergedError, RunLockedError
from clar_sweeps.trainer.trainer import Epoch, Trainer

logger = logging.getLogger(__name__)

Report = Callable[[dict[str, float | int | str]], None]

# A killed driver's actors write for about three seconds more.
_LOCK_TIMEOUT_SECONDS = 15.0


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
    waveforms = data.load(config.dataset, condition=config.condition, folder=config.folder)
    trainer = Trainer(config, waveforms)
    if trainer.training_set.labelled is not None:
        records.write_json(folder / "labelled.json", trainer.training_set.labelled.manifest)
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
        row = _row(epoch)
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
        loss = epoch.losses["loss"]
        logger.info("%s epoch %d/%d loss %.4f", trial.name, epoch.epoch, config.epochs, loss)
        report({**row, "epochs": config.epochs})
    if config.epochs == 0:
        metrics = _evaluate(trainer, cost)
    cost["total_seconds"] = spent_before + time.perf_counter() - started
    trained_clips = trainer.epoch * trainer.training_set.clips_per_epoch
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
        provenance=provenance.describe(trainer.device) | _what_was_run(trainer),
    )
    return "done"


def _row(epoch: Epoch) -> dict[str, float | int | str]:
    """Line of the history."""
    fields = epoch._asdict()
    losses = fields.pop("losses")
    return {"epoch": fields.pop("epoch"), "step": fields.pop("step"), **losses, **fields}


def _what_was_run(trainer: Trainer) -> dict[str, Any]:
    """What config, dataset and machine came to together."""
    training_set = trainer.training_set
    facts: dict[str, Any] = {
        "precision": str(trainer.autocast_dtype or torch.float32).removeprefix("torch."),
        "dataset_digest": trainer.waveforms.digest,
        "clips": {split: len(trainer.waveforms.indices(split)) for split in SPLITS},
        "train_clips": len(training_set.clips),
        "batch_size": training_set.batch_size,
        "steps_per_epoch": training_set.steps_per_epoch,
    }
    if training_set.labelled is not None:
        manifest = training_set.labelled.manifest
        facts |= {f"labelled_{name}": manifest[name] for name in ("num_clips", "sha256")}
    return facts


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
