"""Trials and history frames to how early in training the ranking of cells is that of the end."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.cells import Panel, TrialRows
from analysis.curves import Evaluations, evaluations
from analysis.stats import THRESHOLD, Estimates, Floats, rank_path

_COLUMNS = (
    "panel", "metric", "epoch", "seed", "tau", "half_width", "n", "chosen", "chosen_at_end",
    "stable",
)  # fmt: skip


class Evaluated(NamedTuple):
    """The evaluations of a run by trial, taken apart once for all panels."""

    metric: str  # of the test split
    test: Evaluations
    valid: Evaluations


class RankStability(NamedTuple):
    """The ranking of a panel's cells at each evaluated epoch against that of the last one.

    Of trials that are done. Without two cells to rank at the last epoch there is no epoch.
    """

    panel: Panel
    metric: str
    epochs: tuple[int, ...]
    seeds: tuple[int, ...]
    taus: Floats  # (epochs, seeds) Kendall's tau-b with the last epoch; NaN where not known
    mean: Estimates  # (epochs,) of tau over seeds
    threshold: float
    stable_from: int | None  # epoch from which the mean stays at the threshold or above
    chosen: tuple[tuple[str, ...] | None, ...]  # (epochs,) the chain that validation chooses there
    is_chosen_at_end: tuple[bool, ...]  # (epochs,) whether it is the one chosen at the last epoch


def take_apart(history: pd.DataFrame, metric: str = "test_top1") -> Evaluated:
    """Find the evaluations of a history frame.

    Args:
        history: From `load_run`.
        metric: Of the test split.
    """
    valid = metric.replace("test_", "valid_")
    return Evaluated(metric, evaluations(history, metric), evaluations(history, valid))


def rank_stability(
    trials: TrialRows, evaluated: Evaluated, panel: Panel, *, threshold: float = THRESHOLD
) -> RankStability:
    """Compare the ranking of cells at each epoch with that of the end of training.

    Cells are ranked by the test metric within each seed and chosen by their mean on validation, as
    in a matrix. The last epoch is the panel's: trials that were not evaluated there are left out.

    Args:
        trials: Of the run, taken apart.
        evaluated: Of the same run.
        panel: One of `trials.panels`.
        threshold: Of tau, from which a ranking counts as stable.
    """
    cells = [
        {int(row["seed"]): str(row["id"]) for row in rows if row["state"] == "done"}
        for rows in trials.by_cell(panel)
    ]
    chains = [tuple(str(rows[0]["chain"]).split("+")) for rows in trials.by_cell(panel)]
    seeds = tuple(sorted({seed for cell in cells for seed in cell}))
    epochs = _epochs(evaluated.test, cells, panel.epochs)
    ranked = _by_epoch(evaluated.test, cells, seeds, epochs)
    choosing = _by_epoch(evaluated.valid, cells, seeds, epochs)
    if not epochs or not (np.isfinite(ranked[-1]).sum(axis=1) > 1).any():
        epochs, ranked, choosing = (), ranked[:0], choosing[:0]
    path = rank_path(ranked, choosing, threshold=threshold)
    chosen = tuple(chains[cell] if cell >= 0 else None for cell in path.chosen.tolist())
    return RankStability(
        panel=panel,
        metric=evaluated.metric,
        epochs=epochs,
        seeds=seeds,
        taus=path.taus,
        mean=path.mean,
        threshold=threshold,
        stable_from=None if path.stable_from is None else epochs[path.stable_from],
        chosen=chosen,
        is_chosen_at_end=tuple(one is not None and one == chosen[-1] for one in chosen),
    )


_Cells = Sequence[dict[int, str]]  # of each cell seed to id


def _epochs(evaluated: Evaluations, cells: _Cells, last: int) -> tuple[int, ...]:
    """The evaluated epochs; none if the last of training is not among them."""
    ids = [trial for cell in cells for trial in cell.values()]
    found = {epoch for trial in ids for epoch, _ in evaluated.get(trial, ()) if epoch <= last}
    return tuple(sorted(found)) if last in found else ()


def _by_epoch(
    evaluated: Evaluations, cells: _Cells, seeds: Sequence[int], epochs: Sequence[int]
) -> Floats:
    """(epochs, seeds, cells); NaN where a trial was not evaluated."""
    values = np.full((len(epochs), len(seeds), len(cells)), np.nan)
    rows = {epoch: row for row, epoch in enumerate(epochs)}
    columns = {seed: column for column, seed in enumerate(seeds)}
    for place, cell in enumerate(cells):
        for seed, trial in cell.items():
            for epoch, value in evaluated.get(trial, ()):
                if epoch in rows:
                    values[rows[epoch], columns[seed], place] = value
    return values


def stability_frame(found: Sequence[RankStability]) -> pd.DataFrame:
    """Rank stability as a long table: at each epoch a row a seed, then their mean (no seed)."""
    rows = [(one.panel.label, one.metric, *row) for one in found for row in _rows(one)]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    return frame.astype({"seed": "Int64", "chosen_at_end": "boolean", "stable": "boolean"})


def _rows(found: RankStability) -> Iterator[tuple[object, ...]]:
    """From epoch to stable."""
    mean = found.mean
    for place, epoch in enumerate(found.epochs):
        for seed, tau in zip(found.seeds, found.taus[place].tolist(), strict=True):
            yield epoch, seed, tau, float("nan"), int(not math.isnan(tau)), None, None, None
        chosen = found.chosen[place]
        yield (
            epoch,
            None,
            float(mean.mean[place]),
            float(mean.half_width[place]),
            int(mean.n[place]),
            None if chosen is None else "+".join(chosen),
            found.is_chosen_at_end[place],
            found.stable_from is not None and epoch >= found.stable_from,
        )
