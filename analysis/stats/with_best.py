"""Which cells may be the best: Hsu's multiple comparisons with the best, in blocks."""

import functools

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, ndtr

from analysis.stats.intervals import CONFIDENCE, NO_SPREAD, Floats

_HERMITE, _WEIGHTS = np.polynomial.hermite_e.hermegauss(48)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_NUM_SCALES = 256


def may_be_best(values: Floats) -> npt.NDArray[np.bool_] | None:
    """Which cells cannot be told from the best one.

    A cell stays unless another's mean lies further above its own than chance would put it. The
    truly best cell stays with 95 % probability, however the cell of a table was chosen. The error
    is that of the randomised block design, pooled over all cells, with (seeds - 1) * (cells - 1)
    degrees of freedom: trials of all cells are taken to vary alike. Where their standard deviations
    are fivefold apart, the most variable cell stays with 80 % only.

    Args:
        values: (seeds, cells), all there.

    Returns:
        (cells,); None below two seeds or two cells, and where seeds differ by a shift alone: no
        spread between few seeds says nothing of how small it is.

    Source: Hsu, Multiple Comparisons: Theory and Methods (1996), chapter 4, after Gupta (1965).
    """
    num_seeds, num_cells = values.shape
    if num_seeds < 2 or num_cells < 2:
        return None
    degrees = (num_seeds - 1) * (num_cells - 1)
    error = np.sqrt((residuals(values) ** 2).sum() / degrees)
    if error <= NO_SPREAD:
        return None
    reach = one_sided_quantile(num_cells - 1, degrees) * error * np.sqrt(2 / num_seeds)
    means = values.mean(axis=0)
    return np.asarray(means >= means.max() - reach)


def residuals(values: Floats) -> Floats:
    """What is left of values without what their seeds share and what their cells share.

    Args:
        values: (seeds, cells), all there.
    """
    by_seed, by_cell = values.mean(axis=1, keepdims=True), values.mean(axis=0)
    return np.asarray(values - by_seed - by_cell + values.mean())


@functools.cache
def one_sided_quantile(num_others: int, degrees: int, confidence: float = CONFIDENCE) -> float:
    """What the largest of so many t-statistics against one cell stays below.

    Differences from one cell are correlated by one half.

    Args:
        num_others: Cells compared with the one.
        degrees: Of freedom of the pooled error.
        confidence: That none exceeds it.

    Source: Dunnett, A multiple comparison procedure for comparing several treatments with a
    control (1955), one-sided.
    """
    low, high = 0.0, 2.0
    while _chance_below(high, num_others, degrees) < confidence:
        low, high = high, 2 * high
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        is_low = _chance_below(middle, num_others, degrees) < confidence
        low, high = (middle, high) if is_low else (low, middle)
    return high


def _chance_below(limit: float, num_others: int, degrees: int) -> float:
    """Given the one cell's error and the scale, the others are independent."""
    probabilities = (np.arange(_NUM_SCALES) + 0.5) / _NUM_SCALES
    scales = np.sqrt(gammaincinv(degrees / 2, probabilities) * 2 / degrees)
    below = ndtr(_HERMITE + np.sqrt(2) * limit * scales[:, None]) ** num_others
    return float((below @ _WEIGHTS).mean())
