"""How long the trials that are left will take, learnt from those that have run."""

import heapq
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clar_sweeps.config import Trial

Kind = tuple[object, ...]

# Trials with equal values of these take about as long.
COST_FIELDS = (
    "dataset",
    "condition",
    "folder",
    "method",
    "encoder",
    "label_fraction",
    "label_subset",
    "unlabelled",
    "supervised_budget",
    "clar_head",
    "width",
    "features",
    "stem",
    "batch_size",
    "augment_definition",
    "augment_backend",
    "optimizer",
    "precision",
    "recompute",
    "evaluate_on",
    "epochs",
    "eval_every",
    "checkpoint_every",
)
# Operations by the phase vocoder; all others cost next to nothing.
COSTLY = {"PS", "TST", "TSR"}

# What is supposed of the relative spread before there is anything to see, and how many trials this
# supposition counts for.
_WITHIN_KINDS = 0.1
_BETWEEN_KINDS = 0.5
_SUPPOSED = 3
# What all trials to come may have in common: the machine's load, waits between trials.
_LATER = 0.04
# Of a normal distribution: four in five lie so many standard deviations about its middle.
_FOUR_IN_FIVE = 1.28


class Left(NamedTuple):
    """Time until the last trial ends: four in five times it lies between `low` and `high`."""

    seconds: float
    low: float
    high: float


class Task(NamedTuple):
    """What a trial still has to do, in epochs; an untrained encoder counts as one."""

    kind: Kind
    epochs: float


class _Seen(NamedTuple):
    """Logarithms of seconds an epoch, of one kind."""

    num: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        return self.total / self.num


