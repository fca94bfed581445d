"""Where a trial goes on: at its last sound checkpoint."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clar_sweeps import records
from clar_sweeps.checkpoint import previous, put_aside
from clar_sweeps.errors import CheckpointError
from clar_sweeps.trainer.trainer import Trainer

logger = logging.getLogger(__name__)


def resume(
    trainer: Trainer, checkpoint: Path, *, trial_id: str, note: Callable[[str], None]
) -> dict[str, Any] | None:
    """Load a trial's last sound checkpoint, and put the history back to its epoch.

    Those that are not sound are put aside.

    Args:
        trainer: As it was built.
        checkpoint: Where the last one is kept.
        trial_id: The trial's.
        note: Told of each checkpoint that was put aside, once it is known what is used instead.

    Returns:
        The ledger as it was then; None where the trial starts anew.

    Raises:
        DataError: A checkpoint is sound and of other clips.
        ConfigError: It is sound and of another precision.
        OSError: One cannot be read now.
    """
    faults, progress = [], None
    instead = "the trial starts anew"
    for path in (checkpoint, previous(checkpoint)):
        if not path.exists():
            continue
        try:
            progress = trainer.load(path, trial_id=trial_id)
        except CheckpointError as error:
            faults.append(f"{error}; put aside as {put_aside(path).name}")
            continue
        instead = f"the trial goes on after epoch {trainer.epoch}, from {path.name}"
        logger.info("%s: resumes at epoch %d", path, trainer.epoch)
        break
    for fault in faults:
        logger.info("%s; %s", fault, instead)
        note(f"{fault}; {instead}")
    if progress is not None and "history" not in progress:  # written by version 0.1.0
        rows = records.read_history(checkpoint.parent)
        progress["history"] = [row for row in rows if row["epoch"] <= trainer.epoch]
    # From the checkpoint, not from the file: a row may be ahead of it, or lost.
    records.write_history(checkpoint.parent, progress["history"] if progress else [])
    return progress
