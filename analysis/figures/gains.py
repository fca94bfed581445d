"""What each cell gains over the untrained encoder."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.cells import Cell, Panel
from analysis.figures.drawing import GRID, INK, QUIET, Drawing, render, style
from analysis.wording import chain_codes, count, setting_text, title_text


def draw_gains(found: Sequence[tuple[Panel, Sequence[Cell]]], name: str) -> Drawing:
    """Draw what each cell gains over the untrained encoder, the largest mean on top."""
    labels = "; ".join(panel.label for panel, _ in found)
    caption = f"Gain of each cell over the untrained encoder: {labels}"
    with style(name):
        return render(_gains_figure(found), name, caption)


def _gains_figure(found: Sequence[tuple[Panel, Sequence[Cell]]]) -> Figure:
    most = max(sum(cell.gain.n > 0 for cell in cells) for _, cells in found)
    reach = _reach([cell for _, cells in found for cell in cells if cell.gain.n])
    wide, left, between, right, top, bottom = 4.6, 1.1, 1.35, 0.4, 0.8, 0.62
    high = max(1.2, 0.215 * most)
    width = left + len(found) * wide + (len(found) - 1) * between + right
    height = top + high + bottom
    figure = Figure(figsize=(width, height), facecolor="white")
    for number, (panel, cells) in enumerate(found):
        x = left + number * (wide + between)
        axes = figure.add_axes((x / width, bottom / height, wide / width, high / height))
        drawn = _draw_gains(axes, cells, slots=most, reach=reach)
        title = title_text(panel)
        left_out = len(cells) - drawn
        how = f"{setting_text(panel)}test top-1 minus that of the untrained encoder, points"
        if left_out:
            how += f" · {count(left_out, 'cell')} without a result"
        x_text = (x - 0.95) / width
        figure.text(x_text, 1 - 0.18 / height, title, va="top", fontsize=12, weight="bold")
        figure.text(x_text, 1 - 0.42 / height, how, va="top", fontsize=9, color=QUIET)
    return figure


def _reach(cells: Sequence[Cell]) -> tuple[float, float]:
    """Limits in points that hold all gains, their intervals and their texts."""
    halves = [0.0 if cell.gain.n < 2 else cell.gain.half_width for cell in cells]
    low = min(0.0, *(cell.gain.mean - half for cell, half in zip(cells, halves, strict=True)))
    high = max(0.0, *(cell.gain.mean + half for cell, half in zip(cells, halves, strict=True)))
    room = 0.12 * (high - low) or 0.01  # all gains 0: an axis still needs an extent
    # An interval of two seeds may leave what a difference of two fractions can be.
    return max(-100.0, 100 * (low - (room if low < 0 else 0))), min(100.0, 100 * (high + room))


def _draw_gains(
    axes: Axes, cells: Sequence[Cell], *, slots: int, reach: tuple[float, float]
) -> int:
    """Draw a line a cell, the largest gain on top; gives how many."""
    ranked = sorted((cell for cell in cells if cell.gain.n), key=lambda cell: -cell.gain.mean)
    for place, cell in enumerate(ranked):
        gain = 100 * cell.gain.mean
        colour = "#2a788e" if gain >= 0 else "#b3261e"
        axes.plot([0, gain], [place, place], color=colour, linewidth=1.6, alpha=0.35)
        if cell.gain.n > 1:
            half = 100 * cell.gain.half_width
            axes.plot([gain - half, gain + half], [place, place], color=INK, linewidth=0.8)
        axes.plot([gain], [place], "o", color=colour, markersize=5)
        half = 100 * cell.gain.half_width if cell.gain.n > 1 else 0.0
        # Left of an axis that an interval fills there is no room beside the names.
        side = 1 if gain >= 0 or gain - half <= reach[0] else -1
        end = min(max(gain + side * half, reach[0]), reach[1])
        axes.annotate(
            f"{gain:+.1f}".replace("-", "−"),
            (end, place),
            xytext=(7 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=7,
            color=QUIET,
            annotation_clip=False,
        )
    axes.axvline(0, color=INK, linewidth=1.0)
    axes.set_ylim(slots - 0.4, -0.6)
    axes.set_yticks(range(len(ranked)), [chain_codes(cell.chain) for cell in ranked])
    axes.tick_params(axis="y", length=0, labelsize=7.5, pad=6)
    axes.tick_params(axis="x", length=0, labelsize=8, labelcolor=QUIET)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlim(*reach)
    whiskers = "; whiskers: 95% t-interval" if any(cell.gain.n > 1 for cell in ranked) else ""
    axes.set_xlabel(f"points{whiskers}", fontsize=8.5, color=QUIET)
    return len(ranked)
