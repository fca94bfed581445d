"""From times of parts to seconds of trials, and from those to the time and the disk of a run."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from clar_sweeps.calibration.crew import Measured
from clar_sweeps.calibration.kinds import kinds_of
from clar_sweeps.calibration.parts import Makeup, Part
from clar_sweeps.calibration.timing import Times
from clar_sweeps.config import Trial
from clar_sweeps.records.cost import Cost, KindCost
from clar_sweeps.watching.estimate import time_to_end

# Ray's start until it takes a first trial, and its end: in imports of torch, which go by the same
# disk and processor. Measured on two cores: docs/performance.md.
_RAYS_IMPORTS = 5.0
# From one trial to the next in the same process.
_SECONDS_BETWEEN = 0.1


class Circumstances(NamedTuple):
    """How the trials of a run follow one another."""

    slots: int  # trials at once
    with_ray: bool
    shares_processes: bool  # a process takes up one trial after another
    is_wall_known: bool = True  # not where trials go to other machines


def seconds_of(makeup: Makeup, times: Mapping[Part, Times]) -> float:
    """Seconds of a trial, as `total_seconds` of its record counts them: all parts, added up."""
    chain = sum(times[operation].seconds for operation in makeup.operations)
    evaluation = times[makeup.evaluation]
    seconds = makeup.num_evaluations * evaluation.seconds + makeup.augmented_batches * chain
    if makeup.steps is None:
        return evaluation.build_seconds + seconds
    steps = times[makeup.steps]
    return (
        steps.build_seconds
        + makeup.num_steps * (steps.seconds + makeup.num_views * chain)
        + makeup.num_checkpoints * steps.save_seconds
        + seconds
    )


def predict(
    trials: Sequence[Trial],
    makeups: Mapping[str, Makeup],
    measured: Measured,
    circumstances: Circumstances,
    *,
    left: Mapping[str, float],
) -> Cost:
    """What a run of trials will cost.

    Args:
        trials: In the order in which a run takes them.
        makeups: Theirs, by id.
        measured: Times of their parts.
        circumstances: How they will be run.
        left: Share of each trial that no earlier run has trained, by id.
    """
    seconds = {trial.id: seconds_of(makeups[trial.id], measured.times) for trial in trials}
    for trial in trials[: circumstances.slots] if circumstances.shares_processes else trials:
        seconds[trial.id] += measured.warm_up_seconds  # each is the first of its process
    kinds: dict[str, dict[str, float]] = {}
    for id, kind in kinds_of(trials).items():
        kinds.setdefault(kind, {})[id] = seconds[id]
    rest = [seconds[trial.id] * left[trial.id] for trial in trials]
    wall = wall_seconds(rest, measured, circumstances)
    return Cost(
        format=1,
        at=time.time(),
        slots=circumstances.slots,
        wall_seconds=wall if circumstances.is_wall_known else None,
        disk_bytes=_disk_bytes(trials, makeups, measured, slots=circumstances.slots),
        kinds=tuple(KindCost(kind, trials) for kind, trials in kinds.items()),
    )


def wall_seconds(
    trials: Sequence[float], measured: Measured, circumstances: Circumstances
) -> float:
    """Seconds from the begin of a run to its end, by a simulation of its slots.

    A slot that comes free takes the next trial, as the runner does. A process costs its imports:
    once a slot where trials share it, else once a trial.

    Args:
        trials: Seconds of each, in their order.
        measured: What was measured.
        circumstances: How they follow one another.
    """
    shares, process = circumstances.shares_processes, measured.import_seconds
    each = _SECONDS_BETWEEN + (0.0 if shares else process)
    begins = [process if shares else 0.0] * min(circumstances.slots, len(trials))
    end = time_to_end(begins, [seconds + each for seconds in trials], slots=len(begins))
    return end + (_RAYS_IMPORTS * measured.import_seconds if circumstances.with_ray else 0.0)


def _disk_bytes(
    trials: Sequence[Trial], makeups: Mapping[str, Makeup], measured: Measured, *, slots: int
) -> int:
    """Records and last checkpoints of all, and one checkpoint more of those in training."""
    checkpoints = [
        measured.times[steps].checkpoint_bytes
        for trial in trials
        if (steps := makeups[trial.id].steps) is not None
    ]
    before = sorted(checkpoints, reverse=True)[:slots]
    records = sum(makeups[trial.id].record_bytes for trial in trials)
    return sum(checkpoints) + sum(before) + records
