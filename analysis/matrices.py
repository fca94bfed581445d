"""Trials frames to the numbers of Figure 4: pair matrices and their margins.

The shape is that of CLAR's Figure 4: a row is the operation applied first, a column the one
applied second, the diagonal one operation alone; the last column averages rows, the last row
columns, the corner all cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.cells import (
    Panel,
    Trials,
    best_cell,
    cells,
    chance_level,
    rows_of,
    untrained_estimate,
)
from analysis.stats import Estimate
from clar_sweeps.records import State

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Margin(NamedTuple):
    """Means of cells along one side of a matrix, and how many cells each averages."""

    means: Floats  # (k,)
    num_cells: Counts  # (k,)


class PairMatrix(NamedTuple):
    """One matrix of ordered pairs of k operations, as numbers.

    A cell that is not done is NaN and in no mean.
    """

    panel: Panel
    metric: str
    operations: tuple[str, ...]
    means: Floats  # (k, k) over seeds, fractions
    stds: Floats  # (k, k) over seeds; NaN below two
    half_widths: Floats  # (k, k) of the 95% interval; NaN below two seeds
    num_done: Counts  # (k, k) seeds averaged
    num_trials: Counts  # (k, k) seeds planned or found
    states: tuple[tuple[State, ...], ...]
    epochs_reached: Counts  # (k, k)
    first: Margin  # last column: the operation applied first
    second: Margin  # last row: the operation applied second
    mean: float  # corner
    num_cells: int  # averaged in the corner
    best: tuple[int, int] | None  # highest on validation
    untrained: Estimate
    chance: float | None
    seeds: tuple[int, ...]


def pair_matrix(
    trials: Trials,
    operations: Sequence[str],
    panel: Panel,
    metric: str = "test_top1",
) -> PairMatrix:
    """Lay the cells of a panel out as Figure 4 does.

    Args:
        trials: From `load_run`, as a frame or taken apart.
        operations: Of the rows and columns, in order.
        panel: One of `panels(trials)`.
        metric: Of the test split.

    Raises:
        ValueError: The metric is not one of the test split.
    """
    size = len(operations)
    found = cells(trials, panel, metric)
    places = {
        (operations.index(cell.first), operations.index(cell.second)): cell
        for cell in found
        if cell.first in operations and cell.second in operations
    }
    means, stds, half_widths = (np.full((size, size), np.nan) for _ in range(3))
    num_done, num_trials, epochs = (np.zeros((size, size), dtype=np.int64) for _ in range(3))
    states: list[list[State]] = [["missing"] * size for _ in operations]
    for place, cell in places.items():
        means[place] = cell.estimate.mean
        stds[place] = cell.estimate.std
        half_widths[place] = cell.estimate.half_width
        num_done[place] = cell.estimate.n
        num_trials[place] = cell.num_trials
        epochs[place] = cell.epoch
        states[place[0]][place[1]] = cell.state
    best = best_cell(list(places.values()))
    seeds = {int(row["seed"]) for row in rows_of(trials, panel) if row["state"] == "done"}
    return PairMatrix(
        panel=panel,
        metric=metric,
        operations=tuple(operations),
        means=means,
        stds=stds,
        half_widths=half_widths,
        num_done=num_done,
        num_trials=num_trials,
        states=tuple(tuple(row) for row in states),
        epochs_reached=epochs,
        first=_margin(means),
        second=_margin(means.T),
        mean=_mean(means.ravel()),
        num_cells=int(np.isfinite(means).sum()),
        best=next((place for place, cell in places.items() if cell is best), None),
        untrained=untrained_estimate(trials, panel, metric),
        chance=chance_level(panel.dataset),
        seeds=tuple(sorted(seeds)),
    )


def _margin(rows: Floats) -> Margin:
    means = np.array([_mean(row) for row in rows])
    return Margin(means, np.isfinite(rows).sum(axis=1).astype(np.int64))


def _mean(values: Floats) -> float:
    # Not nanmean: of no value it warns.
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def matrix_frame(matrices: Sequence[PairMatrix]) -> pd.DataFrame:
    """Matrices as a long table, a row a cell or a mean; fractions.

    `kind` is cell, mean_first (last column), mean_second (last row) or mean_all (corner).
    """
    rows: list[dict[str, object]] = []
    for matrix in matrices:
        shared = {"panel": matrix.panel.label, "metric": matrix.metric}
        names = matrix.operations
        for i, first in enumerate(names):
            for j, second in enumerate(names):
                rows.append(
                    shared
                    | {"kind": "cell", "first": first, "second": second}
                    | {"state": matrix.states[i][j], "value": matrix.means[i, j]}
                    | {"std": matrix.stds[i, j], "half_width": matrix.half_widths[i, j]}
                    | {"num_done": matrix.num_done[i, j], "num_trials": matrix.num_trials[i, j]}
                    | {"best": matrix.best == (i, j)}
                )
        for kind, side, margin in (
            ("mean_first", "first", matrix.first),
            ("mean_second", "second", matrix.second),
        ):
            rows += [
                shared | {"kind": kind, side: name, "value": mean, "num_cells": count}
                for name, mean, count in zip(names, margin.means, margin.num_cells, strict=True)
            ]
        rows.append(
            shared | {"kind": "mean_all", "value": matrix.mean, "num_cells": matrix.num_cells}
        )
    columns = ["panel", "metric", "kind", "first", "second", "state", "value", "std", "half_width"]
    counts = ["num_done", "num_trials", "num_cells"]
    frame = pd.DataFrame(rows, columns=[*columns, *counts, "best"])
    return frame.astype(dict.fromkeys(counts, "Int64") | {"best": "boolean"})
