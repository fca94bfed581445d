"""Differences within a seed, tested against zero over the seeds and corrected for their number."""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from analysis.stats.intervals import NO_SPREAD, Counts, Estimates, Floats, estimates

# Of p-values, after Holm's correction: all of a family are wrong together in one run of twenty.
LEVEL = 0.05


class Contrasts(NamedTuple):
    """Differences over seeds, one family of comparisons; each field has their shape.

    `half_width` and the two p-values are NaN below two seeds. The p-values are also NaN where the
    seeds do not differ at all: metrics come in steps of one clip, so that no spread between few
    seeds says nothing of how small it is.
    """

    mean: Floats
    half_width: Floats  # of the 95% interval of this difference alone
    n: Counts  # seeds
    p: Floats  # two-sided, of this difference alone
    p_holm: Floats  # corrected for all of the family


def contrasts(differences: Floats) -> Contrasts:
    """Test differences against zero by paired t-tests.

    Args:
        differences: (seeds, ...) within a seed, NaN where it has none.

    Returns:
        Of the shape of `differences` without the seeds; p-values corrected over all of it.
    """
    found = estimates(differences)
    p = p_values(found)
    return Contrasts(found.mean, found.half_width, found.n, p, holm(p))


def p_values(differences: Estimates) -> Floats:
    """Two-sided p-values of t-tests against zero, of their shape.

    NaN below two seeds, and where the seeds do not differ at all.
    """
    mean, std, n = differences.mean, differences.std, differences.n
    is_tested = std > NO_SPREAD
    error = np.where(is_tested, std, 1.0) / np.sqrt(np.maximum(n, 1))
    two_sided = 2 * stdtr(np.maximum(n - 1, 1), -np.abs(mean) / error)
    return np.where(is_tested, two_sided, np.nan)


def holm(p: Floats) -> Floats:
    """Correct p-values for their number; NaN stays and does not count.

    The chance of one false rejection or more stays below the level, whatever the dependence.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    is_tested = np.isfinite(p)
    tested = p[is_tested]
    order = np.argsort(tested)
    raised = tested[order] * np.arange(len(tested), 0, -1)
    corrected = np.empty_like(tested)
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    result = np.full_like(p, np.nan)
    result[is_tested] = corrected
    return result
