"""Trials and history frames to the numbers of Figure 5: test top-1 over the epochs of training."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from analysis.cells import TrialRows
from analysis.label_table import LabelRow, LabelTable
from analysis.stats import Estimate, estimate

METRIC = "test_top1"


class Point(NamedTuple):
    """One evaluated epoch, over the seeds that have come so far."""

    epoch: int
    estimate: Estimate


class Curve(NamedTuple):
    """One method on one labelled share; failed and diverged trials are left out."""

    method: str
    budget: str | None
    points: tuple[Point, ...]  # by epoch
    num_trials: int  # not failed; a point of fewer is of those that have come so far
    num_done: int
    num_left_out: int  # failed or diverged


class CurvePanel(NamedTuple):
    """All methods on one labelled share."""

    share: float | None  # None where no method uses labels
    curves: tuple[Curve, ...]


class LearningCurves(NamedTuple):
    """Figure 5: a panel a labelled share; a method without labels is in each."""

    table: LabelTable  # of the same trials
    panels: tuple[CurvePanel, ...]


# By id of a trial: the epochs where it was evaluated, and the metric there.
Evaluations = Mapping[str, Sequence[tuple[int, float]]]


def evaluations(history: pd.DataFrame, metric: str = METRIC) -> Evaluations:
    """Take a history frame apart by trial, once for all curves."""
    evaluated = history[history[metric].notna()]
    found: dict[str, list[tuple[int, float]]] = {}
    columns = (evaluated[name].tolist() for name in ("id", "epoch", metric))
    for trial, epoch, value in zip(*columns, strict=True):
        found.setdefault(str(trial), []).append((int(epoch), float(value)))
    return found


def learning_curves(trials: TrialRows, evaluated: Evaluations, table: LabelTable) -> LearningCurves:
    """Average the seeds at every epoch where they were evaluated.

    Args:
        trials: Of the run, taken apart.
        evaluated: Of the same run.
        table: Whose methods and shares are drawn.
    """
    shares: tuple[float | None, ...] = table.shares or (None,)
    panels = [
        CurvePanel(
            share,
            tuple(
                curve
                for row in table.rows
                if (curve := _curve(trials, evaluated, row, place)) is not None
            ),
        )
        for place, share in enumerate(shares)
    ]
    return LearningCurves(table, tuple(panels))


def _curve(trials: TrialRows, evaluated: Evaluations, row: LabelRow, place: int) -> Curve | None:
    cell = row.at(place).cell
    if cell is None:
        return None
    own = trials.named(cell.ids)
    counted = [trial for trial in own if trial["state"] not in ("failed", "diverged")]
    by_epoch: dict[int, list[float]] = {}
    for trial in counted:
        for epoch, value in evaluated.get(trial["id"], ()):
            by_epoch.setdefault(epoch, []).append(value)
    return Curve(
        method=row.method,
        budget=row.budget,
        points=tuple(Point(epoch, estimate(by_epoch[epoch])) for epoch in sorted(by_epoch)),
        num_trials=len(counted),
        num_done=sum(trial["state"] == "done" for trial in own),
        num_left_out=len(own) - len(counted),
    )


def curves_frame(found: list[LearningCurves]) -> pd.DataFrame:
    """Curves as a long table, a row an evaluated epoch; fractions."""
    rows = [
        {
            "panel": curves.table.panel.label,
            "chain": "+".join(curves.table.chain),
            "label_fraction": panel.share,
            "method": curve.method,
            "supervised_budget": curve.budget,
            "epoch": point.epoch,
            "value": point.estimate.mean,
            "half_width": point.estimate.half_width,
            "num_seeds": point.estimate.n,
            "num_trials": curve.num_trials,
        }
        for curves in found
        for panel in curves.panels
        for curve in panel.curves
        for point in curve.points
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS = (
    "panel", "chain", "label_fraction", "method", "supervised_budget", "epoch", "value",
    "half_width", "num_seeds", "num_trials",
)  # fmt: skip
