"""Trials one after another in this process, where Ray is not wanted or not installed."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import RunLockedError
from clar_sweeps.tuning.progress import Progress
from clar_sweeps.tuning.slots import Slots
from clar_sweeps.tuning.trainable import occupy

logger = logging.getLogger(__name__)


def run_locally(trials: Sequence[Trial], run: Path, *, slots: Slots, progress: Progress) -> None:
    """Train trials in order, with the threads and so the results that they have under Ray.

    One that another process trains is left to it.

    Raises:
        OSError: A record cannot be written.
    """
    occupy(cpus=slots.cpus, gpus=slots.gpus)
    from clar_sweeps.trainer import run_trial

    for trial in trials:
        logger.info("%s starts", trial.name)
        progress.started(trial)
        try:
            run_trial(trial, run, partial(progress.reported, trial))
        except RunLockedError as error:
            logger.warning("%s", error)
        progress.ended(trial, records.read_record(records.trial_folder(run, trial)))
