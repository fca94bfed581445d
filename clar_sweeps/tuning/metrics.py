"""Gauges of a run for Prometheus, through Ray's metrics."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from clar_sweeps.errors import RecordError
from clar_sweeps.records import Live
from clar_sweeps.watching.snapshot import Snapshot

logger = logging.getLogger(__name__)

# Ray puts this before each name: `ray_clar_trial_epoch` is what Prometheus is asked for.
EXPORT_PREFIX = "ray_"
# Where a run on one machine shows its metrics, if no other process has the port.
METRICS_PORT = 8399

TRIAL_EPOCH = "clar_trial_epoch"
TRIAL_LOSS = "clar_trial_loss"
TRIAL_TOP1 = "clar_trial_top1"
TRIAL_CLIPS_PER_SECOND = "clar_trial_clips_per_second"
TRIAL_MEMORY_BYTES = "clar_trial_memory_bytes"
SWEEP_TRIALS = "clar_sweep_trials"
SWEEP_SLOTS = "clar_sweep_slots"
SWEEP_SLOTS_IN_USE = "clar_sweep_slots_in_use"
SWEEP_SECONDS_LEFT = "clar_sweep_seconds_left"

SWEEP_LABEL = "sweep"
TRIAL_LABEL = "trial"
STATE_LABEL = "state"
_TRIAL_LABELS = (SWEEP_LABEL, TRIAL_LABEL)

# Name -> what Prometheus shows as its help, and its labels.
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    TRIAL_EPOCH: ("Epochs trained by a trial in training.", _TRIAL_LABELS),
    TRIAL_LOSS: ("Loss of the last epoch of a trial in training.", _TRIAL_LABELS),
    TRIAL_TOP1: ("Test top-1 of the last evaluation, a fraction.", _TRIAL_LABELS),
    TRIAL_CLIPS_PER_SECOND: ("Clips a second over the last epoch.", _TRIAL_LABELS),
    TRIAL_MEMORY_BYTES: ("Memory of a trial's process, or of its GPU.", _TRIAL_LABELS),
    SWEEP_TRIALS: ("Trials of the plan by state, without baselines.", (SWEEP_LABEL, STATE_LABEL)),
    SWEEP_SLOTS: ("Trials that can run at once.", (SWEEP_LABEL,)),
    SWEEP_SLOTS_IN_USE: ("Trials that run.", (SWEEP_LABEL,)),
    SWEEP_SECONDS_LEFT: ("Estimate of the time that the run still takes.", (SWEEP_LABEL,)),
}
# Of SWEEP_TRIALS: those of a record, where no process trains the trial now.
STATES = ("missing", "unfinished", "running", "done", "failed", "diverged")
# Well within Ray's own interval: what is not set anew between two exports is left out of the next.
_PERIOD_SECONDS = 2.0


class Value(NamedTuple):
    """What one gauge is set to."""

    gauge: str
    value: float
    labels: dict[str, str]


@contextmanager
def gauges_shown(look: Callable[[], Snapshot]) -> Iterator[None]:
    """Keep a run's gauges current, in a thread; Ray must be running.

    All are set by the driver, so that one process has all of a run, also on a cluster. Ray forgets
    a gauge that is not set anew for two of its intervals: those of a trial go when the trial has
    ended, those of the run with the run.

    Args:
        look: Gives the run as it is now.
    """
    over = threading.Event()
    thread = threading.Thread(target=_keep_current, args=(look, over), name="gauges", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _keep_current(look: Callable[[], Snapshot], over: threading.Event) -> None:
    from ray.util.metrics import Gauge

    gauges = {
        name: Gauge(name, description=text, tag_keys=labels)
        for name, (text, labels) in GAUGES.items()
    }
    while not over.is_set():
        try:
            values = list(values_of(look()))
        except (OSError, RecordError) as error:  # the next look may succeed; training goes on
            logger.debug("%s", error)
            values = []
        for value in values:
            gauges[value.gauge].set(value.value, tags=value.labels)
        over.wait(_PERIOD_SECONDS)


def values_of(snapshot: Snapshot) -> Iterator[Value]:
    """What the gauges of a run are, by its records."""
    run = {SWEEP_LABEL: snapshot.sweep.name}
    running = [each for each in snapshot.running if each.trial.config.epochs]
    counts = Counter[str]()
    counts.update(dict[str, int](snapshot.counts.items()))
    for each in running:
        counts[snapshot.standings[each.trial.id].state] -= 1
    counts["running"] = len(running)
    for state in STATES:
        yield Value(SWEEP_TRIALS, float(max(0, counts[state])), {**run, STATE_LABEL: state})
    if snapshot.driver is not None:
        yield Value(SWEEP_SLOTS, float(snapshot.driver.slots), run)
    yield Value(SWEEP_SLOTS_IN_USE, float(len(snapshot.running)), run)
    if snapshot.left is not None:
        yield Value(SWEEP_SECONDS_LEFT, snapshot.left.seconds, run)
    for each in snapshot.running:
        if each.live is not None:
            yield from _values_of_trial(each.live, {**run, TRIAL_LABEL: each.trial.name})


def _values_of_trial(live: Live, labels: dict[str, str]) -> Iterator[Value]:
    measured = {
        TRIAL_EPOCH: live.epoch,
        TRIAL_LOSS: live.loss,
        TRIAL_TOP1: live.top1,
        TRIAL_CLIPS_PER_SECOND: live.clips_per_second,
        TRIAL_MEMORY_BYTES: live.memory_bytes or None,
    }
    for name, value in measured.items():
        if value is not None:
            yield Value(name, float(value), labels)
