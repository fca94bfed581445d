"""A trial from its config to its record; the same with Ray and without."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from clar_sweeps import data, provenance, records
from clar_sweeps.checkpoint import keep_only_last
from clar_sweeps.config import Trial
from clar_sweeps.data import SPLITS
from clar_sweeps.errors import DiskFullError, RunLockedError, UsageError
from clar_sweeps.trainer.failing import keep_failure
from clar_sweeps.trainer.heartbeat import Heartbeat
from clar_sweeps.trainer.ledger import HistoryRow, Ledger
from clar_sweeps.trainer.ranks import ALONE, Ranks
from clar_sweeps.trainer.resuming import resume
from clar_sweeps.trainer.trainer import Trainer

logger = logging.getLogger(__name__)

Report = Callable[[HistoryRow], None]


def run_trial(
    trial: Trial,
    run: Path,
    report: Report,
    *,
    patience_seconds: float | None = None,
    ranks: Ranks = ALONE,
) -> records.State:
    """Train a trial to its final record, from its last sound checkpoint if it has one.

    The same function with Ray and without. An interruption of any kind leaves checkpoints and
    history, from which the next call goes on. A request to stop is heard before the first epoch
    and after each, and obeyed with a checkpoint; what is being prepared or trained is ended first.
    What a retry cannot mend closes the record as failed. Any other error is kept in
    `failures.jsonl` and raised: whoever called decides whether to call again, or to give the trial
    up by `records.close_unsuccessful`.

    Args:
        trial: What to train.
        run: The run folder.
        report: Told the numbers of each epoch, as plain values, and what else a user should know,
            as `note`.
        patience_seconds: How long the caller waits for a sign of life before it ends the process.
        ranks: Processes that help, each in `follow`; this one leads them, and dismisses them where
            it has trained.

    Returns:
        How the trial ended; `unfinished` where it was asked to stop.

    Raises:
        RunLockedError: Another process is training this trial.
        DiskFullError: A record or a checkpoint did not fit; nothing was lost.
        Exception: Anything that training raised; of DivergedError it is known to be the loss.
    """
    folder = records.trial_folder(run, trial)
    with records.locked(folder, timeout_seconds=records.LOCK_TIMEOUT_SECONDS) as acquired:
        if not acquired:
            raise RunLockedError(f"{folder}: another process trains this trial; wait for it")
        records.remove_leftovers(folder)
        if not (folder / "config.json").exists():
            records.write_config(folder, trial)
        state = records.state_of(run, trial)
        if state in ("done", "failed", "diverged"):
            return state
        try:
            with Heartbeat(folder, patience_seconds=patience_seconds) as heartbeat:
                return _train_to_end(trial, run, folder, report, heartbeat, ranks)
        except (DiskFullError, RunLockedError):
            raise  # no fault of the trial's, and no room, or no right, to write of it
        except Exception as error:
            logger.exception("%s failed", trial.name)
            keep_failure(folder, run, error)
            if isinstance(error, UsageError):
                records.close_unsuccessful(folder, trial)
                return "failed"
            raise


def _train_to_end(
    trial: Trial,
    run: Path,
    folder: Path,
    report: Report,
    heartbeat: Heartbeat,
    ranks: Ranks,
) -> records.State:
    config, checkpoint, ledger = trial.config, folder / "checkpoint.pt", Ledger()
    waveforms = data.load(*config.clips)
    trainer = Trainer(config, waveforms, on_step=heartbeat.step, ranks=ranks)
    if trainer.training_set.labelled is not None:
        records.write_json(folder / "labelled.json", trainer.training_set.labelled.manifest)
    if trainer.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(trainer.device)
    so_far = resume(
        trainer, checkpoint, trial_id=trial.id, note=lambda text: report({"note": text})
    )
    if so_far is not None:
        ledger.go_on_from(so_far)
    stops = records.stop_requested(run, folder)
    while trainer.epoch < config.epochs and not stops:
        heartbeat.tell(epoch=trainer.epoch)
        heartbeat.enter("training")
        epoch = trainer.train_epoch()
        row = ledger.add_epoch(epoch)
        loss = epoch.losses["loss"]
        heartbeat.tell(epoch=epoch.epoch, loss=loss, clips_per_second=epoch.clips_per_second)
        is_last = trainer.epoch == config.epochs
        if trainer.epoch % config.eval_every == 0 or is_last:
            _evaluate(trainer, ledger, heartbeat)
        heartbeat.refuse_if_taken()
        records.append_history(folder, row)
        stops = records.stop_requested(run, folder)
        if trainer.epoch % config.checkpoint_every == 0 or is_last or stops:
            trainer.save(checkpoint, trial_id=trial.id, progress=ledger.plain())
        logger.info("%s epoch %d/%d loss %.4f", trial.name, epoch.epoch, config.epochs, loss)
        report({**row, "epochs": config.epochs})
    if trainer.epoch < config.epochs:
        ranks.announce("end")
        logger.info("%s stops as asked, after epoch %d", trial.name, trainer.epoch)
        return "unfinished"
    if config.epochs == 0:
        _evaluate(trainer, ledger, heartbeat)
    ranks.announce("end")
    records.write_summary(
        folder,
        trial,
        state="done",
        metrics=ledger.metrics,
        cost=ledger.plain()["cost"] | _rates(trainer, ledger),
        provenance=provenance.describe(trainer.device) | _what_was_run(trainer),
    )
    keep_only_last(checkpoint)
    return "done"


def _evaluate(trainer: Trainer, ledger: Ledger, heartbeat: Heartbeat) -> None:
    heartbeat.enter("evaluating")
    started = time.perf_counter()
    metrics = trainer.evaluate()
    ledger.add_evaluation(metrics, seconds=time.perf_counter() - started)
    heartbeat.tell(top1=metrics["test_top1"])


def _rates(trainer: Trainer, ledger: Ledger) -> dict[str, float]:
    rates = {}
    trained_clips = trainer.epoch * trainer.training_set.clips_per_epoch
    if trained_clips:
        rates["clips_per_second"] = trained_clips / ledger.cost["train_seconds"]
    if trainer.device.type == "cuda":
        rates["peak_memory_bytes"] = float(torch.cuda.max_memory_allocated(trainer.device))
    return rates


def _what_was_run(trainer: Trainer) -> dict[str, Any]:
    """What config, dataset and machine came to together."""
    training_set = trainer.training_set
    facts: dict[str, Any] = {
        "precision": str(trainer.autocast_dtype or torch.float32).removeprefix("torch."),
        "dataset_digest": trainer.waveforms.digest,
        "clips": {split: len(trainer.waveforms.indices(split)) for split in SPLITS},
        "train_clips": len(training_set.clips),
        "batch_size": training_set.batch_size,
        "ranks": trainer.ranks.size,
        "steps_per_epoch": training_set.steps_per_epoch,
    }
    if training_set.labelled is not None:
        manifest = training_set.labelled.manifest
        facts |= {f"labelled_{name}": manifest[name] for name in ("num_clips", "sha256")}
    return facts
