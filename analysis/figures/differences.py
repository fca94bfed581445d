"""Matrices of differences between two runs, laid out as Figure 4."""

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from analysis.comparison.cells import CellPair
from analysis.comparison.matrices import DifferenceMatrix
from analysis.comparison.wording import signed_points
from analysis.figures.colour_bar import Scale
from analysis.figures.drawing import FAINT, INK, QUIET, Drawing, draw_title, render, style
from analysis.figures.matrices import CELL_HEIGHT, CELL_WIDTH, GAP, TITLE_WIDTH
from analysis.stats import Estimate
from analysis.wording import operation_name, percent

# Red for a loss, blue for a gain: told apart with all common kinds of colour blindness.
COLOURS = "RdBu"
_LEAST = 0.01  # a scale of fractions of a point would make much of nothing


def draw_differences(
    matrices: Sequence[DifferenceMatrix], name: str, *, runs: tuple[str, str]
) -> Drawing:
    """Draw matrices of differences side by side, on one scale around zero.

    Args:
        matrices: Left to right.
        name: Of the files.
        runs: Names of A and B.
    """
    caption = f"Test top-1 of B minus that of A: {'; '.join(matrix.panel for matrix in matrices)}"
    with style(name):
        return render(_figure(matrices, runs), name, caption)


def _figure(matrices: Sequence[DifferenceMatrix], runs: tuple[str, str]) -> Figure:
    size = len(matrices[0].operations)
    span = size + 1 + GAP
    wide, high = span * CELL_WIDTH, span * CELL_HEIGHT
    left, right, top, bottom = 1.25, 1.3, 1.42, 0.7
    step = max(wide, TITLE_WIDTH) + 0.85  # a small matrix is narrower than its title
    last = left + (len(matrices) - 1) * step
    width = last + max(wide + right, TITLE_WIDTH + 0.2)
    height = top + high + bottom
    figure = Figure(figsize=(width, height), facecolor="white")
    scale = _scale(matrices)
    for number, matrix in enumerate(matrices):
        x = left + number * step
        axes = figure.add_axes((x / width, bottom / height, wide / width, high / height))
        _draw_matrix(axes, matrix, scale, names_rows=number == 0)
        one, two = runs
        how = f"test top-1 of {two} minus {one}, points"
        draw_title(figure, matrix.panel, how, left=x)
        _draw_legend(figure, matrix, x=x / width, y=(bottom - 0.2) / height, line=0.19 / height)
    tall = size * CELL_HEIGHT
    x, low = last + wide + 0.45, bottom + high - tall
    _draw_bar(figure.add_axes((x / width, low / height, 0.17 / width, tall / height)), scale)
    return figure


def _scale(matrices: Sequence[DifferenceMatrix]) -> Scale:
    """Colours as far to one side of zero as to the other."""
    found = [
        abs(pair.difference.mean)
        for matrix in matrices
        for pair in matrix.pairs
        if pair.difference.n
    ]
    reach = max([_LEAST, *found])
    # The outer ends of the map are too dark for small print.
    return Scale(mpl.colormaps[COLOURS], Normalize(-1.15 * reach, 1.15 * reach))


def _draw_matrix(axes: Axes, matrix: DifferenceMatrix, scale: Scale, *, names_rows: bool) -> None:
    size = len(matrix.operations)
    margin, span = size + GAP, size + 1 + GAP
    axes.set(xlim=(0, span), ylim=(span, 0), xticks=[], yticks=[])
    axes.set_axis_off()
    for i, row in enumerate(matrix.cells):
        for j, pair in enumerate(row):
            _draw_cell(axes, (j, i), pair, scale)
    for place in range(size):
        _draw_estimate(axes, (margin, place), matrix.first[place], scale, weight="bold")
        _draw_estimate(axes, (place, margin), matrix.second[place], scale, weight="bold")
    _draw_estimate(axes, (margin, margin), matrix.mean, scale, weight="bold")
    for i, row in enumerate(matrix.cells):
        for j, pair in enumerate(row):
            if pair is not None and pair.verdict in ("better", "worse"):
                _outline(axes, (j, i))
    _name_sides(axes, matrix.operations, names_rows=names_rows)


