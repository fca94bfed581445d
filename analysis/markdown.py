"""The report as Markdown: the same numbers, for a terminal, a note or a pull request."""

from collections.abc import Sequence
from typing import NamedTuple

from analysis.cells import Cell
from analysis.cost import HEADER
from analysis.frames import RunFrames
from analysis.layout import TextCell, TextTable
from analysis.matrices import PairMatrix
from analysis.studies import Findings, Section
from analysis.verdicts import Verdict, by_reason, summary_text
from analysis.wording import (
    METRIC_NAMES,
    cell_detail,
    cell_text,
    chain_codes,
    count,
    margin_detail,
    percent,
    state_text,
)


class Remarks(NamedTuple):
    """What stands beside the numbers of a report."""

    counts: str  # of trials by state
    notes: list[str]
    failures: list[tuple[str, str, str]]  # name, state, error line; no more than fit a page
    num_failures: int
    provenance: list[tuple[str, str]]  # name, value
    command: str  # that rebuilds the report
    cost: list[tuple[str, ...]]  # predicted and measured, under `analysis.cost.HEADER`


def matrix_table(matrix: PairMatrix) -> str:
    """A matrix with its margins; rows are applied first, columns second."""
    size = len(matrix.operations)
    rows = []
    for i, first in enumerate(matrix.operations):
        texts = [_cell(matrix, i, j) for j in range(size)]
        mean = _mean(matrix.first.means[i], matrix.first.num_cells[i], size)
        rows.append([f"**{first}**", *texts, mean])
    seconds = zip(matrix.second.means, matrix.second.num_cells, strict=True)
    corner = _mean(matrix.mean, matrix.num_cells, size**2)
    rows.append(["**mean**", *(_mean(*second, size) for second in seconds), corner])
    header = ["first \\ second", *matrix.operations, "mean"]
    return table(header, rows, numbers=True)


def _cell(matrix: PairMatrix, i: int, j: int) -> str:
    detail = cell_detail(matrix, i, j)
    text = cell_text(matrix, i, j) + (f" ({detail})" if detail else "")
    return f"**{text}** ◂" if matrix.best == (i, j) else text


def _mean(mean: float, num_cells: int, size: int) -> str:
    detail = margin_detail(int(num_cells), size)
    return f"**{percent(mean)}**" + (f" ({detail})" if detail else "")


def cells_table(cells: Sequence[Cell]) -> str:
    """Cells with a result, the highest on validation first, then those without."""
    ranked = sorted(cells, key=lambda cell: -cell.valid.mean if cell.valid.n else float("inf"))
    rows = [
        [
            chain_codes(cell.chain),
            percent(cell.valid.mean),
            percent(cell.estimate.mean)
            if cell.estimate.n
            else state_text(cell.state, epoch=cell.epoch, epochs=cell.epochs),
            percent(cell.estimate.half_width),
            percent(cell.gain.mean),
            f"{cell.estimate.n} of {cell.num_trials}",
        ]
        for cell in ranked
    ]
    header = ["chain", "validation", "test", "±", "gain over untrained", "seeds"]
    return table(header, rows, numbers=True)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> str:
    """A Markdown table; with `numbers` all columns but the first are aligned right."""
    rules = [":---"] + ["---:" if numbers else ":---"] * (len(header) - 1)
    lines = [header, rules, *rows]
    return "\n".join("| " + " | ".join(map(_escape, line)) + " |" for line in lines)


# Of texts that others wrote: what would be markup, a link or an element in them.
_MARKUP = str.maketrans({sign: f"\\{sign}" for sign in "\\`<["})


def plain(text: str) -> str:
    """A text of another's, as it is, in Markdown."""
    return text.translate(_MARKUP)


