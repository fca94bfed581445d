"""A sweep's missing trials through Ray Tune, a fresh experiment each time."""

import itertools
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clar_sweeps.config import Trial
from clar_sweeps.sweep import Resources
from clar_sweeps.tuning.cluster import machines, ray_running, wait_for_cpus
from clar_sweeps.tuning.hang import HangWatch
from clar_sweeps.tuning.interrupts import stopping_by_signal
from clar_sweeps.tuning.metrics import gauges_shown
from clar_sweeps.tuning.nodes import Expected, agreed
from clar_sweeps.tuning.recount import Recount
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.slots import share_processes
from clar_sweeps.tuning.trainable import Order
from clar_sweeps.watching.snapshot import Snapshot

logger = logging.getLogger(__name__)

_STORAGE = ".ray"  # Tune's own files, of no use once it has ended

# Tune keeps about 70 kB of each trial that it has been given until its experiment ends; a new
# experiment costs a few seconds, and more where trials are long: at the end of a batch slots that
# become free stay so until its last trial has ended, for two experiments do not share slots. What
# waits to be tried again belongs to the next batch.
_BATCH = 1000


def run_with_ray(
    schedule: Schedule,
    *,
    resources: Resources,
    address: str | None,
    hang_timeout_seconds: float,
    look: Callable[[], Snapshot],
    set_up: Callable[[Path], object],
) -> None:
    """Train trials, as many at once as fit; each leaves a record, whatever happens to it.

    Args:
        schedule: The missing trials; on a cluster its run folder is on a path that all machines
            share.
        resources: What a trial asks for.
        address: Of a cluster, whose slots are taken; None to start Ray here.
        hang_timeout_seconds: Without a sign of life for so long, a process is ended.
        look: Gives the run as it is now, for the gauges.
        set_up: Called in each process of Ray's with the run folder, such as to set up its log.

    Raises:
        ConfigError: A trial asks for more than a cluster has, or the cluster cannot be reached.
        DiskFullError: A record or a checkpoint did not fit.
        OSError: A record cannot be written.
        RecordError: A record cannot be read.
    """
    slots = None if address else schedule.slots
    with (
        ray_running(schedule.run, slots=slots, address=address, note=schedule.note),
        _agreed(schedule, address) as expected,
    ):
        recount = Recount(schedule, resources, machines) if address else None
        give = _Orders(schedule, expected, hang_timeout_seconds, set_up)
        watch = HangWatch(schedule.run, timeout_seconds=hang_timeout_seconds)
        with stopping_by_signal(schedule), gauges_shown(look):
            while not schedule.is_over:
                with _storage(schedule.run) as storage:
                    _tune(schedule, watch, recount, give, storage)
                schedule.drop_unstarted()  # by `Idle`, of which Tune tells nobody
    if schedule.fault is not None:
        raise schedule.fault


@contextmanager
def _agreed(schedule: Schedule, address: str | None) -> Iterator[Expected | None]:
    if address is None:
        yield None
        return
    wait_for_cpus(address, schedule.note)
    with agreed(schedule.run, schedule.waiting) as expected:
        wait_for_cpus(address, schedule.note)  # who was there may be lost by now
        yield expected


class _Orders:
    """Writes the order for each trial that is handed out."""

    def __init__(
        self,
        schedule: Schedule,
        expected: Expected | None,
        patience_seconds: float,
        set_up: Callable[[Path], object],
    ) -> None:
        self.schedule = schedule
        self.expected = expected
        self.patience_seconds = patience_seconds
        self.set_up = set_up
        self.attempts = itertools.count()
        self.is_for_many = share_processes(schedule.slots, schedule.waiting)

    def __call__(self, trial: Trial) -> dict[str, Any]:
        """The order, with the share that a trial has by now."""
        return Order(
            config=trial.config.model_dump(mode="json"),
            run=str(self.schedule.run.absolute()),
            cpus=self.schedule.slots.cpus,
            gpus=self.schedule.slots.gpus,
            ranks=self.schedule.slots.ranks,
            patience_seconds=self.patience_seconds,
            attempt=next(self.attempts),
            is_one_of_many=self.is_for_many,
            expected=self.expected,
            set_up=self.set_up,
        )._asdict()


@contextmanager
def _storage(run: Path) -> Iterator[Path]:
    storage = run.absolute() / _STORAGE
    shutil.rmtree(storage, ignore_errors=True)  # of a run that was killed
    try:
        yield storage
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def _tune(
    schedule: Schedule,
    watch: HangWatch,
    recount: Recount | None,
    order: _Orders,
    storage: Path,
) -> None:
    from ray import tune

    from clar_sweeps.tuning.experiment import Bookkeeper, Idle, InOrder, Process

    tuner = tune.Tuner(
        Process,
        tune_config=tune.TuneConfig(
            search_alg=InOrder(schedule, order, batch=_BATCH),
            num_samples=-1,  # the schedule tells when it is over
            reuse_actors=order.is_for_many,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name="experiment",
            storage_path=str(storage),
            stop=Idle(schedule),
            failure_config=tune.FailureConfig(max_failures=0),
            callbacks=[Bookkeeper(schedule, watch, recount)],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except Exception as error:
        # It ends by reading again what it has written of errors, which a full disk may have cut.
        if not (schedule.is_over or schedule.is_idle):
            raise
        logger.info("Ray Tune, after its last trial: %r", error)


def _name(trial: Any) -> str:
    order = Order(**trial.config)
    return f"{order.trial.folder}-{order.attempt}"
