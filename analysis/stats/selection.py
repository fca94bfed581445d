"""The cell that is chosen on validation, and what it has on test without the winner's curse.

Validation and test judge one encoder, so that a lucky seed raises both: the test mean of the cell
that looks best on validation is too high, the more so the more cells and the fewer seeds there are.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.stats.intervals import CONFIDENCE, NO_SPREAD, Estimate, Floats, estimate, estimates
from analysis.stats.with_best import may_be_best, residuals

# Below, choosing without a seed is choosing by one.
FEWEST_SEEDS = 3
_NUM_RESAMPLES = 1000
_NUM_SIMULATED = 500
# Numbers at once: a run of hundreds of seeds needs no more memory than one of three.
_NUMBERS_AT_ONCE = 250_000


class Winner(NamedTuple):
    """The chosen cell of a matrix.

    All but `cell` and `naive` come from the seeds that have all cells. Below three of them
    `corrected` has NaN for mean and interval and `frequency` is None; below two `may_be_best` is.
    """

    cell: int  # place among the cells
    naive: Estimate  # on test, from all its seeds: too high
    corrected: Estimate  # on test, each seed read where the others choose
    frequency: Floats | None  # (cells,) share of resampled sets of seeds that choose it
    may_be_best: npt.NDArray[np.bool_] | None  # (cells,) which may be the best on test


def winner(test: Floats, valid: Floats, *, generator: np.random.Generator) -> Winner | None:
    """Choose a cell on validation and report it on test.

    Cells without a result on either split at any seed are no candidates.

    Args:
        test: (seeds, cells), NaN where there is none.
        valid: (seeds, cells) of the same trials.
        generator: Draws the resamples and the simulated trials.

    Returns:
        None where no cell has a result on both.
    """
    is_there = np.isfinite(test) & np.isfinite(valid)
    places = np.flatnonzero(is_there.any(axis=0))
    if not len(places):
        return None
    means = estimates(valid[:, places]).mean
    cell = int(places[means.argmax()])
    is_whole = is_there[:, places].all(axis=1)
    chosen_test, chosen_valid = (one[is_whole][:, places] for one in (test, valid))
    num_seeds = int(is_whole.sum())
    frequency, corrected = None, Estimate(np.nan, np.nan, np.nan, num_seeds)
    if num_seeds >= FEWEST_SEEDS:
        corrected = corrected_estimate(chosen_test, chosen_valid, generator=generator)
        frequency = np.zeros(test.shape[1])
        frequency[places] = selection_frequency(chosen_valid, generator=generator)
    among = may_be_best(chosen_test)
    return Winner(
        cell=cell,
        naive=estimate(test[np.isfinite(test[:, cell]), cell].tolist()),
        corrected=corrected,
        frequency=frequency,
        may_be_best=among if among is None else np.isin(np.arange(test.shape[1]), places[among]),
    )


def selection_frequency(valid: Floats, *, generator: np.random.Generator) -> Floats:
    """How often each cell is chosen when the seeds are drawn anew with replacement.

    Args:
        valid: (seeds, cells), all there.
        generator: Draws the seeds.

    Returns:
        (cells,), of sum 1.
    """
    num_seeds, num_cells = valid.shape
    draws = generator.multinomial(num_seeds, [1 / num_seeds] * num_seeds, size=_NUM_RESAMPLES)
    chosen = (draws @ valid).argmax(axis=1)
    return np.bincount(chosen, minlength=num_cells) / _NUM_RESAMPLES


def corrected_estimate(
    test: Floats, valid: Floats, *, generator: np.random.Generator, confidence: float = CONFIDENCE
) -> Estimate:
    """Estimate on test what the choice on validation gives at a seed that took no part in it.

    Each seed is left out in turn: the others choose a cell on validation, and its test value is
    read at the seed that was left out (Stone, Cross-validatory choice, 1974). The mean of these is
    free of the winner's curse; it is a little too low, as far as fewer seeds choose worse. The
    choices share seeds, so that the values are correlated and a t-interval is too narrow: its
    quantile is raised by the ratio that trials simulated from the fitted model show (a studentised
    parametric bootstrap; Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 12).

    Args:
        test: (seeds, cells), all there, of three seeds at least.
        valid: (seeds, cells) of the same trials.
        generator: Draws the simulated trials.
        confidence: Of the interval.

    Returns:
        `std` is that of the values read.

    Raises:
        ValueError: There are fewer than three seeds, or a value is absent.
    """
    if len(test) < FEWEST_SEEDS or not np.isfinite([test, valid]).all():
        raise ValueError(
            f"test is of {len(test)} seeds: give {FEWEST_SEEDS} or more that have all cells"
        )
    values = np.take_along_axis(test, _left_out_choice(valid)[:, None], axis=1)[:, 0]
    found = estimate(values.tolist(), confidence=confidence)
    ratio = _widening(test, valid, generator=generator, confidence=confidence)
    return found._replace(half_width=ratio * found.half_width)


def _left_out_choice(valid: Floats) -> npt.NDArray[np.intp]:
    """The cell that the other seeds choose, for each seed: (..., seeds)."""
    return np.asarray((valid.sum(axis=-2, keepdims=True) - valid).argmax(axis=-1))


class _Model(NamedTuple):
    """Trials of a matrix as means of cells, an effect of the seed on all, and errors."""

    test: Floats  # (cells,)
    valid: Floats
    seed_std: float
    test_std: float
    valid_std: float
    correlation: float  # of a trial's errors on test and validation


def _widening(
    test: Floats, valid: Floats, *, generator: np.random.Generator, confidence: float
) -> float:
    """Ratio, at least 1, of the quantile with choosing to that of one cell, in equal draws."""
    model = _fit(test, valid) if test.shape[1] > 1 else None
    if model is None:
        return 1.0
    fixed = int(valid.sum(axis=0).argmax())
    size = max(1, _NUMBERS_AT_ONCE // test.size)
    found = [
        _simulate(model, (min(size, _NUM_SIMULATED - start), *test.shape), fixed, generator)
        for start in range(0, _NUM_SIMULATED, size)
    ]
    chosen, of_one = np.quantile(np.concatenate(found, axis=1), confidence, axis=1)
    return max(1.0, float(chosen / of_one))


def _simulate(
    model: _Model, shape: tuple[int, int, int], fixed: int, generator: np.random.Generator
) -> Floats:
    """Sizes of t-statistics, (2, draws): of the corrected value, and of one cell without choosing.

    Args:
        model: Of the trials.
        shape: (draws, seeds, cells).
        fixed: The one cell.
        generator: Draws the trials.
    """
    errors = generator.standard_normal(shape)
    # What a seed adds to all cells of validation changes no choice, so that it is left out there.
    seeds, own = generator.standard_normal((2, *shape[:2]))
    valid = model.valid + model.valid_std * errors
    # Test is drawn where it is read, in one cell a seed.
    rest = model.seed_std * seeds + model.test_std * np.sqrt(1 - model.correlation**2) * own
    sizes = []
    for read, truth in (
        (_left_out_choice(valid), model.test[valid.sum(axis=1).argmax(axis=1)]),
        (np.full(shape[:2], fixed), model.test[fixed]),
    ):
        luck = np.take_along_axis(errors, read[..., None], axis=2)[..., 0]
        test = model.test[read] + model.test_std * model.correlation * luck + rest
        error = test.std(axis=1, ddof=1) / np.sqrt(shape[1])
        sizes.append(np.abs(test.mean(axis=1) - truth) / error)
    return np.stack(sizes)


def _fit(test: Floats, valid: Floats) -> _Model | None:
    """Fit by moments; None where trials do not vary."""
    num_seeds, num_cells = test.shape
    of_test, of_valid = residuals(test), residuals(valid)
    degrees = (num_seeds - 1) * (num_cells - 1)
    variance, other = ((left**2).sum() / degrees for left in (of_test, of_valid))
    if min(variance, other) < NO_SPREAD**2:
        return None
    of_seeds = test.mean(axis=1).var(ddof=1) - variance / num_cells
    correlation = (of_test * of_valid).sum() / degrees / np.sqrt(variance * other)
    return _Model(
        test=_shrunken(test.mean(axis=0), variance / num_seeds),
        valid=_shrunken(valid.mean(axis=0), other / num_seeds),
        seed_std=float(np.sqrt(max(0.0, of_seeds))),
        test_std=float(np.sqrt(variance)),
        valid_std=float(np.sqrt(other)),
        correlation=float(np.clip(correlation, -1, 1)),
    )


def _shrunken(means: Floats, noise: float) -> Floats:
    """Means drawn together until they spread as much as the true ones, without their noise.

    Source: Louis, Estimating a population of parameter values (1984).
    """
    spread = means.var(ddof=1)
    factor = np.sqrt(max(0.0, 1 - noise / spread)) if spread else 0.0
    return np.asarray(means.mean() + factor * (means - means.mean()))
