"""Tables of a plan and of a run, from configs and records alone."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError
from clar_sweeps.records import Record, State
from clar_sweeps.sweep import Sweep
from clar_sweeps.tuning.progress import format_seconds, last_line_of_error

STATES: tuple[State, ...] = get_args(State)
_STYLES: dict[State, str] = {
    "done": "green",
    "failed": "red",
    "diverged": "red",
    "unfinished": "yellow",
    "missing": "dim",
}
_SIGNS: dict[State, str] = {
    "done": "✓",
    "failed": "✗",
    "diverged": "∞",
    "unfinished": "…",
    "missing": "·",
}


def count_states(trials: Iterable[Trial], states: Mapping[str, State]) -> str:
    """Counts in words: `12 done, 24 missing`."""
    counts = Counter(states[trial.id] for trial in trials)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) or "none"


def plan_table(sweep: Sweep, states: Mapping[str, State]) -> Table:
    """Every trial of a plan with its state."""
    table = _table("id", "name", "state")
    for trial in (*sweep.baselines, *sweep.trials):
        state = states[trial.id]
        table.add_row(trial.id, trial.name, Text(state, _STYLES[state]))
    return table


def status_table(sweep: Sweep, run: Path, states: Mapping[str, State]) -> Table:
    """Every trial of a run: how far it is, what it reached, why it failed."""
    table = _table("id", "name", "state", "epoch", "test top-1", "time", "error")
    for trial in (*sweep.baselines, *sweep.trials):
        state = states[trial.id]
        row: tuple[str, ...] = ()
        if state != "missing":
            try:
                row = _progress_of(records.read_record(records.trial_folder(run, trial)))
            except RecordError as error:
                row = ("", "", "", str(error))
        table.add_row(trial.id, trial.name, Text(state, _STYLES[state]), *row)
    return table


def _progress_of(record: Record) -> tuple[str, ...]:
    epochs = record.trial.config.epochs
    trained = record.history[-1]["epoch"] if record.history else 0
    top1 = record.summary.get("metrics", {}).get("test_top1")
    seconds = record.summary.get("cost", {}).get("total_seconds")
    return (
        f"{trained}/{epochs}" if epochs else "",
        f"{100 * top1:.1f} %" if top1 is not None else "",
        format_seconds(seconds) if seconds is not None else "",
        last_line_of_error(record) if record.summary.get("error") else "",
    )


def pair_matrices(sweep: Sweep, states: Mapping[str, State]) -> Group:
    """The grid of pairs as a matrix of states, one for each setting of the other fields.

    A cell has a sign for each seed; its row is the operation applied first.
    """
    parts: list[RenderableType] = []
    for title, trials in _settings(sweep).items():
        table = _table("", *sweep.operations)
        for first in sweep.operations:
            chains = [(first,) if first == then else (first, then) for then in sweep.operations]
            cells = [
                Text().join(
                    Text(_SIGNS[states[trial.id]], _STYLES[states[trial.id]])
                    for trial in trials
                    if trial.config.augment == chain
                )
                for chain in chains
            ]
            table.add_row(first, *cells)
        parts += [Text(title, "bold"), table, Text()]
    return Group(*parts, Text("   ".join(f"{_SIGNS[state]} {state}" for state in STATES)))


def _settings(sweep: Sweep) -> dict[str, list[Trial]]:
    """Trials by all that makes a matrix of its own, titled by what differs between these."""
    fields = {trial.id: _fields(trial) for trial in sweep.trials}
    values: dict[str, set[object]] = {}
    for each in fields.values():
        for name, value in each.items():
            values.setdefault(name, set()).add(value)
    differing = [name for name, found in values.items() if len(found) > 1]
    groups: dict[str, list[Trial]] = {}
    for trial in sweep.trials:
        own = fields[trial.id]
        title = ", ".join(f"{name}={own[name]}" for name in differing if name in own)
        groups.setdefault(title or sweep.name, []).append(trial)
    return groups


def _fields(trial: Trial) -> dict[str, object]:
    """What applies to a trial beyond its chain and seed; the fields of the picture one by one."""
    config = trial.config
    fields = dict(config) | {f"features.{name}": value for name, value in config.features or ()}
    for name in ("augment", "augment_probability", "features", "seed"):
        del fields[name]
    return {name: value for name, value in fields.items() if value is not None}


def unsuccessful_lines(
    trials: Iterable[Trial], run: Path, states: Mapping[str, State]
) -> Iterator[str]:
    """A line each failed or diverged trial: its name, why, and where its record is."""
    for trial in trials:
        if states[trial.id] in ("failed", "diverged"):
            folder = records.trial_folder(run, trial)
            try:
                why = last_line_of_error(records.read_record(folder))
            except RecordError as error:
                why = str(error)
            yield f"{states[trial.id]}: {trial.name}: {why} ({folder / 'summary.json'})"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != "error")
    return table
