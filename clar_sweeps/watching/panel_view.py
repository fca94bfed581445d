"""Draws matrices and tables of accuracies as they fill."""

import itertools
from statistics import fmean
from typing import NamedTuple

from rich.text import Text

from clar_sweeps.records import State
from clar_sweeps.watching.panels import Panel
from clar_sweeps.watching.snapshot import Snapshot

SIGNS: dict[State, str] = {
    "done": "✓",
    "failed": "✗",
    "diverged": "∞",
    "unfinished": "…",
    "missing": "·",
}
STYLES: dict[State, str] = {
    "done": "green",
    "failed": "red",
    "diverged": "red",
    "unfinished": "yellow",
    "missing": "dim",
}
# From low to high: five steps of viridis, and a colour of letters that can be read on each.
_RAMP = (
    "white on #440154",
    "white on #3b528b",
    "white on #21706e",
    "black on #5ec962",
    "black on #fde725",
)
_NARROWEST_CELL = 6
_WIDEST_LABEL = 24
_BETWEEN_PANELS = 4
# Of a panel, beside its rows: title, columns, and the line below it.
_AROUND_ROWS = 3
_LEGEND = 1


class _Cell(NamedTuple):
    """What one cell of a panel shows."""

    text: str
    value: float | None  # by which it is coloured
    style: str = ""


class _Window(NamedTuple):
    """The part of a panel that fits."""

    panel: Panel
    rows: range
    columns: range
    cells: list[list[_Cell]]


def draw_panels(snapshot: Snapshot, *, width: int, height: int) -> list[Text]:
    """As many matrices as fit, side by side and below each other, those in training first."""
    shares = {each.trial.id: each.share for each in snapshot.running}
    panels = sorted(snapshot.panels, key=lambda panel: not _rows_in_training(panel, shares))
    room = height - _LEGEND
    if not panels or room <= _AROUND_ROWS:
        return []
    num_rows = max(len(panel.rows) for panel in panels)
    fitting_rows = min(num_rows, room - _AROUND_ROWS)
    if fitting_rows < num_rows:
        fitting_rows -= 1  # the line that counts the hidden rows
    widest = max(_width_of(panel) for panel in panels)
    across = max(1, (width + _BETWEEN_PANELS) // (widest + _BETWEEN_PANELS))
    down = max(1, room // (num_rows + _AROUND_ROWS))
    windows = [
        _window(panel, snapshot, shares, width=width, num_rows=fitting_rows)
        for panel in panels[: across * down]
    ]
    values = [
        cell.value
        for window in windows
        for row in window.cells
        for cell in row
        if cell.value is not None
    ]
    scale = (min(values), max(values)) if values else (0.0, 0.0)
    blocks = [_block(window, scale) for window in windows]
    lines: list[Text] = []
    for start in range(0, len(blocks), across):
        lines += _side_by_side(blocks[start : start + across])
    return [*lines[:-1], _legend(panels[0], len(panels) - len(windows)), Text()]


def _rows_in_training(panel: Panel, shares: dict[str, float]) -> list[int]:
    if not shares:
        return []
    return [row for (row, _), ids in panel.cells.items() if not shares.keys().isdisjoint(ids)]


def _legend(panel: Panel, more: int) -> Text:
    hidden = f"and {more} more like this; " if more else ""
    axes = f"row: {panel.row_axis}, column: {panel.column_axis}"
    return Text(f"{hidden}test top-1 in %, ▸ trained so far; {axes}", "dim")


def _window(
    panel: Panel, snapshot: Snapshot, shares: dict[str, float], *, width: int, num_rows: int
) -> _Window:
    """The rows about those in training, and the columns from the first on."""
    last_start = max(0, len(panel.rows) - num_rows)
    first = min(_rows_in_training(panel, shares), default=0)
    start = min(max(0, first - num_rows // 2), last_start)
    rows = range(start, min(len(panel.rows), start + num_rows))
    fitting = max(1, (width - _label_width(panel)) // (_cell_width(panel) + 1))
    columns = range(min(fitting, len(panel.columns)))
    cells = [
        [_cell(panel.cells.get((row, column), ()), snapshot, shares) for column in columns]
        for row in rows
    ]
    return _Window(panel, rows, columns, cells)


def _label_width(panel: Panel) -> int:
    return min(_WIDEST_LABEL, max(map(len, panel.rows)))


def _cell_width(panel: Panel) -> int:
    return max(_NARROWEST_CELL, *map(len, panel.columns))


def _width_of(panel: Panel) -> int:
    matrix = _label_width(panel) + len(panel.columns) * (_cell_width(panel) + 1)
    return max(matrix, len(panel.title))


def _cell(ids: tuple[str, ...], snapshot: Snapshot, shares: dict[str, float]) -> _Cell:
    """Mean over the finished seeds; a sign tells of seeds that are to come or have failed."""
    standings = [snapshot.standings[each] for each in ids]
    states: set[State] = {standing.state for standing in standings}
    results = [each.top1 for each in standings if each.state == "done" and each.top1 is not None]
    bad = next((state for state in ("failed", "diverged") if state in states), None)
    if results:
        mean = fmean(results)
        rest = SIGNS[bad] if bad else SIGNS["unfinished"] if states != {"done"} else ""
        return _Cell(f"{100 * mean:.1f}{rest}", mean)
    in_training = [shares[each] for each in ids if each in shares]
    if in_training:
        return _Cell(f"▸{100 * max(in_training):.0f}%", None, "cyan")
    for state in ("failed", "diverged", "unfinished", "missing"):
        if state in states:
            return _Cell(SIGNS[state], None, STYLES[state])
    return _Cell("", None)


def _block(window: _Window, scale: tuple[float, float]) -> list[Text]:
    """The lines of one panel, all of one width."""
    panel, rows, columns, cells = window
    label_width, cell_width = _label_width(panel), _cell_width(panel)
    head = Text(" " * label_width)
    for column in columns:
        head.append(f" {panel.columns[column]:>{cell_width}}", "bold")
    lines = [Text(panel.title, "bold")] if panel.title else []
    lines.append(head)
    for row, its_cells in zip(rows, cells, strict=True):
        line = Text(f"{panel.rows[row]:{label_width}.{label_width}}", "bold")
        for cell in its_cells:
            style = cell.style if cell.value is None else _colour(cell.value, scale)
            line.append(" ").append(f"{cell.text:>{cell_width}}", style)
        lines.append(line)
    hidden = [
        f"{whole - part} more {what}"
        for whole, part, what in (
            (len(panel.rows), len(rows), "rows"),
            (len(panel.columns), len(columns), "columns"),
        )
        if whole > part
    ]
    if hidden:
        lines.append(Text("and " + ", ".join(hidden), "dim"))
    widest = max(line.cell_len for line in lines)
    for line in lines:
        line.pad_right(widest - line.cell_len)
    return lines


def _side_by_side(blocks: list[list[Text]]) -> list[Text]:
    widths = [block[0].cell_len for block in blocks]
    lines = []
    for parts in itertools.zip_longest(*blocks):
        line = Text()
        for part, width in zip(parts, widths, strict=True):
            line.append_text(part if part is not None else Text(" " * width))
            line.append(" " * _BETWEEN_PANELS)
        line.rstrip()
        lines.append(line)
    return [*lines, Text()]


def _colour(value: float, scale: tuple[float, float]) -> str:
    low, high = scale
    share = (value - low) / (high - low) if high > low else 0.5
    return _RAMP[min(len(_RAMP) - 1, int(share * len(_RAMP)))]
