"""What all matrices of ordered pairs share: their places on a figure, cells, names and the bar."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from analysis.figures.colours import Scale
from analysis.figures.drawing import INK, QUIET
from analysis.wording import operation_name

# Inches.
_CELL_WIDTH, _CELL_HEIGHT = 0.80, 0.60
_LEFT, _TOP, _BETWEEN = 1.25, 1.42, 0.85
_TITLE_WIDTH = 4.9  # that a title and the notes take
_NOTES_BELOW, _NOTE_LINE = 0.2, 0.19
_BAR_BESIDE, _BAR_WIDTH = 0.55, 0.17
# Cells between the matrix and its margins.
_GAP = 0.16


class PairGrid:
    """A figure with matrices side by side, the row first and the column second.

    Cell (i, j) of a matrix is a square of its axes with its upper left corner at (j, i); the
    margins are at `margin`.
    """

    def __init__(self, number: int, operations: Sequence[str], *, right: float, bottom: float):
        """Lay out so many matrices, with inches at the right for the bar and at the bottom."""
        self.operations = tuple(operations)
        wide, high = _inches(operations)
        self.lefts = _lefts(number, operations)
        self.bottom = bottom
        width, height = grid_width(number, operations, right=right), _TOP + high + bottom
        self.figure = Figure(figsize=(width, height), facecolor="white")
        self.axes = tuple(
            self.figure.add_axes((x / width, bottom / height, wide / width, high / height))
            for x in self.lefts
        )
        for place, axes in enumerate(self.axes):
            self._name_sides(axes, names_rows=place == 0)

    @property
    def margin(self) -> float:
        """Where the means lie, in cells."""
        return len(self.operations) + _GAP

    def draw_notes(self, place: int, notes: Sequence[str]) -> None:
        """Write lines below a matrix."""
        width, height = self.figure.get_size_inches()
        for line, note in enumerate(notes):
            y = self.bottom - _NOTES_BELOW - line * _NOTE_LINE
            self.figure.text(self.lefts[place] / width, y / height, note, va="top", fontsize=8,
                             color=QUIET)  # fmt: skip

    def draw_bar(self, scale: Scale, tick_text: Callable[[float], str], unit: str) -> Axes:
        """Draw the colours with their values beside the last matrix."""
        width, height = self.figure.get_size_inches()
        wide, high = _inches(self.operations)
        x, tall = self.lefts[-1] + wide + _BAR_BESIDE, len(self.operations) * _CELL_HEIGHT
        y = self.bottom + high - tall
        axes = self.figure.add_axes((x / width, y / height, _BAR_WIDTH / width, tall / height))
        low, high = scale.reach
        axes.imshow(
            np.linspace(low, high, 256)[:, np.newaxis], cmap=scale.colours, norm=scale.span,
            origin="lower", aspect="auto", extent=(0, 1, low, high), interpolation="nearest",
        )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(low, high), xticks=[])
        levels = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
        ticks = [tick for tick in levels if low <= tick <= high]
        axes.set_yticks(ticks, [tick_text(tick) for tick in ticks])
        axes.tick_params(axis="y", length=2.5, labelsize=7.5, labelcolor=QUIET, color=QUIET)
        axes.set_title(unit, fontsize=8, color=QUIET, pad=5)
        return axes

    def _name_sides(self, axes: Axes, *, names_rows: bool) -> None:
        size, margin = len(self.operations), self.margin
        axes.set(xlim=(0, margin + 1), ylim=(margin + 1, 0), xticks=[], yticks=[])
        axes.set_axis_off()
        middle: dict[str, Any] = {"ha": "center", "va": "center"}
        beside: dict[str, Any] = {"ha": "right", "va": "center"}
        for place, code in enumerate(self.operations):
            name = operation_name(code)
            axes.text(place + 0.5, -0.56, code, weight="bold", **middle)
            axes.text(place + 0.5, -0.22, name, fontsize=6.6, color=QUIET, **middle)
            if names_rows:
                axes.text(-0.14, place + 0.38, code, weight="bold", **beside)
                axes.text(-0.14, place + 0.70, name, fontsize=6.6, color=QUIET, **beside)
            else:
                axes.text(-0.12, place + 0.5, code, weight="bold", fontsize=8, **beside)
        axes.text(margin + 0.5, -0.39, "mean", color=QUIET, **middle)
        axes.text(-0.14, margin + 0.5, "mean", color=QUIET, **beside)
        axes.text(size / 2, -1.0, "second augmentation", fontsize=9.5, **middle)
        if names_rows:
            axes.text(-1.22, size / 2, "first augmentation", rotation=90, fontsize=9.5, **middle)


def grid_width(number: int, operations: Sequence[str], *, right: float) -> float:
    """Inches that so many matrices take, with these at the right for the bar."""
    wide, _ = _inches(operations)
    return _lefts(number, operations)[-1] + max(wide + right, _TITLE_WIDTH + 0.2)


def _lefts(number: int, operations: Sequence[str]) -> tuple[float, ...]:
    wide, _ = _inches(operations)
    step = max(wide, _TITLE_WIDTH) + _BETWEEN  # a small matrix is narrower than its title
    return tuple(_LEFT + place * step for place in range(number))


def _inches(operations: Sequence[str]) -> tuple[float, float]:
    """Width and height of a matrix with its margins."""
    span = len(operations) + _GAP + 1
    return span * _CELL_WIDTH, span * _CELL_HEIGHT


def draw_value(
    axes: Axes,
    corner: tuple[float, float],
    value: float,
    text: str,
    detail: str,
    *,
    scale: Scale,
    weight: str = "normal",
) -> None:
    """Fill a cell with the colour of its value, and write it with a detail in small print."""
    x, y = corner
    ink = scale.ink(value)
    axes.add_patch(
        Rectangle(corner, 1, 1, facecolor=scale.fill(value), edgecolor="white", linewidth=1.6)
    )
    axes.text(x + 0.5, y + (0.38 if detail else 0.5), text, ha="center", va="center", fontsize=11,
              color=ink, weight=weight)  # fmt: skip
    if detail:
        lines = detail.replace(" · ", "\n")
        size = 6.5 if "\n" not in lines else 5.6
        axes.text(x + 0.5, y + 0.72, lines, ha="center", va="center", fontsize=size, color=ink,
                  linespacing=1.0)  # fmt: skip


def draw_no_mean(axes: Axes, corner: tuple[float, float]) -> None:
    """A margin of cells that have no result."""
    x, y = corner
    axes.add_patch(Rectangle(corner, 1, 1, facecolor="#f6f7f9", edgecolor="white", linewidth=1.6))
    axes.text(x + 0.5, y + 0.5, "–", ha="center", va="center", color=QUIET)


def outline(axes: Axes, corner: tuple[float, float], *, width: float) -> None:
    """Set a cell apart by a dark line of this many points, seen on dark and light cells."""
    for colour, points in (("white", 2 * width), (INK, width)):
        axes.add_patch(
            Rectangle(corner, 1, 1, fill=False, edgecolor=colour, linewidth=points,
                      joinstyle="miter", clip_on=False, zorder=4)
        )  # fmt: skip
