"""How early in training the ranking of cells is that of the end."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.stats.intervals import Estimates, Floats, estimates

THRESHOLD = 0.9


class RankPath(NamedTuple):
    """The ranking of cells at each evaluated epoch against that at the last."""

    taus: Floats  # (epochs, seeds) Kendall's tau; NaN without two cells that differ
    mean: Estimates  # (epochs,) of tau over seeds
    stable_from: int | None  # first place from which the mean stays at the threshold or above
    chosen: npt.NDArray[np.intp]  # (epochs,) the cell of the highest mean; -1 where there is none


def rank_path(ranked: Floats, choosing: Floats, *, threshold: float = THRESHOLD) -> RankPath:
    """Compare the ranking of cells at each epoch with that at the last one, within each seed.

    Trials that have no value at the last epoch are left out everywhere.

    Args:
        ranked: (epochs, seeds, cells), the metric whose ranking is compared, NaN where absent.
        choosing: (epochs, seeds, cells), the metric by whose mean over seeds a cell is chosen.
        threshold: Of tau.
    """
    ranked = np.where(np.isfinite(ranked[-1:]), ranked, np.nan)
    choosing = np.where(np.isfinite(choosing[-1:]), choosing, np.nan)
    taus = np.array([kendall_tau(values, ranked[-1]) for values in ranked])
    taus = taus.reshape(ranked.shape[:2])  # also of no epoch
    mean = estimates(taus.T)
    below = np.flatnonzero(~(mean.mean >= threshold))
    place = int(below[-1]) + 1 if len(below) else 0
    means = estimates(choosing.swapaxes(0, 1)).mean
    means = np.where(np.isfinite(means), means, -np.inf)
    return RankPath(
        taus=taus,
        mean=mean,
        stable_from=place if place < len(ranked) else None,
        chosen=np.where(np.isfinite(means).any(axis=1), means.argmax(axis=1), -1),
    )


def kendall_tau(values: Floats, others: Floats) -> Floats:
    """Kendall's tau-b between the rankings of two rows of cells.

    Args:
        values: (..., cells), NaN where absent.
        others: Of the same shape.

    Returns:
        (...) from -1 to 1, over the cells that both have; NaN where one row has no two cells that
        differ.

    Source: Kendall, The treatment of ties in ranking problems (1945).
    """
    one, two = np.triu_indices(values.shape[-1], k=1)
    signs = np.sign(values[..., one] - values[..., two])
    other_signs = np.sign(others[..., one] - others[..., two])
    is_there = np.isfinite(signs) & np.isfinite(other_signs)
    signs, other_signs = np.where(is_there, signs, 0.0), np.where(is_there, other_signs, 0.0)
    # Signs count the pairs that are not tied, so that these are whole numbers.
    untied = np.abs(signs).sum(axis=-1) * np.abs(other_signs).sum(axis=-1)
    product = (signs * other_signs).sum(axis=-1)
    tau = np.full(product.shape, np.nan)
    np.divide(product, np.sqrt(untied), out=tau, where=untied > 0)
    return tau
