"""Table 1 as dots: encoders and chains on each dataset, the paper's hollow."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures.drawing import (
    ENCODER_COLOURS,
    FAINT,
    INK,
    QUIET,
    Drawing,
    draw_footnote,
    draw_title,
    footnote_height,
    footnote_lines,
    quiet_axes,
    render,
    style,
)
from analysis.frames import ENCODER_SIZES
from analysis.input_table import InputTable
from analysis.wording import row_text, state_text

_COLUMNS = 3


def draw_input_table(table: InputTable, name: str, *, note: str = "") -> Drawing:
    """Draw a panel a dataset, a line a row: ours filled with its interval, the paper's hollow.

    Args:
        table: The numbers.
        name: Of the files.
        note: What stands at the foot.
    """
    caption = "Test top-1 of each row of the table, the paper's hollow"
    if table.setting:
        caption += f": {table.setting}"
    with style(name):
        return render(_figure(table, note), name, caption)


def _figure(table: InputTable, note: str) -> Figure:
    columns = min(_COLUMNS, len(table.columns))
    rows = -(-len(table.columns) // columns)
    wide, left, gap, top, below = 2.6, 1.85, 0.35, 1.3, 0.95
    high = max(1.2, 0.3 * len(table.rows) + 0.2)
    width = max(7.6, left + columns * (wide + gap))
    lines = footnote_lines(note, width)
    foot = footnote_height(lines)
    height = top + rows * (high + below) + foot
    figure = Figure(figsize=(width, height), facecolor="white")
    for number in range(len(table.columns)):
        row, column = divmod(number, columns)
        x = left + column * (wide + gap)
        y = foot + below - 0.5 + (rows - 1 - row) * (high + below)
        axes = figure.add_axes((x / width, y / height, wide / width, high / height))
        _draw_dataset(axes, table, number)
        if column:
            axes.set_yticks([])
    setting = f"{table.setting} · " if table.setting else ""
    draw_title(
        figure,
        "Waveform (1-D) against spectrogram (2-D)",
        f"{setting}test top-1 (%) of the evaluation head on the frozen encoder",
    )
    _draw_legend(figure, table, y=1 - 0.66 / height)
    draw_footnote(figure, lines)
    return figure


def _draw_dataset(axes: Axes, table: InputTable, number: int) -> None:
    column = table.columns[number]
    for place, row in enumerate(table.rows):
        entry = row.entries[number]
        colour, mark = ENCODER_COLOURS[row.encoder]
        if entry.published is not None:
            axes.plot([100 * entry.published], [place], mark, markersize=7, zorder=2,
                      markerfacecolor="white", markeredgecolor=colour, markeredgewidth=1.1,
                      clip_on=False,
                      alpha=1.0 if column.paper and column.paper.is_same else 0.45)  # fmt: skip
        cell = entry.cell
        if cell is None:
            continue
        if not cell.estimate.n:
            text = state_text(cell.state, epoch=cell.epoch, epochs=cell.epochs)
            axes.text(0.02, place, "missing" if cell.state == "missing" else text, va="center",
                      fontsize=7, color=QUIET, transform=axes.get_yaxis_transform())  # fmt: skip
            continue
        mean = 100 * cell.estimate.mean
        if cell.estimate.n > 1:
            half = 100 * cell.estimate.half_width
            axes.plot([mean - half, mean + half], [place, place], color=colour, linewidth=1.5)
        # Not clipped: at 0.0 the axis would cut it in half.
        axes.plot([mean], [place], mark, color=colour, markersize=6, zorder=3, clip_on=False)
    _draw_levels(axes, table, number)
    quiet_axes(axes, grid="x")
    axes.set_ylim(len(table.rows) - 0.4, -0.6)
    axes.set_yticks(
        range(len(table.rows)), [row_text(row.encoder, row.chain) for row in table.rows]
    )
    axes.tick_params(axis="y", labelsize=8, labelcolor=INK)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlim(0.0, min(101.0, axes.get_xlim()[1]))  # an interval may leave what can be
    axes.set_title(column.label, fontsize=9.5, loc="left", weight="bold", color=INK, pad=15)
    if column.paper is not None and not column.paper.is_same:
        head = f"hollow: the paper on {column.paper.name}"
        head += f", {column.paper.other}" if column.paper.is_part else ""
        axes.annotate(head, (0, 1), xycoords="axes fraction", xytext=(0, 4), fontsize=7,
                      textcoords="offset points", color=QUIET)  # fmt: skip


def _draw_levels(axes: Axes, table: InputTable, number: int) -> None:
    """Untrained encoders as dotted lines along their rows, chance along all."""
    for untrained in table.untrained:
        level = 100 * untrained.estimates[number].mean
        places = [i for i, row in enumerate(table.rows) if row.encoder == untrained.encoder]
        if not math.isnan(level):
            colour = ENCODER_COLOURS[untrained.encoder][0]
            ends = [min(places) - 0.45, max(places) + 0.45]
            axes.plot([level, level], ends, color=colour, linestyle=":", linewidth=1.5)
    chance = table.columns[number].chance
    if chance is not None:
        axes.axvline(100 * chance, color=FAINT, linewidth=1.2, zorder=0)


def _draw_legend(figure: Figure, table: InputTable, *, y: float) -> None:
    handles = []
    for untrained in table.untrained:
        colour, mark = ENCODER_COLOURS[untrained.encoder]
        size = ENCODER_SIZES[untrained.encoder]
        handles.append(Line2D([], [], color=colour, marker=mark, markersize=6, label=size))
        if any(estimate.n for estimate in untrained.estimates):
            label = f"{size} untrained"
            handles.append(Line2D([], [], color=colour, linestyle=":", linewidth=1.5, label=label))
    if any(entry.published is not None for row in table.rows for entry in row.entries):
        handles.append(Line2D([], [], color=QUIET, marker="o", markersize=7, linestyle="none",
                              markerfacecolor="white", label="paper"))  # fmt: skip
    if any(column.chance is not None for column in table.columns):
        handles.append(Line2D([], [], color=FAINT, linewidth=1.2, label="chance"))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.12 / figure.get_figwidth(), y),
        ncols=len(handles), frameon=False, fontsize=8.5, handlelength=1.6,
    )  # fmt: skip
