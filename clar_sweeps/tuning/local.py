"""Trials one after another in this process, where Ray is not wanted or not installed."""

import logging
from functools import partial

from clar_sweeps import records
from clar_sweeps.errors import DiskFullError, RunLockedError
from clar_sweeps.tuning.interrupts import stopping_by_signal
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.trainable import occupy

logger = logging.getLogger(__name__)


def run_locally(schedule: Schedule) -> None:
    """Train trials in order, with the threads and so the results that they have under Ray.

    One that another process trains is tried again for a while, then left to it. Nobody watches for
    hangs: the one process there is would have to end itself.

    Raises:
        DiskFullError: A record or a checkpoint did not fit.
        OSError: A record cannot be written.
        RecordError: A record cannot be read.
    """
    with stopping_by_signal(schedule):
        _train_all(schedule)
    if schedule.fault is not None:
        raise schedule.fault


def _train_all(schedule: Schedule) -> None:
    from clar_sweeps.trainer import run_trial
    from clar_sweeps.trainer.failing import kind_of

    while (trial := schedule.next()) is not None:
        occupy(cpus=schedule.slots.cpus, gpus=schedule.slots.gpus)
        logger.info("%s starts", trial.name)
        schedule.started(trial)
        try:
            run_trial(trial, schedule.run, partial(schedule.reported, trial))
        except RunLockedError as error:
            logger.warning("%s", error)
            schedule.locked(trial)  # the next try waits for the lock as well, so this is no haste
            continue
        except DiskFullError as error:
            schedule.give_up(error)
        except Exception as error:
            # What to keep if the trial could not: its folder may not be writable.
            death = records.describe_failure(
                error, kind=kind_of(error), log=schedule.run / "run.log", provenance={}
            )
            schedule.interrupted(trial, death)
            continue
        schedule.returned(trial)
