"""How the trials of a sweep lie in matrices or in a table, from their configs alone."""

from collections.abc import Mapping
from typing import NamedTuple

from clar_sweeps.config import Trial
from clar_sweeps.sweep import Sweep
from clar_sweeps.watching.wording import plain

Fields = dict[str, object]

# Fields that a reader tells settings apart by come first; those that go with them are left out.
_TELLING = ("dataset", "condition", "folder", "method", "label_fraction", "encoder", "augment")
# What stands above the columns of a table, as in the paper's.
_ACROSS = ("dataset", "label_fraction")


class Panel(NamedTuple):
    """One matrix or table, its texts plain; the trials of a cell differ in the seed at most."""

    title: str  # empty where the sweep has only this one
    row_axis: str
    column_axis: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[int, int], tuple[str, ...]]  # ids of trials, by row and column


def lay_out(sweep: Sweep) -> tuple[Panel, ...]:
    """A matrix for each setting of the other fields where there is an axis of pairs, else a table.

    The row of a matrix is the operation applied first.
    """
    if not sweep.operations:
        return (_table(sweep),) if sweep.trials else ()
    names = sweep.operations
    index = {name: place for place, name in enumerate(names)}
    settings: dict[str, dict[tuple[int, int], list[str]]] = {}
    for trial, title in zip(sweep.trials, _titles(sweep.trials), strict=True):
        chain = trial.config.augment
        if chain and index.keys() >= set(chain):
            cells = settings.setdefault(title, {})
            cells.setdefault((index[chain[0]], index[chain[-1]]), []).append(trial.id)
    return tuple(
        Panel(title, "applied first", "applied second", names, names, _frozen(cells))
        for title, cells in settings.items()
    )


def _titles(trials: tuple[Trial, ...]) -> list[str]:
    fields = [_fields(trial, "augment", "augment_probability") for trial in trials]
    telling = _telling(fields)
    return [
        ", ".join(f"{name}={plain(own[name])}" for name in telling if name in own) for own in fields
    ]


def _table(sweep: Sweep) -> Panel:
    """Settings by one of the fields that differ; by the seeds where one or none differs."""
    fields = [_fields(trial) for trial in sweep.trials]
    telling = _telling(fields)
    if len(telling) < 2:
        across = "seed"
        columns = [str(trial.config.seed) for trial in sweep.trials]
    else:
        across = next((name for name in _ACROSS if name in telling), telling[-1])
        columns = [_value(across, own.get(across)) for own in fields]
    down = [name for name in telling if name != across]
    rows = [" ".join(_value(name, own.get(name)) for name in down) or "all" for own in fields]
    row_at = {name: place for place, name in enumerate(dict.fromkeys(rows))}
    column_at = {name: place for place, name in enumerate(dict.fromkeys(columns))}
    cells: dict[tuple[int, int], list[str]] = {}
    for trial, row, column in zip(sweep.trials, rows, columns, strict=True):
        cells.setdefault((row_at[row], column_at[column]), []).append(trial.id)
    return Panel("", ", ".join(down), across, tuple(row_at), tuple(column_at), _frozen(cells))


def _frozen(cells: dict[tuple[int, int], list[str]]) -> dict[tuple[int, int], tuple[str, ...]]:
    return {place: tuple(ids) for place, ids in cells.items()}


def _telling(fields: list[Fields]) -> list[str]:
    """The fewest fields, found one by one, that tell all settings apart."""
    values: dict[str, set[object]] = {}
    for own in fields:
        for name, value in own.items():
            values.setdefault(name, set()).add(value)
    differing = [
        name
        for name, found in values.items()
        if len(found) > 1 or any(name not in own for own in fields)
    ]
    differing.sort(key=lambda name: _TELLING.index(name) if name in _TELLING else len(_TELLING))
    chosen: list[str] = []
    num_settings = 1
    for name in differing:
        found = {tuple(own.get(each) for each in (*chosen, name)) for own in fields}
        if len(found) > num_settings:
            chosen.append(name)
            num_settings = len(found)
    return chosen


def _fields(trial: Trial, *leave_out: str) -> Fields:
    """What applies to a trial, but for its seed; the fields of the picture one by one."""
    config = trial.config
    fields = dict(config) | {f"features.{name}": value for name, value in config.features or ()}
    left_out = {"features", "seed", *leave_out}
    return {
        name: value for name, value in fields.items() if name not in left_out and value is not None
    }


def _value(name: str, value: object) -> str:
    if value is None:
        return "-"
    if name == "label_fraction" and isinstance(value, float):
        return f"{100 * value:g} %"
    if isinstance(value, tuple):
        return "-".join(plain(each) for each in value) or "none"
    return plain(value).removeprefix("resnet18_")
