"""Trials frames to the statistics of a matrix: margins, order, main effects, the best cell."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.cells import Panel, TrialRows
from analysis.stats import (
    Contrasts,
    Estimate,
    Estimates,
    Floats,
    MainEffects,
    Margins,
    OrderEffects,
    Winner,
    against_baseline,
    against_mean,
    estimates,
    interactions,
    main_effects,
    margins,
    order_effects,
    winner,
)


class SeedValues(NamedTuple):
    """One matrix of k operations seed by seed; NaN where a trial is not done."""

    seeds: tuple[int, ...]  # that have a result
    test: Floats  # (seeds, first, second)
    valid: Floats  # (seeds, first, second) the same metric on validation
    untrained: Floats  # (seeds,) test of the encoder that all cells start from


class Effects(NamedTuple):
    """All statistics of one matrix; with one seed there are means and differences alone."""

    panel: Panel
    metric: str
    operations: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: Estimates  # (k, k)
    margins: Margins
    order: OrderEffects  # a pair of operations each
    main: MainEffects
    interactions: Contrasts  # (k, k)
    against_mean: Contrasts  # (k, k) minus the mean of all cells
    gains: Contrasts  # (k, k) minus the untrained encoder
    winner: Winner | None  # places are those of the flattened matrix; None without a result

    @property
    def chosen(self) -> tuple[str, str] | None:
        """First and second operation of the cell chosen on validation."""
        return None if self.winner is None else self._pair(self.winner.cell)

    @property
    def num_candidates(self) -> int:
        """How many cells have a result, of which the best is looked for."""
        return int((self.cells.n > 0).sum())

    @property
    def not_told_from_best(self) -> tuple[tuple[str, str], ...]:
        """The other cells that may be the best one; empty where that needs more seeds."""
        if self.winner is None or self.winner.may_be_best is None:
            return ()
        places = np.flatnonzero(self.winner.may_be_best).tolist()
        return tuple(self._pair(place) for place in places if place != self.winner.cell)

    def _pair(self, place: int) -> tuple[str, str]:
        first, second = divmod(place, len(self.operations))
        return self.operations[first], self.operations[second]


def seed_values(
    trials: TrialRows, operations: Sequence[str], panel: Panel, metric: str = "test_top1"
) -> SeedValues:
    """Lay the results of a panel out by seed and pair of operations.

    Args:
        trials: Of the run, taken apart.
        operations: Of the rows and columns, in order.
        panel: One of `trials.panels`.
        metric: Of the test split.
    """
    places = {name: place for place, name in enumerate(operations)}
    done = [
        row
        for row in trials.of(panel)
        if row["state"] == "done" and row["first"] in places and row["second"] in places
    ]
    seeds = tuple(sorted({int(row["seed"]) for row in done}))
    by_seed = {seed: place for place, seed in enumerate(seeds)}
    shape = (len(seeds), len(operations), len(operations))
    test, valid, untrained = (
        np.full(shape, np.nan),
        np.full(shape, np.nan),
        np.full(shape[0], np.nan),
    )
    valid_metric, untrained_metric = metric.replace("test_", "valid_"), f"untrained_{metric}"
    for row in done:
        seed = by_seed[int(row["seed"])]
        place = seed, places[row["first"]], places[row["second"]]
        test[place], valid[place] = _number(row[metric]), _number(row[valid_metric])
        untrained[seed] = _number(row[untrained_metric])
    return SeedValues(seeds, test, valid, untrained)


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def effects(
    trials: TrialRows, operations: Sequence[str], panel: Panel, metric: str = "test_top1"
) -> Effects:
    """Compute all statistics of one matrix; equal records give equal numbers.

    Args:
        trials: Of the run, taken apart.
        operations: Of the rows and columns, in order.
        panel: One of `trials.panels`.
        metric: Of the test split.
    """
    values = seed_values(trials, operations, panel, metric)
    test, valid = values.test, values.valid
    flat = len(test), len(operations) ** 2
    return Effects(
        panel=panel,
        metric=metric,
        operations=tuple(operations),
        seeds=values.seeds,
        cells=estimates(test),
        margins=margins(test),
        order=order_effects(test),
        main=main_effects(test),
        interactions=interactions(test),
        against_mean=against_mean(test),
        gains=against_baseline(test, values.untrained),
        winner=winner(test.reshape(flat), valid.reshape(flat), generator=np.random.default_rng(0)),
    )


# kind, first, second, value, half_width, p, p_holm, n
_Row = tuple[str, str | None, str | None, float, float, float, float, int]
_COLUMNS = ("kind", "first", "second", "value", "half_width", "p", "p_holm", "n")
_NONE = float("nan")


def effects_frame(found: Iterable[Effects]) -> pd.DataFrame:
    """Effects as a long table, a row a number; fractions. docs/statistics.md explains each kind.

    `n` counts seeds. What is no estimate over seeds has no interval: `selected` is the share of
    resamples, `may_be_best` 1 or 0.
    """
    rows = [(one.panel.label, one.metric, *row) for one in found for row in _rows(one)]
    return pd.DataFrame(rows, columns=["panel", "metric", *_COLUMNS])


def _rows(found: Effects) -> Iterator[_Row]:
    names = found.operations
    pairs = [(first, second) for first in names for second in names]
    firsts: list[tuple[str, str | None]] = [(name, None) for name in names]
    seconds: list[tuple[None, str]] = [(None, name) for name in names]
    ordered = zip(found.order.first.tolist(), found.order.second.tolist(), strict=True)
    yield from _means("cell", pairs, found.cells)
    yield from _means("mean_first", firsts, found.margins.first)
    yield from _means("mean_second", seconds, found.margins.second)
    yield from _means("mean_all", [(None, None)], found.margins.grand)
    yield from _tests("order", [(names[i], names[j]) for i, j in ordered], found.order.effects)
    yield from _tests("main_first", firsts, found.main.first)
    yield from _tests("main_second", seconds, found.main.second)
    yield from _tests("interaction", pairs, found.interactions)
    yield from _tests("against_mean", pairs, found.against_mean)
    yield from _tests("gain", pairs, found.gains)
    if found.winner is not None:
        yield from _winner_rows(found.winner, pairs)


_Names = Sequence[tuple[str | None, str | None]]


def _means(kind: str, names: _Names, found: Estimates) -> Iterator[_Row]:
    fields = (np.ravel(field).tolist() for field in (found.mean, found.half_width, found.n))
    for (first, second), mean, half_width, n in zip(names, *fields, strict=True):
        yield kind, first, second, mean, half_width, _NONE, _NONE, n


def _tests(kind: str, names: _Names, found: Contrasts) -> Iterator[_Row]:
    ordered = (found.mean, found.half_width, found.p, found.p_holm, found.n)
    fields = (np.ravel(field).tolist() for field in ordered)
    for (first, second), mean, half_width, p, p_holm, n in zip(names, *fields, strict=True):
        yield kind, first, second, mean, half_width, p, p_holm, n


def _winner_rows(found: Winner, pairs: Sequence[tuple[str, str]]) -> Iterator[_Row]:
    named: tuple[tuple[str, Estimate], ...] = (
        ("best", found.naive),
        ("best_corrected", found.corrected),
    )
    for kind, one in named:
        yield kind, *pairs[found.cell], one.mean, one.half_width, _NONE, _NONE, one.n
    n = found.corrected.n
    for kind, values in (("selected", found.frequency), ("may_be_best", found.may_be_best)):
        if values is not None:
            for pair, value in zip(pairs, values.tolist(), strict=True):
                yield kind, *pair, float(value), _NONE, _NONE, _NONE, n