def _draw_cell(
    axes: Axes, corner: tuple[float, float], pair: CellPair | None, scale: Scale
) -> None:
    if pair is not None and pair.difference.n:
        weight = "bold" if pair.verdict in ("better", "worse") else "normal"
        _draw_estimate(axes, corner, pair.difference, scale, weight=weight)
        return
    x, y = corner
    axes.add_patch(
        Rectangle((x + 0.05, y + 0.06), 0.9, 0.88, facecolor="#f6f7f9", edgecolor=FAINT,
                  linewidth=0.8, linestyle=":")
    )  # fmt: skip
    # Only where both have a result is there a difference: an absent one is no zero.
    text = "" if pair is None else pair.verdict.replace("only in ", "only\nin ")
    text = text.replace("no shared seed", "no shared\nseed")
    axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=6.5, color=QUIET)


def _draw_estimate(
    axes: Axes, corner: tuple[float, float], found: Estimate, scale: Scale, *, weight: str
) -> None:
    x, y = corner
    is_known = math.isfinite(found.mean)
    fill = scale.fill(found.mean) if is_known else "#f6f7f9"
    ink = scale.ink(found.mean) if is_known else QUIET
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=fill, edgecolor="white", linewidth=1.6))
    detail = f"± {percent(found.half_width)}" if found.n > 1 else ""
    text = signed_points(found.mean) if is_known else "–"
    axes.text(x + 0.5, y + (0.38 if detail else 0.5), text, ha="center", va="center",
              fontsize=11, color=ink, weight=weight)  # fmt: skip
    axes.text(x + 0.5, y + 0.72, detail, ha="center", va="center", fontsize=6.5, color=ink)


def _outline(axes: Axes, corner: tuple[float, float]) -> None:
    for colour, width in (("white", 4.2), (INK, 2.0)):
        axes.add_patch(
            Rectangle(corner, 1, 1, fill=False, edgecolor=colour, linewidth=width,
                      joinstyle="miter", clip_on=False, zorder=4)
        )  # fmt: skip


def _name_sides(axes: Axes, operations: Sequence[str], *, names_rows: bool) -> None:
    size, margin = len(operations), len(operations) + GAP
    for place, code in enumerate(operations):
        middle = place + 0.5
        axes.text(middle, -0.56, code, ha="center", va="center", weight="bold")
        name = operation_name(code)
        axes.text(middle, -0.22, name, ha="center", va="center", fontsize=6.6, color=QUIET)
        if names_rows:
            axes.text(-0.14, place + 0.38, code, ha="right", va="center", weight="bold")
            axes.text(-0.14, place + 0.70, name, ha="right", va="center", fontsize=6.6, color=QUIET)
        else:
            axes.text(-0.12, middle, code, ha="right", va="center", weight="bold", fontsize=8)
    axes.text(margin + 0.5, -0.39, "mean", ha="center", va="center", color=QUIET)
    axes.text(-0.14, margin + 0.5, "mean", ha="right", va="center", color=QUIET)
    axes.text(size / 2, -1.0, "second augmentation", ha="center", va="center", fontsize=9.5)
    if names_rows:
        axes.text(-1.22, size / 2, "first augmentation", ha="center", va="center", rotation=90,
                  fontsize=9.5)  # fmt: skip


def _draw_legend(
    figure: Figure, matrix: DifferenceMatrix, *, x: float, y: float, line: float
) -> None:
    pairs = matrix.pairs
    numbers = sorted({pair.difference.n for pair in pairs} - {0})
    notes = ["Diagonal: one augmentation alone."]
    if numbers and numbers[-1] > 1:
        span = "–".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
        notes[0] += f" ±: half of a 95% t-interval, paired over {span} seeds."
        notes.append("Outlined: differs from zero at 5% after Holm's correction over all cells.")
    elif numbers:
        notes.append("One seed in common, so no interval and no test.")
    for number, note in enumerate(notes):
        figure.text(x, y - number * line, note, va="top", fontsize=8, color=QUIET)


def _draw_bar(axes: Axes, scale: Scale) -> None:
    low, high = float(scale.span.vmin or 0), float(scale.span.vmax or 0)
    gradient = np.linspace(low, high, 256)[:, np.newaxis]
    axes.imshow(
        gradient, cmap=scale.colours, norm=scale.span, origin="lower", aspect="auto",
        extent=(0, 1, low, high), interpolation="nearest",
    )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(low, high), xticks=[])
    levels = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    ticks = [tick for tick in levels if low <= tick <= high]
    axes.set_yticks(ticks, [signed_points(tick) for tick in ticks])
    axes.tick_params(axis="y", length=2.5, labelsize=7.5, labelcolor=QUIET, color=QUIET)
    axes.set_title("points", fontsize=8, color=QUIET, pad=5)
