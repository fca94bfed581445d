"""Numbers to tables of texts: one layout that HTML, Markdown and LaTeX share."""

from collections.abc import Sequence
from typing import NamedTuple

from analysis.cells import Cell
from analysis.frames import ENCODER_SIZES
from analysis.input_table import Column, InputTable
from analysis.label_table import LabelTable
from analysis.published import PaperDataset
from analysis.stats import Estimate
from analysis.tables import Entry
from analysis.wording import (
    chain_codes,
    data_text,
    method_text,
    percent,
    points_text,
    share_text,
    state_text,
    value_text,
)
from clar_sweeps.records import State


class TextCell(NamedTuple):
    """One place of a table."""

    text: str  # a number in percent, with its interval; a state; empty where nothing is planned
    seeds: str = ""  # how many are done, if some are not
    published: str = ""
    difference: str = ""  # points, with a sign
    is_best: bool = False
    state: State | None = None  # None for what is no trial
    span: int = 1
    ids: tuple[str, ...] = ()  # of its trials


class TextRow(NamedTuple):
    """A row with its label; without cells it is the heading of those below."""

    label: str
    cells: tuple[TextCell, ...] = ()
    is_result: bool = True  # else a level to compare with


class TextColumn(NamedTuple):
    """The head of a column."""

    label: str
    note: str = ""


class TextTable(NamedTuple):
    """A table as it is read."""

    name: str  # of its files
    caption: str
    corner: str  # above the labels of the rows
    columns: tuple[TextColumn, ...]
    rows: tuple[TextRow, ...]
    protocol: str  # one line: what differs from the paper
    is_papers: bool  # nothing differs
    notes: tuple[str, ...]


class Beside(NamedTuple):
    """What stands beside a table."""

    name: str
    protocol: str
    is_papers: bool
    notes: tuple[str, ...]


def input_layout(table: InputTable, beside: Beside) -> TextTable:
    """Table 1 as texts."""
    rows: list[TextRow] = []
    for untrained in table.untrained:
        rows.append(TextRow(f"{ENCODER_SIZES[untrained.encoder]} encoder"))
        rows += [
            TextRow(chain_codes(row.chain), tuple(map(_cell, row.entries)))
            for row in table.rows
            if row.encoder == untrained.encoder
        ]
        rows.append(
            TextRow("untrained", tuple(map(level_cell, untrained.estimates)), is_result=False)
        )
    rows += _chance([column.chance for column in table.columns])
    setting = f", {table.setting}" if table.setting else ""
    return TextTable(
        name=beside.name,
        caption=f"Test top-1 (%) of the evaluation head on the frozen encoder{setting}",
        corner="operations",
        columns=tuple(TextColumn(column.label, _paper_note(column)) for column in table.columns),
        rows=tuple(rows),
        protocol=beside.protocol,
        is_papers=beside.is_papers,
        notes=(*_legend(_entries(table)), *beside.notes),
    )


def _entries(table: InputTable | LabelTable) -> list[Entry]:
    return [entry for row in table.rows for entry in row.entries]


def _paper_note(column: Column) -> str:
    if column.paper is None:
        return ""
    return "" if column.paper.is_same else f"paper: {column.paper.name}, {column.paper.other}"


def label_layout(table: LabelTable, beside: Beside) -> TextTable:
    """Table 2 as texts."""
    number = max(1, len(table.shares))
    rows = [
        TextRow(
            method_text(row.method, row.budget),
            tuple(_cell(entry)._replace(span=number if row.spans else 1) for entry in row.entries),
        )
        for row in table.rows
    ]
    rows.append(
        TextRow("untrained", (level_cell(table.untrained)._replace(span=number),), is_result=False)
    )
    if table.chance is not None:
        rows.append(
            TextRow("chance", (TextCell(percent(table.chance), span=number),), is_result=False)
        )
    setting = f", {table.panel.setting}" if table.panel.setting else ""
    size = ENCODER_SIZES[table.panel.encoder]
    return TextTable(
        name=beside.name,
        caption=f"Test top-1 (%) on {data_text(table.panel)} with labels on a share of the "
        f"training clips; {size} encoder, {chain_codes(table.chain)}{setting}",
        corner="labelled share",
        columns=tuple(TextColumn(share_text(share)) for share in table.shares)
        or (TextColumn(share_text(None)),),
        rows=tuple(rows),
        protocol=beside.protocol,
        is_papers=beside.is_papers,
        notes=(*_legend(_entries(table), table.paper, _bold_exception(table)), *beside.notes),
    )


def published_text(fraction: float | None) -> str:
    """A published number in percent; empty where the paper prints none."""
    return "" if fraction is None else percent(fraction)


def _cell(entry: Entry) -> TextCell:
    cell = entry.cell
    if cell is None:
        return TextCell("", published=published_text(entry.published))
    return TextCell(
        text=value_text(cell.estimate)
        if cell.estimate.n
        else state_text(cell.state, epoch=cell.epoch, epochs=cell.epochs),
        seeds=_seeds(cell),
        published=published_text(entry.published),
        difference=points_text(entry.difference),
        is_best=entry.is_best,
        state=cell.state,
        ids=cell.ids,
    )


def _seeds(cell: Cell) -> str:
    done = cell.estimate.n
    return f"n {done} of {cell.num_trials}" if 0 < done < cell.num_trials else ""


def level_cell(estimate: Estimate) -> TextCell:
    """A level to compare with; a dash while it is not known."""
    return TextCell(value_text(estimate) if estimate.n else "–")


def _chance(levels: Sequence[float | None]) -> list[TextRow]:
    if all(level is None for level in levels):
        return []
    return [TextRow("chance", tuple(TextCell(percent(level)) for level in levels), is_result=False)]


def _bold_exception(table: LabelTable) -> str:
    """Where the highest of a column is not bold: it stands for the others as well."""
    if not any(lead.leader.spans for lead in table.leads):
        return ""
    return (
        "; SimCLR, whose value spans all columns, is bold only where it leads everywhere on "
        "validation"
    )


def _legend(
    entries: Sequence[Entry], paper: PaperDataset | None = None, exception: str = ""
) -> list[str]:
    """How to read the marks of a table.

    Args:
        entries: Of the table.
        paper: The dataset of all published numbers, where it is one.
        exception: What is said further of bold.
    """
    numbers = sorted({entry.cell.estimate.n for entry in entries if entry.cell} - {0})
    notes = []
    if numbers:
        span = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
        notes.append(
            "One seed each, so no interval."
            if numbers == [1]
            else f"Means over {span} seeds; ± is half of a 95% t-interval."
        )
    if any(entry.is_best for entry in entries):
        notes.append(f"Bold is the highest of its column on validation{exception}.")
    if any(entry.published is not None for entry in entries):
        of = f" of {paper.name}, {paper.other}" if paper and not paper.is_same else ""
        told = f"Paper: the published number{of}, in percent"
        if any(entry.difference is not None for entry in entries):
            told += ", and ours minus it in points"
        notes.append(f"{told}.")
    return notes
