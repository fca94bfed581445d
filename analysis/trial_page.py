"""A page a trial: what it was, how it went, what it cost, and where its numbers come from."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from analysis.cells import Row
from analysis.frames import RunFrames
from analysis.histories import told
from analysis.line_chart import LineChart, line_chart
from analysis.run_log import ends_by_trial
from analysis.wording import chain_codes, chain_words, state_text
from clar_sweeps.config import TrialConfig, make_trial
from clar_sweeps.errors import RecordError
from clar_sweeps.faults import one_line
from clar_sweeps.records import Record, State, read_record, trial_folder

TRIALS = "trials"  # folder of the pages, in the report's folder
_ENDLESS = 1e12
_MOST_LINES = 20  # of a traceback


class Field(NamedTuple):
    """One field of a config."""

    name: str
    value: str
    default: str  # the profile's own; empty where they are equal


class Sibling(NamedTuple):
    """Another seed of the same cell."""

    seed: int
    address: str
    value: float | None  # test top-1


def address(trial_id: str) -> str:
    """Of a trial's page, from the report's folder."""
    return f"{TRIALS}/{trial_id}.html"


def trial_pages(
    run: Path,
    frames: RunFrames,
    rows: Iterable[Row],
    page: jinja2.Template,
) -> dict[str, str]:
    """Pages of trials that have begun, by id.

    Args:
        run: The run folder.
        frames: The same, as frames.
        rows: Of the trials frame; those that are missing have no page.
        page: To be filled in.
    """
    begun = [row for row in rows if row["state"] != "missing"]
    logs = ends_by_trial(run, {str(row["name"]) for row in begun})
    siblings = _siblings(begun)
    histories = dict(list(frames.history.groupby("id")))
    pages = {}
    for row in begun:
        config = frames.configs[str(row["id"])]
        record = _record(trial_folder(run, make_trial(config)))
        pages[str(row["id"])] = page.render(
            sweep=frames.sweep,
            row=row,
            chain=chain_codes(str(row["chain"]).split("+")),
            words=chain_words(str(row["chain"]).split("+")),
            state=row["state"],
            state_text=_state(row),
            siblings=[one for one in siblings[_cell(row)] if one.seed != row["seed"]],
            charts=_charts(histories[str(row["id"])]) if str(row["id"]) in histories else [],
            fields=_fields(config),
            provenance=_provenance(record.summary.get("provenance", {}) if record else {}),
            error=_error(row, record),
            log=logs.get(str(row["name"]), []),
        )
    return pages


def _record(folder: Path) -> Record | None:
    """What the frame does not hold of a trial; None where it cannot be read."""
    try:
        return read_record(folder)
    except (RecordError, OSError):
        return None


def _state(row: Row) -> str:
    state: State = row["state"]
    return state_text(state, epoch=int(row["epoch"]), epochs=int(row["epochs"]))


def _cell(row: Row) -> tuple[Any, ...]:
    names = ("panel", "chain", "method", "label_fraction", "supervised_budget")
    return tuple(str(row[name]) for name in names)


def _siblings(rows: Iterable[Row]) -> dict[tuple[Any, ...], list[Sibling]]:
    found: dict[tuple[Any, ...], list[Sibling]] = {}
    for row in rows:
        sibling = Sibling(int(row["seed"]), f"{row['id']}.html", row["test_top1"])
        found.setdefault(_cell(row), []).append(sibling)
    return found


def _charts(history: pd.DataFrame) -> list[LineChart]:
    charts = []
    for column, title, factor in (
        ("test_top1", "test top-1 (%)", 100.0),
        ("valid_top1", "validation top-1 (%)", 100.0),
        ("loss", "training loss", 1.0),
        ("learning_rate", "learning rate", 1.0),
    ):
        pairs = zip(history["epoch"], history[column], strict=True) if column in history else ()
        points = [
            (float(epoch), factor * float(value))
            for epoch, value in pairs
            if _is_drawn(epoch) and _is_drawn(value)
        ]
        if len(points) > 1:
            charts.append(line_chart(points, title=title))
    return charts


def _is_drawn(value: object) -> bool:
    """A record may be a stranger's: texts and endless numbers are left out."""
    return isinstance(value, int | float) and -_ENDLESS < value < _ENDLESS


def _fields(config: TrialConfig) -> list[Field]:
    """All fields in their order, features taken apart; beside those that differ the default."""
    ours, default = _plain(config), _plain(_default(config))
    return [
        Field(name, value, default.get(name, "–") if default.get(name) != value else "")
        for name, value in ours.items()
    ]


def _default(config: TrialConfig) -> TrialConfig:
    kept = ("profile", "dataset", "folder", "condition", "method", "label_fraction", "encoder")
    places = {name: getattr(config, name) for name in kept} | {"augment": config.augment}
    return TrialConfig.model_validate(places | {"seed": config.seed})


def _plain(config: TrialConfig) -> dict[str, str]:
    fields = config.model_dump(mode="json")
    features = fields.pop("features") or {}
    fields |= {f"features.{name}": value for name, value in features.items()}
    return {name: _text(value) for name, value in fields.items()}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _provenance(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(told(str(name)), told(_flat(value))) for name, value in provenance.items()]


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    return str(value)


def _error(row: Row, record: Record | None) -> str:
    """Why a trial failed, with the end of its traceback."""
    error = record.summary.get("error") if record else None
    lines = str(error.get("traceback") or "").splitlines() if isinstance(error, dict) else []
    shown = [one_line(line) if line.strip() else "" for line in lines[-_MOST_LINES:]]
    return "\n".join(shown) if shown else str(row["note"] or "")
