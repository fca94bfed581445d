"""Matrices of differences between two runs, laid out as Figure 4."""

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.comparison.cells import CellPair
from analysis.comparison.matrices import DifferenceMatrix
from analysis.comparison.wording import signed_points
from analysis.figures.colours import Scale
from analysis.figures.drawing import FAINT, QUIET, Drawing, draw_title, render, style
from analysis.figures.pair_grid import PairGrid, draw_no_mean, draw_value, outline
from analysis.stats import Estimate
from analysis.wording import percent

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
    grid = PairGrid(len(matrices), matrices[0].operations, right=1.4, bottom=0.7)
    scale = _scale(matrices)
    one, two = runs
    how = f"test top-1 of {two} minus {one}, points"
    for place, matrix in enumerate(matrices):
        _draw_matrix(grid, place, matrix, scale)
        draw_title(grid.figure, matrix.panel, how, left=grid.lefts[place])
        grid.draw_notes(place, _notes(matrix))
    grid.draw_bar(scale, signed_points, "points")
    return grid.figure


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


def _draw_matrix(grid: PairGrid, place: int, matrix: DifferenceMatrix, scale: Scale) -> None:
    axes, margin = grid.axes[place], grid.margin
    for i, row in enumerate(matrix.cells):
        for j, pair in enumerate(row):
            _draw_cell(axes, (j, i), pair, scale)
    for i, (first, second) in enumerate(zip(matrix.first, matrix.second, strict=True)):
        _draw_estimate(axes, (margin, i), first, scale, weight="bold")
        _draw_estimate(axes, (i, margin), second, scale, weight="bold")
    _draw_estimate(axes, (margin, margin), matrix.mean, scale, weight="bold")


def _draw_cell(
    axes: Axes, corner: tuple[float, float], pair: CellPair | None, scale: Scale
) -> None:
    if pair is not None and pair.difference.n:
        is_told = pair.verdict in ("better", "worse")
        _draw_estimate(axes, corner, pair.difference, scale, weight="bold" if is_told else "normal")
        if is_told:
            outline(axes, corner, width=2.1)
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
    if not math.isfinite(found.mean):
        draw_no_mean(axes, corner)
        return
    detail = f"± {percent(found.half_width)}" if found.n > 1 else ""
    text = signed_points(found.mean)
    draw_value(axes, corner, found.mean, text, detail, scale=scale, weight=weight)


def _notes(matrix: DifferenceMatrix) -> list[str]:
    numbers = sorted({pair.difference.n for pair in matrix.pairs} - {0})
    notes = ["Diagonal: one augmentation alone."]
    if numbers and numbers[-1] > 1:
        span = "–".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
        notes[0] += f" ±: half of a 95% t-interval, paired over {span} seeds."
        notes.append("Outlined: differs from zero at 5% after Holm's correction over all cells.")
    elif numbers:
        notes.append("One seed in common, so no interval and no test.")
    return notes