def _escape(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _plain_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return table(header, [[plain(text) for text in row] for row in rows])


def text_table(shown: TextTable) -> str:
    """A table with its line of differences above and its notes below."""
    header = [shown.corner]
    header += [
        f"{column.label} ({column.note})" if column.note else column.label
        for column in shown.columns
    ]
    rows = []
    for row in shown.rows:
        texts = [text for cell in row.cells for text in _spread(cell)]
        rows.append([f"**{row.label}**" if row.is_result else row.label, *texts])
        rows[-1] += [""] * (len(header) - len(rows[-1]))
    notes = "\n".join(f"- {note}" for note in shown.notes)
    caption = f"{shown.caption}."
    return "\n\n".join(
        part
        for part in (f"**{shown.protocol}**", caption, table(header, rows, numbers=True), notes)
        if part
    )


def _spread(cell: TextCell) -> list[str]:
    """The text of a cell, and arrows to it in the further columns that it stands for."""
    text = f"**{cell.text}** ◂" if cell.is_best else cell.text
    text += f" ({cell.seeds})" if cell.seeds else ""
    if cell.published:
        difference = f": {cell.difference}" if cell.difference else ""
        text += f" (paper {cell.published}{difference})"
    return [text.strip(), *["←"] * (cell.span - 1)]


def report_markdown(
    frames: RunFrames,
    findings: Findings,
    *,
    tables: Sequence[TextTable],
    verdicts: Sequence[Verdict],
    pictures: Sequence[str],
    remarks: Remarks,
) -> str:
    """The whole report.

    Args:
        frames: The run.
        findings: Its numbers.
        tables: Those that stand beside published numbers.
        verdicts: On what the paper prints.
        pictures: Names of the drawings that lie beside the report.
        remarks: What stands beside the numbers.
    """
    parts = [f"# {plain(frames.sweep.name)}", plain(frames.sweep.description)]
    for headline, protocol in zip(findings.headlines, findings.protocols, strict=True):
        parts += [headline, f"**{protocol}**" if protocol else ""]
    parts.append(f"- {remarks.counts}")
    parts += [f"![{name}]({name}.png)" for name in pictures]
    if tables:
        parts += ["## Beside the paper", *map(text_table, tables)]
    if verdicts:
        parts += ["## Verdicts", summary_text(verdicts), *_verdict_tables(verdicts)]
    if remarks.notes:
        parts += ["## Notes", "\n".join(f"- {plain(note)}" for note in remarks.notes)]
    for section in findings.sections:
        parts += _section(section)
    if remarks.failures:
        parts += ["## Failures", _plain_table(["trial", "state", "error"], remarks.failures)]
        if remarks.num_failures > len(remarks.failures):
            told = f"The first {len(remarks.failures)} of {remarks.num_failures}"
            parts.append(f"{told}; trials.csv has them all.")
    if remarks.cost:
        rows = [[plain(text) for text in row] for row in remarks.cost]
        parts += ["## Cost: predicted and measured", table(HEADER, rows, numbers=True)]
    if remarks.provenance:
        parts += ["## Provenance", _plain_table(["entry", "value"], remarks.provenance)]
    parts += ["## Rebuild", f"```sh\n{remarks.command}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict_tables(verdicts: Sequence[Verdict]) -> list[str]:
    """A table for each reason why numbers are no comparison, and one of those that are."""
    parts = []
    for because, group in by_reason(verdicts):
        parts.append(f"Not comparable because of {because}:" if because else "")
        rows = [
            [f"{each.what} ({each.place})", each.published, each.ours, each.outcome, each.shown]
            for each in group
        ]
        parts.append(_plain_table(["what", "paper", "here", "verdict", "this run shows"], rows))
    return parts


def _section(section: Section) -> list[str]:
    """A panel: its matrices, or its cells."""
    parts = [f"## {section.panel.label}"]
    for matrix in section.matrices:
        parts.append(
            f"Test top-1 in percent, {METRIC_NAMES[matrix.metric]}, "
            f"{count(section.panel.epochs, 'epoch')}; untrained encoder "
            f"{percent(matrix.untrained.mean)}. Rows are applied first, columns second; "
            "◂ is the highest on validation."
        )
        parts.append(matrix_table(matrix))
    if section.answers:
        parts.append("\n".join(f"- {answer}" for answer in section.answers))
    if section.matrices:
        return [*parts, "Best cells, by validation:", cells_table(_first(section.cells))]
    return [*parts, "Cells, by validation:", cells_table(section.cells)]


def _first(cells: Sequence[Cell], number: int = 5) -> list[Cell]:
    done = [cell for cell in cells if cell.valid.n]
    return sorted(done, key=lambda cell: -cell.valid.mean)[:number]
