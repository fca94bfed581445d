"""Means, intervals and paired differences over seeds."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

CONFIDENCE = 0.95
# Metrics are fractions of some hundred clips: a spread below this is rounding of sums. Between few
# seeds it says nothing of how small the spread is, for metrics come in steps of one clip.
NO_SPREAD = 1e-12

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Estimate(NamedTuple):
    """A mean over seeds with its t-interval; numbers that n does not allow are NaN."""

    mean: float
    std: float  # of the sample (n - 1); NaN below two values
    half_width: float  # of the interval: mean - half_width to mean + half_width; NaN below two
    n: int

    @property
    def is_told(self) -> bool:
        """Whether the seeds tell a difference from none."""
        return self.n > 1 and self.std > NO_SPREAD and abs(self.mean) > self.half_width


class Estimates(NamedTuple):
    """Many estimates at once; each field has the shape of what was estimated."""

    mean: Floats
    std: Floats
    half_width: Floats
    n: Counts


def estimate(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Estimate:
    """Estimate a mean from independent values.

    One value has a mean and no interval; no value has neither.

    Raises:
        ValueError: A value is not finite: an absent one is left out, not averaged.
    """
    numbers = np.asarray(values, dtype=float)
    if not np.isfinite(numbers).all():
        raise ValueError(f"values are {list(values)}: leave out what is not finite")
    n = len(numbers)
    mean = float(numbers.mean()) if n else np.nan
    if n < 2:
        return Estimate(mean, np.nan, np.nan, n)
    std = float(numbers.std(ddof=1))
    quantile = float(stdtrit(n - 1, (1 + confidence) / 2))
    return Estimate(mean, std, quantile * std / float(np.sqrt(n)), n)


def paired_difference(
    values: Mapping[int, float], others: Mapping[int, float], *, confidence: float = CONFIDENCE
) -> Estimate:
    """Estimate values - others from the seeds that both have.

    Trials of one seed share initial weights and data order, so their differences vary less than
    the trials do.

    Args:
        values: Seed to value.
        others: Seed to value.
        confidence: Of the interval.
    """
    shared = [seed for seed in values if seed in others]
    return estimate([values[seed] - others[seed] for seed in shared], confidence=confidence)


def estimates(values: Floats, *, confidence: float = CONFIDENCE) -> Estimates:
    """Estimate many means, each from the seeds that have it.

    Args:
        values: (seeds, ...), NaN where there is none.
        confidence: Of the intervals.

    Returns:
        Of the shape of `values` without the seeds; as `estimate` of each column.
    """
    is_there = np.isfinite(values)
    n = is_there.sum(axis=0)
    mean = _divided(np.where(is_there, values, 0.0).sum(axis=0), n)
    squares = np.where(is_there, (values - mean) ** 2, 0.0).sum(axis=0)
    std = np.sqrt(_divided(squares, n - 1))
    quantile = stdtrit(np.maximum(n - 1, 1), (1 + confidence) / 2)
    return Estimates(mean, std, quantile * std / np.sqrt(np.maximum(n, 1)), n.astype(np.int64))


def _divided(numbers: Floats, counts: npt.ArrayLike) -> Floats:
    """Numbers by counts; NaN where the count is not above 0."""
    counts = np.asarray(counts)
    result = np.full(counts.shape, np.nan)
    np.divide(numbers, counts, out=result, where=counts > 0)
    return result