class Estimate:
    """Seconds an epoch, kind by kind, and what follows for the rest.

    The method: the logarithm of the seconds an epoch, evaluations included, is taken as normal
    about the mean of its kind, and the means of kinds as normal about a common mean. Each finished
    trial is one observation, and so is each running one from its first epoch on; both standard
    deviations are estimated from them, beside a weak supposition (10 % within a kind, 50 % between
    kinds, worth three observations each). A kind of which nothing is known takes the common
    mean and the deviation between kinds, so the spread narrows as kinds become known, down to the
    4 % by which a later hour may differ from an earlier one. A kind that has not been seen and that
    a calibration has predicted takes that prediction, corrected by what predicted kinds turned out
    to take, and the deviation within kinds. The time left is that of the slots
    working through the list in order. Work that a retry repeats is not
    foreseen: it is an epoch or so.
    """

    def __init__(self) -> None:
        """Start knowing nothing."""
        self._observed: dict[str, tuple[Kind, float]] = {}
        self._seen: dict[Kind, _Seen] = {}
        self._predicted: dict[Kind, _Seen] = {}

    def predict(self, trial: Trial, *, seconds: float) -> None:
        """Take in how long a trial should take, before it or any other has run."""
        if seconds > 0:
            value = math.log(seconds / max(1, trial.config.epochs))
            _count(self._predicted, kind_of(trial), value, sign=1)

    def learn(self, trial: Trial, *, seconds: float, epochs: float) -> None:
        """Take in how long a trial took for some epochs; replaces what it took in of it before."""
        self.forget(trial)
        if seconds > 0 and epochs > 0:
            self._observed[trial.id] = kind_of(trial), math.log(seconds / epochs)
            _count(self._seen, *self._observed[trial.id], sign=1)

    def forget(self, trial: Trial) -> None:
        """Drop what was taken in of a trial."""
        if trial.id in self._observed:
            _count(self._seen, *self._observed.pop(trial.id), sign=-1)

    def left(self, running: Iterable[Task], waiting: Iterable[Task], *, slots: int) -> Left | None:
        """Time until the last trial ends; None while nothing is known.

        Args:
            running: What each running trial still has to do.
            waiting: What each trial not yet started has to do, in their order.
            slots: Trials at once.
        """
        now, later = list(running), list(waiting)
        if not now and not later:
            return Left(0.0, 0.0, 0.0)
        if not self._seen and not self._predicted:
            return None
        paces = {kind: math.exp(self._pace(kind)) for kind in {task.kind for task in now + later}}
        times = [paces[task.kind] * task.epochs for task in (*now, *later)]
        seconds = time_to_end(times[: len(now)], times[len(now) :], slots=slots)
        deviation = self._relative_deviation([task.kind for task in (*now, *later)], times)
        factor = math.exp(_FOUR_IN_FIVE * deviation)
        return Left(seconds, seconds / factor, seconds * factor)

    def _pace(self, kind: Kind) -> float:
        """Expected logarithm of the seconds an epoch."""
        if kind in self._seen:
            return self._seen[kind].mean
        if kind in self._predicted:
            both = self._seen.keys() & self._predicted.keys()
            off = sum(self._seen[each].mean - self._predicted[each].mean for each in both)
            return self._predicted[kind].mean + off / max(1, len(both))
        known = self._seen or self._predicted
        return sum(each.mean for each in known.values()) / len(known)

    def _relative_deviation(self, kinds: list[Kind], times: list[float]) -> float:
        """Standard deviation of the sum of times, as a share of it."""
        within, between = self._variances()
        by_kind: dict[Kind, float] = {}
        for kind, time in zip(kinds, times, strict=True):
            by_kind[kind] = by_kind.get(kind, 0.0) + time
        whole = sum(times)
        if not whole:
            return 0.0
        told = self._seen.keys() | self._predicted.keys()
        unknown = sum(time for kind, time in by_kind.items() if kind not in told)
        # What trials of a kind have in common does not average out among them.
        variance = unknown**2 * between / len(told) + sum(time**2 for time in times) * within
        for kind, time in by_kind.items():
            seen = self._seen.get(kind)
            apart = within if kind in self._predicted else between
            variance += time**2 * (within / seen.num if seen else apart)
        return math.sqrt(variance / whole**2 + _LATER**2)

    def _variances(self) -> tuple[float, float]:
        """Of the logarithm of the pace: within a kind, and of the means of kinds."""
        seen = self._seen.values()
        squares = sum(max(0.0, each.squares - each.num * each.mean**2) for each in seen)
        num = sum(each.num - 1 for each in seen)
        within = (_SUPPOSED * _WITHIN_KINDS**2 + squares) / (_SUPPOSED + num)
        common = sum(each.mean for each in seen) / max(1, len(seen))
        apart = sum((each.mean - common) ** 2 for each in seen)
        between = (_SUPPOSED * _BETWEEN_KINDS**2 + apart) / (_SUPPOSED + max(0, len(seen) - 1))
        return within, between


def _count(known: dict[Kind, _Seen], kind: Kind, value: float, *, sign: int) -> None:
    num, total, squares = known.get(kind, _Seen(0, 0.0, 0.0))
    seen = _Seen(num + sign, total + sign * value, squares + sign * value**2)
    known[kind] = seen
    if not seen.num:
        del known[kind]


def time_to_end(running: Sequence[float], waiting: Sequence[float], *, slots: int) -> float:
    """When the last trial ends, if each slot that comes free takes the next of the list.

    Args:
        running: Seconds that each running trial still takes; no more than slots.
        waiting: Seconds that each of the others takes, in their order.
        slots: Trials at once.
    """
    ends = [*running, *[0.0] * (slots - len(running))]
    heapq.heapify(ends)
    last = max(ends)
    for time in waiting:
        end = ends[0] + time
        heapq.heapreplace(ends, end)
        last = max(last, end)
    return last


def kind_of(trial: Trial) -> Kind:
    """What a trial's time depends on."""
    costly = sorted(operation for operation in trial.config.augment if operation in COSTLY)
    return (*(getattr(trial.config, name) for name in COST_FIELDS), *costly)
