"""A run as tidy frames, to be asked in a notebook."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.bundle import opened, run_name
from analysis.cells import TrialRows, cells_frame
from analysis.frames import TEST_METRICS, RunFrames, load_run
from clar_sweeps.errors import RecordError

# What a cell shares with its trials, and an epoch with its trial.
_OF_A_PANEL = ["panel", "dataset", "condition", "folder", "encoder", "setting"]
_OF_A_CELL = [*_OF_A_PANEL, "chain", "first", "second", "method", "label_fraction"]


@dataclass(frozen=True)
class RunTables:
    """A run as frames, a row an observation; metrics are fractions, durations seconds.

    `trials` has a row a trial, as trials.csv. `history` has a row an epoch, with the trial's place
    before its numbers. `cells` has a row a cell and metric: means over seeds with their interval.
    """

    name: str
    trials: pd.DataFrame
    history: pd.DataFrame
    cells: pd.DataFrame

    @property
    def panels(self) -> list[str]:
        """What a matrix is of, in words: dataset, encoder, setting."""
        return list(dict.fromkeys(self.cells["panel"]))

    def matrix(
        self, metric: str = TEST_METRICS[0], *, panel: str | None = None, value: str = "value"
    ) -> pd.DataFrame:
        """One number of each ordered pair of operations; NaN where it has none.

        Args:
            metric: Of the test split.
            panel: One of `panels`; may be left out where there is one.
            value: A column of `cells`, such as value, half_width or num_done.

        Returns:
            Index: the operation applied first; columns: that applied second.

        Raises:
            ValueError: There is no such panel, metric or column, several panels and none is named,
                or several methods in the panel.
        """
        chosen = self._panel(panel)
        if metric not in TEST_METRICS:
            raise ValueError(f"metric: {metric!r} is not one of {', '.join(TEST_METRICS)}")
        rows = self.cells[(self.cells["panel"] == chosen) & (self.cells["metric"] == metric)]
        pairs = rows[rows["first"].notna()]
        if pairs.duplicated(["first", "second"]).any():
            raise ValueError(f"panel: {chosen!r} has several cells a pair; ask `cells` instead")
        order = list(dict.fromkeys([*pairs["first"], *pairs["second"]]))
        if value not in pairs:
            raise ValueError(f"value: {value!r} is not one of {', '.join(map(str, pairs))}")
        table = pairs.pivot_table(
            index="first", columns="second", values=value, aggfunc="first", dropna=False
        )
        return table.reindex(index=order, columns=order)

    def _panel(self, panel: str | None) -> str:
        found = self.panels
        if panel is None and len(found) == 1:
            return found[0]
        if panel not in found:
            names = "; ".join(map(repr, found)) or "none, for no trial is planned"
            raise ValueError(f"panel: {panel!r} is not one of {names}")
        return panel


def load_tables(path: Path) -> RunTables:
    """Read a run folder or a bundle.

    Raises:
        RecordError: Neither, or its plan cannot be read.
    """
    with opened(path) as run:
        frames, name = load_run(run), run_name(run)
    if not len(frames.trials):
        raise RecordError(f"{path}: plans no trial; check the sweep file")
    return RunTables(name, frames.trials, _history(frames), _cells(frames))


def _history(frames: RunFrames) -> pd.DataFrame:
    """Epochs with the place of their trial before them."""
    places = frames.trials[["id", *_OF_A_CELL, "seed"]]
    return places.merge(frames.history, on="id", how="right")


def _cells(frames: RunFrames) -> pd.DataFrame:
    """Cells with the parts of their panel and of their chain."""
    found = cells_frame(TrialRows(frames.trials))
    chains = frames.trials[["chain", "first", "second"]].drop_duplicates()
    panels = frames.trials[_OF_A_PANEL].drop_duplicates("panel")
    placed = panels.merge(found, on="panel", how="right").merge(chains, on="chain", how="left")
    return placed[[*_OF_A_CELL, *(name for name in found.columns if name not in _OF_A_CELL)]]
