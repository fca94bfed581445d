"""A matrix of ordered pairs as a two-way layout in blocks: margins, order, effects, interactions.

Values are (seeds, first, second): the operation applied first, then the one applied second, NaN
where a seed has no result. The unit of every interval is the seed: a quantity is computed within
each seed that has all the cells it needs, and then estimated over these seeds. That holds whatever
the cells of a seed share, and whether or not they vary alike (a repeated-measures design, each
contrast with its own error: Maxwell and Delaney, Designing Experiments and Analyzing Data, ch. 11).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.stats.contrasts import Contrasts, contrasts
from analysis.stats.intervals import Counts, Estimates, Floats, estimates


class Margins(NamedTuple):
    """Means of rows, columns and all cells; n counts the seeds that have all cells of a mean."""

    first: Estimates  # (k,) rows
    second: Estimates  # (k,) columns
    grand: Estimates  # ()
    num_cells_first: Counts  # (k,) averaged: cells that have no result at any seed are left out
    num_cells_second: Counts  # (k,)
    num_cells: int


class OrderEffects(NamedTuple):
    """What the order of two operations changes: (A then B) minus (B then A), a pair each."""

    first: npt.NDArray[np.intp]  # (pairs,) place of A
    second: npt.NDArray[np.intp]  # (pairs,) place of B, after A
    effects: Contrasts  # (pairs,)


class MainEffects(NamedTuple):
    """What an operation adds to the mean of all cells; the p-values of both are one family."""

    first: Contrasts  # (k,) applied first: row minus grand mean
    second: Contrasts  # (k,) applied second: column minus grand mean


def margins(values: Floats) -> Margins:
    """Estimate the means of rows, columns and all cells.

    Args:
        values: (seeds, first, second).
    """
    is_found = np.isfinite(values).any(axis=0)
    return Margins(
        first=estimates(means_within_seeds(values)),
        second=estimates(means_within_seeds(values.swapaxes(1, 2))),
        grand=estimates(means_within_seeds(_flat(values))),
        num_cells_first=is_found.sum(axis=1).astype(np.int64),
        num_cells_second=is_found.sum(axis=0).astype(np.int64),
        num_cells=int(is_found.sum()),
    )


def _flat(values: Floats) -> Floats:
    """(seeds, cells), also of no seed."""
    return values.reshape(len(values), values.shape[1] * values.shape[2])


def means_within_seeds(values: Floats) -> Floats:
    """Average the last axis within each seed.

    Args:
        values: (seeds, ..., cells).

    Returns:
        (seeds, ...): NaN at a seed that lacks a cell which another seed has, for means of other
        cells cannot be compared; a cell that no seed has is left out of all.
    """
    is_found = np.isfinite(values).any(axis=0)
    total = np.where(is_found, values, 0.0).sum(axis=-1)  # NaN where a found cell is absent
    num_cells = is_found.sum(axis=-1)
    return np.asarray(total / np.where(num_cells, num_cells, np.nan))


def order_effects(values: Floats) -> OrderEffects:
    """Estimate what the order of each two operations changes, from the seeds that have both.

    Args:
        values: (seeds, first, second).
    """
    first, second = np.triu_indices(values.shape[1], k=1)
    differences = values[:, first, second] - values[:, second, first]
    return OrderEffects(first, second, contrasts(differences))


def main_effects(values: Floats) -> MainEffects:
    """Estimate what each operation adds as the first and as the second one.

    Only seeds that have all cells count, and a cell that no seed has leaves no effect: rows
    averaged over different columns cannot be compared.

    Args:
        values: (seeds, first, second).
    """
    grand = values.mean(axis=(1, 2))[:, None]
    both = np.concatenate([values.mean(axis=2) - grand, values.mean(axis=1) - grand], axis=1)
    found, size = contrasts(both), values.shape[1]
    return MainEffects(_part(found, slice(size)), _part(found, slice(size, None)))


def _part(found: Contrasts, place: slice) -> Contrasts:
    return Contrasts(
        mean=found.mean[place],
        half_width=found.half_width[place],
        n=found.n[place],
        p=found.p[place],
        p_holm=found.p_holm[place],
    )


def interactions(values: Floats) -> Contrasts:
    """Estimate what each pair adds beyond the main effects of its two operations.

    Cell - row mean - column mean + grand mean, from the seeds that have all cells.

    Args:
        values: (seeds, first, second).

    Returns:
        (first, second).
    """
    rows, columns = values.mean(axis=2, keepdims=True), values.mean(axis=1, keepdims=True)
    return contrasts(values - rows - columns + values.mean(axis=(1, 2), keepdims=True))


def against_mean(values: Floats) -> Contrasts:
    """Estimate each cell minus the mean of all that have a result, from seeds that have them all.

    Args:
        values: (seeds, first, second).

    Returns:
        (first, second).
    """
    grand = means_within_seeds(_flat(values))
    return contrasts(values - grand[:, None, None])


def against_baseline(values: Floats, baseline: Floats) -> Contrasts:
    """Estimate each cell minus a baseline of the same seed.

    Args:
        values: (seeds, first, second).
        baseline: (seeds,), such as the untrained encoder's; NaN where it is not evaluated.

    Returns:
        (first, second).
    """
    return contrasts(values - baseline[:, None, None])
