"""Trials and history frames to the numbers of Figure 5: test top-1 over the epochs of training."""

from typing import NamedTuple

import pandas as pd

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


def learning_curves(
    trials: pd.DataFrame, history: pd.DataFrame, table: LabelTable
) -> LearningCurves:
    """Average the seeds at every epoch where they were evaluated.

    Args:
        trials: From `load_run`.
        history: From `load_run`.
        table: Whose methods and shares are drawn.
    """
    evaluated = history[history[METRIC].notna()]
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


def _curve(
    trials: pd.DataFrame, evaluated: pd.DataFrame, row: LabelRow, place: int
) -> Curve | None:
    cell = row.at(place).cell
    if cell is None:
        return None
    own = trials[trials["id"].isin(cell.ids)]
    failed = own["state"].isin(["failed", "diverged"])
    counted = evaluated[evaluated["id"].isin(own.loc[~failed, "id"])]
    points = tuple(
        Point(int(str(epoch)), estimate(rows[METRIC].astype(float).tolist()))
        for epoch, rows in counted.groupby("epoch")
    )
    return Curve(
        method=row.method,
        budget=row.budget,
        points=points,
        num_trials=int((~failed).sum()),
        num_done=int((own["state"] == "done").sum()),
        num_left_out=int(failed.sum()),
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
