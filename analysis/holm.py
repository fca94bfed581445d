"""p-values corrected for their number."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


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
