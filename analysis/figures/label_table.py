"""Table 2 as lines: top-1 against the labelled share, a line a method, the paper's hollow."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from analysis.figures.drawing import (
    FAINT,
    INK,
    METHOD_COLOURS,
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
from analysis.label_table import LabelRow, LabelTable
from analysis.wording import (
    chain_codes,
    method_text,
    percent,
    setting_text,
    share_text,
    title_text,
)


def draw_label_table(table: LabelTable, name: str, *, note: str = "") -> Drawing:
    """Draw a line a method over the labelled shares; SimCLR's one value is a level line.

    Args:
        table: The numbers.
        name: Of the files.
        note: What stands at the foot.
    """
    caption = f"Test top-1 against the share of clips with a label: {table.panel.label}"
    with style(name):
        return render(_figure(table, note), name, caption)


def _figure(table: LabelTable, note: str) -> Figure:
    wide, high, left, right, top, below = 5.6, 3.6, 0.85, 2.0, 0.95, 0.58
    width = left + wide + right
    lines = footnote_lines(note, width)
    foot = footnote_height(lines)
    height = top + high + below + foot
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((left / width, (foot + below) / height, wide / width, high / height))
    shares = [100 * share for share in table.shares] or [100.0]
    for number, row in enumerate(table.rows):
        # Apart by a few percent, so that intervals of one share do not lie on each other.
        dodge = 1.035 ** (number - (len(table.rows) - 1) / 2)
        _draw_row(axes, row, shares, dodge)
    if table.untrained.n:
        axes.axhline(100 * table.untrained.mean, color=INK, linestyle=":", linewidth=1.2)
    if table.chance is not None:
        axes.axhline(100 * table.chance, color=FAINT, linewidth=1.2, zorder=0)
    quiet_axes(axes, grid="y")
    axes.set_xscale("log")
    axes.set_xlim(min(shares) / 1.3, max(shares) * 1.3)
    axes.set_xticks(shares, [share_text(share / 100) for share in shares])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("training clips with a label", fontsize=8.5, color=QUIET)
    axes.set_ylabel("test top-1 (%)", fontsize=8.5, color=QUIET)
    how = f"{setting_text(table.panel)}{chain_codes(table.chain)} · evaluation head, frozen encoder"
    draw_title(figure, title_text(table.panel), how)
    _draw_legend(axes, table)
    draw_footnote(figure, lines)
    return figure


def _draw_row(axes: Axes, row: LabelRow, shares: Sequence[float], dodge: float) -> None:
    colour, mark = METHOD_COLOURS[row.method, row.budget]
    entries = [row.at(place) for place in range(len(shares))]
    published = [
        (share * dodge, 100 * entry.published)
        for share, entry in zip(shares, entries, strict=True)
        if entry.published is not None
    ]
    axes.plot(*_columns(published), color=colour, linewidth=0.9, linestyle=(0, (2, 2)), marker=mark,
              markersize=6.5, markerfacecolor="white", markeredgewidth=1.1)  # fmt: skip
    done = [
        (share * dodge, entry.cell.estimate)
        for share, entry in zip(shares, entries, strict=True)
        if entry.cell is not None and entry.cell.estimate.n
    ]
    means = [(x, 100 * estimate.mean) for x, estimate in done]
    axes.plot(*_columns(means), color=colour, linewidth=2.0, marker=mark, markersize=6.5, zorder=3)
    for x, estimate in done:
        if estimate.n > 1:
            low, high = estimate.mean - estimate.half_width, estimate.mean + estimate.half_width
            axes.plot([x, x], [100 * low, 100 * high], color=colour, linewidth=1.4)


def _columns(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in pairs], [y for _, y in pairs]


def _draw_legend(axes: Axes, table: LabelTable) -> None:
    handles = []
    for row in table.rows:
        colour, mark = METHOD_COLOURS[row.method, row.budget]
        label = method_text(row.method, row.budget)
        handles.append(Line2D([], [], color=colour, marker=mark, linewidth=2.0, label=label))
    if any(entry.published is not None for row in table.rows for entry in row.entries):
        another = table.paper is not None and not table.paper.is_same
        label = f"the paper, on {table.paper.name}" if table.paper and another else "the paper"
        label += f", {table.paper.other}" if table.paper and table.paper.is_part else ""
        handles.append(Line2D([], [], color=QUIET, marker="o", markerfacecolor="white",
                              linewidth=0.9, linestyle=(0, (2, 2)), label=label))  # fmt: skip
    if table.untrained.n:
        label = f"untrained {percent(table.untrained.mean)}"
        handles.append(Line2D([], [], color=INK, linestyle=":", linewidth=1.2, label=label))
    if table.chance is not None:
        label = f"chance {percent(table.chance)}"
        handles.append(Line2D([], [], color=FAINT, linewidth=1.2, label=label))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False,
                fontsize=8.5)  # fmt: skip
