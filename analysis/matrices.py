"""Trials frames to the numbers of Figure 4: cells, pair matrices and their margins.

The shape is that of CLAR's Figure 4: a row is the operation applied first, a column the one
applied second, the diagonal one operation alone; the last column averages rows, the last row
columns, the corner all cells.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.frames import TEST_METRICS, check_columns
from analysis.stats import Estimate, estimate, paired_difference
from clar_sweeps.records import State

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
# One trial of a frame.
_Row = Mapping[Hashable, Any]

# Of balanced classes; a dataset that is not here has no chance level drawn.
NUM_CLASSES = {"spoken-digits": 10, "fsdd": 10}
# What a cell without a result is called when its trials ended differently: first the worst.
_PRECEDENCE: tuple[State, ...] = ("failed", "diverged", "unfinished", "missing")


class Panel(NamedTuple):
    """What all cells of one matrix share."""

    label: str
    dataset: str
    condition: str | None
    encoder: str
    setting: str  # further fields that the sweep varies; empty without any
    epochs: int


class Cell(NamedTuple):
    """All trials of a panel that differ only in the seed."""

    chain: tuple[str, ...]
    first: str | None  # None where the chain is no pair
    second: str | None
    state: State  # done: at least one seed has a result
    estimate: Estimate  # of the metric, over the seeds that are done
    valid: Estimate  # of the same metric on the validation split
    gain: Estimate  # paired with the untrained encoder of each seed
    by_seed: Mapping[int, float]
    num_trials: int
    epoch: int  # the furthest of its trials
    epochs: int


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


def panels(trials: pd.DataFrame) -> list[Panel]:
    """The panels of a frame, in its order, the 1-D encoder before the 2-D one."""
    check_columns(trials, "trials")
    names = ["panel", "dataset", "condition", "encoder", "setting", "epochs"]
    heads = trials[names].drop_duplicates("panel").to_dict("records")
    found = [
        Panel(
            label=head["panel"],
            dataset=head["dataset"],
            condition=None if pd.isna(head["condition"]) else head["condition"],
            encoder=head["encoder"],
            setting="" if pd.isna(head["setting"]) else head["setting"],
            epochs=head["epochs"],
        )
        for head in heads
    ]
    order = {key: place for place, key in reversed(list(enumerate(map(_picture, found))))}
    return sorted(found, key=lambda panel: (order[_picture(panel)], panel.encoder))


def _picture(panel: Panel) -> tuple[str, str | None, str]:
    """Panels of one dataset and setting lie side by side."""
    return panel.dataset, panel.condition, panel.setting


def side_by_side(found: Sequence[Panel]) -> list[list[Panel]]:
    """Group panels that differ in the encoder alone: one figure each."""
    groups: dict[tuple[str, str | None, str], list[Panel]] = {}
    for panel in found:
        groups.setdefault(_picture(panel), []).append(panel)
    return list(groups.values())


def cells(trials: pd.DataFrame, panel: Panel, metric: str = "test_top1") -> list[Cell]:
    """Average the seeds of every cell of a panel, in the order of the plan.

    Raises:
        ValueError: The metric is not one of the test split.
    """
    check_columns(trials, "trials")
    if metric not in TEST_METRICS:
        raise ValueError(f"metric: {metric!r} is not one of {', '.join(TEST_METRICS)}")
    groups: dict[str, list[_Row]] = {}
    for row in trials[trials["panel"] == panel.label].to_dict("records"):
        groups.setdefault(str(row["chain"]), []).append(row)
    return [_cell(rows, metric) for rows in groups.values()]


def _cell(rows: Sequence[_Row], metric: str) -> Cell:
    done = [row for row in rows if row["state"] == "done"]
    values = _by_seed(done, metric)
    head = rows[0]
    state = _state({row["state"] for row in rows})
    return Cell(
        chain=tuple(str(head["chain"]).split("+")),
        first=None if pd.isna(head["first"]) else str(head["first"]),
        second=None if pd.isna(head["second"]) else str(head["second"]),
        state=state,
        estimate=estimate(list(values.values())),
        valid=estimate(list(_by_seed(done, metric.replace("test_", "valid_")).values())),
        gain=paired_difference(values, _by_seed(done, f"untrained_{metric}")),
        by_seed=values,
        num_trials=len(rows),
        epoch=max(int(row["epoch"]) for row in rows),
        epochs=int(head["epochs"]),
    )


def _by_seed(rows: Iterable[_Row], metric: str) -> dict[int, float]:
    return {int(row["seed"]): float(row[metric]) for row in rows if not pd.isna(row[metric])}


def _state(states: set[State]) -> State:
    if "done" in states:
        return "done"
    return next(state for state in _PRECEDENCE if state in states)


def untrained_estimate(trials: pd.DataFrame, panel: Panel, metric: str) -> Estimate:
    """Estimate the untrained encoder's metric over the seeds where it was evaluated."""
    chosen = trials[trials["panel"] == panel.label].to_dict("records")
    return estimate(list(_by_seed(chosen, f"untrained_{metric}").values()))


def chance_level(dataset: str) -> float | None:
    """Top-1 of guessing, if the number of classes is known."""
    return 1 / NUM_CLASSES[dataset] if dataset in NUM_CLASSES else None


def best_cell(found: Sequence[Cell]) -> Cell | None:
    """The cell chosen on validation, so that its test result stays an honest one."""
    candidates = [cell for cell in found if cell.valid.n]
    return max(candidates, key=lambda cell: cell.valid.mean, default=None)


def pair_matrix(
    trials: pd.DataFrame,
    operations: Sequence[str],
    panel: Panel,
    metric: str = "test_top1",
) -> PairMatrix:
    """Lay the cells of a panel out as Figure 4 does.

    Args:
        trials: From `load_run`.
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
    seeds = trials.loc[(trials["panel"] == panel.label) & (trials["state"] == "done"), "seed"]
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
        seeds=tuple(sorted({int(seed) for seed in seeds})),
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


def cells_frame(trials: pd.DataFrame) -> pd.DataFrame:
    """Means of all cells over their seeds, a row a cell and metric; fractions."""
    rows = [
        {
            "panel": panel.label,
            "metric": metric,
            "chain": "+".join(cell.chain),
            "state": cell.state,
            "value": cell.estimate.mean,
            "std": cell.estimate.std,
            "half_width": cell.estimate.half_width,
            "num_done": cell.estimate.n,
            "num_trials": cell.num_trials,
            "valid": cell.valid.mean,
            "gain": cell.gain.mean,
            "gain_half_width": cell.gain.half_width,
        }
        for panel in panels(trials)
        for metric in TEST_METRICS
        for cell in cells(trials, panel, metric)
    ]
    return pd.DataFrame(rows)
