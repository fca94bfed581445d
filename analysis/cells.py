"""Trials frames to panels and cells: what shares a picture, and what differs in the seed alone."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.frames import TEST_METRICS, check_columns
from analysis.settings import Nesting
from analysis.stats import Estimate, estimate, paired_difference
from clar_sweeps.records import State

# One trial of a frame.
Row = Mapping[Hashable, Any]

# Of one's own recordings the number of classes is not known here.
NUM_CLASSES = {
    "spoken-digits": 10,
    "instrument-notes": 128,
    "fsdd": 10,
    "sc10": 10,
    "sc35": 35,
    "nsynth11": 11,
    "nsynth128": 128,
    "esc10": 10,
    "esc50": 50,
}
# Pitches of a piano: the other classes of instrument-notes have no clip.
_NUM_OCCURRING = {"instrument-notes": 88}
# What a cell without a result is called when its trials ended differently: first the worst.
_PRECEDENCE: tuple[State, ...] = ("failed", "diverged", "unfinished", "missing")
_OF_A_PANEL = ["dataset", "condition", "folder", "encoder"]
_OF_A_CELL = ["chain", "method", "label_fraction", "supervised_budget"]


class Panel(NamedTuple):
    """What all cells of one matrix share."""

    label: str
    dataset: str
    condition: str | None
    folder: str | None  # of one's own recordings
    encoder: str
    setting: str  # further fields that the sweep varies; empty without any
    epochs: int


class Cell(NamedTuple):
    """All trials of a panel that differ only in the seed."""

    chain: tuple[str, ...]
    first: str | None  # None where the chain is no pair
    second: str | None
    method: str
    label_fraction: float | None  # None where no label is used
    supervised_budget: str | None
    state: State  # done: at least one seed has a result
    estimate: Estimate  # of the metric, over the seeds that are done
    valid: Estimate  # of the same metric on the validation split
    gain: Estimate  # paired with the untrained encoder of each seed
    by_seed: Mapping[int, float]
    num_trials: int
    epoch: int  # the furthest of its trials
    epochs: int
    ids: tuple[str, ...]  # of its trials
    seeds: tuple[int, ...]  # of the same trials


def panels(trials: pd.DataFrame) -> list[Panel]:
    """The panels of a frame, in its order, the 1-D encoder before the 2-D one.

    A trial whose setting is part of another's has no panel of its own: it belongs to that one.
    """
    check_columns(trials, "trials")
    heads = trials.drop_duplicates([*_OF_A_PANEL, "setting"]).to_dict("records")
    settings: dict[tuple[str | None, ...], list[str]] = {}
    for head in heads:
        settings.setdefault(_place(head), []).append(_setting(head))
    widest = {place: set(Nesting(found).widest()) for place, found in settings.items()}
    found = [_panel(head) for head in heads if _setting(head) in widest[_place(head)]]
    order = {key: place for place, key in reversed(list(enumerate(map(_picture, found))))}
    return sorted(found, key=lambda panel: (order[_picture(panel)], panel.encoder))


def _panel(head: Row) -> Panel:
    return Panel(
        label=str(head["panel"]),
        dataset=str(head["dataset"]),
        condition=_text(head["condition"]),
        folder=_text(head["folder"]),
        encoder=str(head["encoder"]),
        setting=_setting(head),
        epochs=int(head["epochs"]),
    )


def _text(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)


def _setting(row: Row) -> str:
    return _text(row["setting"]) or ""


def _place(row: Row) -> tuple[str | None, ...]:
    return tuple(_text(row[name]) for name in _OF_A_PANEL)


def _picture(panel: Panel) -> tuple[str | None, ...]:
    """Panels of one dataset and setting lie side by side."""
    return panel.dataset, panel.condition, panel.folder, panel.setting


def side_by_side(found: Sequence[Panel]) -> list[list[Panel]]:
    """Group panels that differ in the encoder alone: one figure each."""
    groups: dict[tuple[str | None, ...], list[Panel]] = {}
    for panel in found:
        groups.setdefault(_picture(panel), []).append(panel)
    return list(groups.values())


class TrialRows:
    """The rows of a trials frame by place and setting, for those who ask for many panels."""

    def __init__(self, trials: pd.DataFrame) -> None:
        """Take the frame apart once: a panel then costs its own rows, not those of all."""
        self.panels = panels(trials)
        self._found: dict[tuple[str | None, ...], dict[str, list[tuple[int, Row]]]] = {}
        self._by_cell: dict[Panel, list[list[Row]]] = {}  # a report asks once for each metric
        self._by_id: dict[str, Row] = {}
        # By way of columns: pandas' own rows cost ten times as much.
        columns = [_plain(trials[name]) for name in trials.columns]
        for position, values in enumerate(zip(*columns, strict=True)):
            row: Row = dict(zip(trials.columns, values, strict=True))
            settings = self._found.setdefault(_place(row), {})
            settings.setdefault(_setting(row), []).append((position, row))
            self._by_id[str(row["id"])] = row
        self._nesting = {place: Nesting(settings) for place, settings in self._found.items()}

    def of(self, panel: Panel) -> list[Row]:
        """The trials of a panel, in the order of the frame."""
        place = (panel.dataset, panel.condition, panel.folder, panel.encoder)
        if place not in self._found:
            return []
        settings = self._nesting[place].within(panel.setting)
        chosen = [entry for setting in settings for entry in self._found[place][setting]]
        return [row for _, row in sorted(chosen, key=lambda entry: entry[0])]

    @property
    def rows(self) -> Iterable[Row]:
        """All of them, in the order of the frame."""
        return self._by_id.values()

    def named(self, ids: Iterable[str]) -> list[Row]:
        """The trials of these ids."""
        return [self._by_id[trial] for trial in ids]

    def by_cell(self, panel: Panel) -> list[list[Row]]:
        """The trials of a panel, those of one cell together, in the order of the plan."""
        if panel not in self._by_cell:
            groups: dict[tuple[Any, ...], list[Row]] = {}
            for row in self.of(panel):
                groups.setdefault(tuple(row[name] for name in _OF_A_CELL), []).append(row)
            self._by_cell[panel] = list(groups.values())
        return self._by_cell[panel]


def _plain(column: "pd.Series[Any]") -> list[Any]:
    """Values of a column, None where there is none."""
    return [
        None if absent else value
        for value, absent in zip(column.tolist(), column.isna().tolist(), strict=True)
    ]


# A frame serves for one question; for many, take it apart once.
Trials = pd.DataFrame | TrialRows


def taken_apart(trials: Trials) -> TrialRows:
    """A trials frame as its rows."""
    return trials if isinstance(trials, TrialRows) else TrialRows(trials)


def rows_of(trials: Trials, panel: Panel) -> list[Row]:
    """The trials of a panel, in the order of the frame."""
    return taken_apart(trials).of(panel)


def cells(trials: Trials, panel: Panel, metric: str = "test_top1") -> list[Cell]:
    """Average the seeds of every cell of a panel, in the order of the plan.

    Raises:
        ValueError: The metric is not one of the test split.
    """
    if metric not in TEST_METRICS:
        raise ValueError(f"metric: {metric!r} is not one of {', '.join(TEST_METRICS)}")
    return [_cell(rows, metric) for rows in taken_apart(trials).by_cell(panel)]


def _cell(rows: Sequence[Row], metric: str) -> Cell:
    done = [row for row in rows if row["state"] == "done"]
    values = by_seed(done, metric)
    head = rows[0]
    return Cell(
        chain=tuple(str(head["chain"]).split("+")),
        first=_text(head["first"]),
        second=_text(head["second"]),
        method=str(head["method"]),
        label_fraction=head["label_fraction"],
        supervised_budget=_text(head["supervised_budget"]),
        state=_state({row["state"] for row in rows}),
        estimate=estimate(list(values.values())),
        valid=estimate(list(by_seed(done, metric.replace("test_", "valid_")).values())),
        gain=paired_difference(values, by_seed(done, f"untrained_{metric}")),
        by_seed=values,
        num_trials=len(rows),
        epoch=max(int(row["epoch"]) for row in rows),
        epochs=int(head["epochs"]),
        ids=tuple(str(row["id"]) for row in rows),
        seeds=tuple(int(row["seed"]) for row in rows),
    )


def by_seed(rows: Iterable[Row], column: str) -> dict[int, float]:
    """Seed to number, without the trials that have none."""
    return {int(row["seed"]): float(row[column]) for row in rows if row[column] is not None}


def _state(states: set[State]) -> State:
    if "done" in states:
        return "done"
    return next(state for state in _PRECEDENCE if state in states)


def untrained_estimate(trials: Trials, panel: Panel, metric: str = "test_top1") -> Estimate:
    """Estimate the untrained encoder's metric over the seeds where it was evaluated."""
    return estimate(list(by_seed(rows_of(trials, panel), f"untrained_{metric}").values()))


def chance_level(dataset: str) -> float | None:
    """Top-1 of guessing among the classes that occur, if their number is known."""
    number = _NUM_OCCURRING.get(dataset, NUM_CLASSES.get(dataset))
    return 1 / number if number else None


def best_cell(found: Sequence[Cell]) -> Cell | None:
    """The cell chosen on validation, so that its test result stays an honest one."""
    candidates = [cell for cell in found if cell.valid.n]
    return max(candidates, key=lambda cell: cell.valid.mean, default=None)


def cells_frame(trials: TrialRows) -> pd.DataFrame:
    """Means of all cells over their seeds, a row a cell and metric; fractions."""
    rows = [
        {
            "panel": panel.label,
            "metric": metric,
            "chain": "+".join(cell.chain),
            "method": cell.method,
            "label_fraction": cell.label_fraction,
            "supervised_budget": cell.supervised_budget,
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
        for panel in trials.panels
        for metric in TEST_METRICS
        for cell in cells(trials, panel, metric)
    ]
    return pd.DataFrame(rows)
