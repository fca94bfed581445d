"""How long the trials that are left will take, learnt from those that have run."""

from collections.abc import Iterable
from typing import NamedTuple

from clar_sweeps.config import Trial

# Trials with equal values of these take about as long an epoch.
_COST_FIELDS = (
    "dataset",
    "method",
    "label_fraction",
    "unlabelled",
    "supervised_budget",
    "encoder",
    "width",
    "features",
    "batch_size",
    "augment_backend",
)
# Operations by the phase vocoder; all others cost next to nothing.
_COSTLY = {"PS", "TST", "TSR"}


class _Spent(NamedTuple):
    seconds: float
    epochs: int


class Estimate:
    """Seconds an epoch, kind by kind, and what follows for the rest."""

    def __init__(self) -> None:
        """Start knowing nothing."""
        self._spent: dict[tuple[object, ...], _Spent] = {}

    def learn(self, trial: Trial, *, seconds: float, epochs: int) -> None:
        """Take in that a trial trained some epochs in some time, its evaluations included."""
        kind = _kind(trial)
        before = self._spent.get(kind, _Spent(0.0, 0))
        self._spent[kind] = _Spent(before.seconds + seconds, before.epochs + epochs)

    def seconds_of(self, trial: Trial, *, epochs: int) -> float | None:
        """Expected time of some epochs of a trial; None while nothing is known."""
        spent = self._spent.get(_kind(trial))
        if spent is None:  # an unknown kind: the mean of those known
            spent = _Spent(
                sum(known.seconds for known in self._spent.values()),
                sum(known.epochs for known in self._spent.values()),
            )
        return spent.seconds / spent.epochs * epochs if spent.epochs else None


def seconds_left(
    running: Iterable[float | None], waiting: Iterable[float | None], *, slots: int
) -> float | None:
    """Time until the last trial ends, if all slots stay busy until then.

    Args:
        running: Seconds that each running trial still needs.
        waiting: Seconds that each trial not yet started needs.
        slots: Trials at once.

    Returns:
        Seconds; None while one of the times is not known.
    """
    now, later = list(running), list(waiting)
    times = [time for time in (*now, *later) if time is not None]
    if len(times) < len(now) + len(later):
        return None
    # No trial can be split: the longest one is the least that is left.
    return max(sum(times) / slots, max(times, default=0.0))


def _kind(trial: Trial) -> tuple[object, ...]:
    costly = sum(operation in _COSTLY for operation in trial.config.augment)
    return (*(getattr(trial.config, name) for name in _COST_FIELDS), costly)
