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
from clar_sweeps.watching.panel_view import SIGNS, STYLES
from clar_sweeps.watching.panels import lay_out
from clar_sweeps.watching.wording import format_seconds, last_line_of_error, plain

STATES: tuple[State, ...] = get_args(State)


def count_states(trials: Iterable[Trial], states: Mapping[str, State]) -> str:
    """Counts in words: `12 done, 24 missing`."""
    return describe_counts(Counter(states[trial.id] for trial in trials))


def describe_counts(counts: Mapping[State, int]) -> str:
    """Counts in words: `12 done, 24 missing`."""
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts.get(state)) or "none"


def plan_table(sweep: Sweep, states: Mapping[str, State]) -> Table:
    """Every trial of a plan with its state."""
    table = _table("id", "name", "state")
    for trial in (*sweep.baselines, *sweep.trials):
        state = states[trial.id]
        table.add_row(trial.id, Text(plain(trial.name)), Text(state, STYLES[state]))
    return table


def status_table(sweep: Sweep, run: Path, states: Mapping[str, State]) -> Table:
    """Every trial of a run: how far it is, what it reached, why it failed."""
    table = _table("id", "name", "state", "epoch", "test top-1", "time", "error")
    for trial in (*sweep.baselines, *sweep.trials):
        state = states[trial.id]
        row: tuple[Text, ...] = ()
        if state != "missing":
            try:
                folder = records.trial_folder(run, trial)
                row = _progress_of(records.read_record(folder, planned=trial))
            except RecordError as error:
                row = (Text(), Text(), Text(), Text(plain(error)))
        table.add_row(trial.id, Text(plain(trial.name)), Text(state, STYLES[state]), *row)
    return table


def _progress_of(record: Record) -> tuple[Text, ...]:
    epochs = record.trial.config.epochs
    trained = record.history[-1]["epoch"] if record.history else 0
    top1 = record.summary.get("metrics", {}).get("test_top1")
    seconds = record.summary.get("cost", {}).get("total_seconds")
    return (
        Text(f"{trained}/{epochs}" if epochs else ""),
        Text(f"{100 * top1:.1f} %" if top1 is not None else ""),
        Text(format_seconds(seconds) if seconds is not None else ""),
        Text(last_line_of_error(record.summary)),
    )


def pair_matrices(sweep: Sweep, states: Mapping[str, State]) -> Group:
    """The grid of pairs as a matrix of states, one for each setting of the other fields.

    A cell has a sign for each seed; its row is the operation applied first.
    """
    parts: list[RenderableType] = []
    for panel in lay_out(sweep):
        table = _table("", *panel.columns)
        for row, name in enumerate(panel.rows):
            cells = [
                Text().join(
                    Text(SIGNS[states[each]], STYLES[states[each]])
                    for each in panel.cells.get((row, column), ())
                )
                for column in range(len(panel.columns))
            ]
            table.add_row(name, *cells)
        parts += [Text(panel.title or sweep.name, "bold"), table, Text()]
    return Group(*parts, Text("   ".join(f"{SIGNS[state]} {state}" for state in STATES)))


def unsuccessful_lines(
    trials: Iterable[Trial], run: Path, states: Mapping[str, State]
) -> Iterator[str]:
    """A line each failed or diverged trial: its name, why, and where its record is."""
    for trial in trials:
        if states[trial.id] in ("failed", "diverged"):
            folder = records.trial_folder(run, trial)
            try:
                why = last_line_of_error(records.read_record(folder, planned=trial).summary)
            except RecordError as error:
                why = plain(error)
            place = plain(folder / "summary.json")
            yield f"{states[trial.id]}: {plain(trial.name)}: {why} ({place})"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != "error")
    return table
