"""Draws matrices and gains; computes no result.

Figures are built on `Figure` itself, without pyplot, so that no global state is left behind, and
equal numbers give equal bytes.
"""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from analysis.matrices import Cell, PairMatrix, Panel
from analysis.wording import (
    METRIC_NAMES,
    cell_detail,
    cell_text,
    chain_codes,
    count,
    margin_detail,
    operation_name,
    percent,
    title_text,
)

DPI = 200
# Perceptually uniform, and read alike with all common kinds of colour blindness.
COLOURS = "viridis"
INK, QUIET, FAINT = "#1b1f24", "#5b6470", "#c9ced6"
# Fill, hatch and ink of a cell without a result: none of them is a colour of the scale.
NO_RESULT = {
    "missing": ("#ffffff", "///", "#dfe3e8", QUIET),
    "unfinished": ("#eceef1", "", FAINT, QUIET),
    "failed": ("#fde3e1", "xxx", "#f3b5b0", "#b3261e"),
    "diverged": ("#fdebd3", "....", "#eec38b", "#96540a"),
}
# Inches.
CELL_WIDTH, CELL_HEIGHT = 0.80, 0.60
# Cells between the matrix and its margins.
GAP = 0.16
TITLE_WIDTH = 4.9  # inches that a title and the notes take


class Drawing(NamedTuple):
    """One figure in both formats."""

    name: str
    panels: tuple[Panel, ...]  # left to right
    width_points: float
    png: bytes
    svg: bytes


class _Scale(NamedTuple):
    colours: Colormap
    span: Normalize

    def fill(self, value: float) -> tuple[float, float, float, float]:
        red, green, blue, alpha = self.colours(self.span(value))
        return red, green, blue, alpha

    def ink(self, value: float) -> str:
        """Dark on light cells, white on dark ones (WCAG relative luminance)."""
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in self.fill(value)[:3]
        ]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        return INK if luminance > 0.2 else "#ffffff"


@contextmanager
def _style(name: str) -> Iterator[None]:
    settings: dict[Any, Any] = {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
        "font.size": 9,
        "text.color": INK,
        "axes.linewidth": 0.0,
        "hatch.linewidth": 0.5,
        # Texts stay texts: searchable, selectable, small.
        "svg.fonttype": "none",
        # Ids would be random, and equal ones of two figures on a page would clash.
        "svg.hashsalt": name,
    }
    with mpl.rc_context(settings):
        yield


def draw_matrices(matrices: Sequence[PairMatrix], name: str) -> Drawing:
    """Draw matrices of one metric side by side, on one scale of colours, as in Figure 4."""
    with _style(name):
        return _render(_matrices_figure(matrices), name, [matrix.panel for matrix in matrices])


def draw_gains(found: Sequence[tuple[Panel, Sequence[Cell]]], name: str) -> Drawing:
    """Draw what each cell gains over the untrained encoder, the largest mean on top."""
    with _style(name):
        return _render(_gains_figure(found), name, [panel for panel, _ in found])


def _render(figure: Figure, name: str, panels: Sequence[Panel]) -> Drawing:
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return Drawing(name, tuple(panels), 72 * figure.get_figwidth(), png.getvalue(), svg.getvalue())


def _matrices_figure(matrices: Sequence[PairMatrix]) -> Figure:
    size = len(matrices[0].operations)
    span = size + 1 + GAP
    wide, high = span * CELL_WIDTH, span * CELL_HEIGHT
    left, between, right, top, bottom = 1.25, 0.85, 1.75, 1.42, 0.74
    step = max(wide, TITLE_WIDTH) + between  # a small matrix is narrower than its title
    last = left + (len(matrices) - 1) * step
    width = last + max(wide + right, TITLE_WIDTH + 0.2)
    height = top + high + bottom
    figure = Figure(figsize=(width, height), facecolor="white")
    scale = _scale(matrices)
    for number, matrix in enumerate(matrices):
        x = left + number * step
        axes = figure.add_axes((x / width, bottom / height, wide / width, high / height))
        _draw_matrix(axes, matrix, scale, names_rows=number == 0)
        _draw_title(figure, matrix, x=x / width, y=1 - 0.18 / height, line=0.24 / height)
        _draw_note(figure, matrix, x=x / width, y=(bottom - 0.2) / height, line=0.19 / height)
    if scale is not None:
        x = last + wide + 0.55
        tall = size * CELL_HEIGHT
        low = bottom + high - tall
        axes = figure.add_axes((x / width, low / height, 0.17 / width, tall / height))
        _draw_colour_bar(figure, axes, matrices, scale)
    return figure


def _scale(matrices: Sequence[PairMatrix]) -> _Scale | None:
    """Colours from the untrained level or the lowest cell up to the highest; one for all."""
    shown = [matrix.means[np.isfinite(matrix.means)] for matrix in matrices]
    cells = np.concatenate(shown)
    if not len(cells):
        return None
    levels = [matrix.untrained.mean for matrix in matrices if matrix.untrained.n]
    low, high = min([float(cells.min()), *levels]), float(cells.max())
    if high - low < 0.01:
        low, high = low - 0.005, high + 0.005
    return _Scale(mpl.colormaps[COLOURS], Normalize(low, high))


def _draw_matrix(axes: Axes, matrix: PairMatrix, scale: _Scale | None, *, names_rows: bool) -> None:
    size = len(matrix.operations)
    span = size + 1 + GAP
    margin = size + GAP
    axes.set(xlim=(0, span), ylim=(span, 0), xticks=[], yticks=[])
    axes.set_axis_off()
    for i in range(size):
        for j in range(size):
            _draw_cell(axes, matrix, i, j, scale)
    for i in range(size):
        _draw_mean(axes, (margin, i), matrix.first.means[i], matrix.first.num_cells[i], size, scale)
        _draw_mean(
            axes, (i, margin), matrix.second.means[i], matrix.second.num_cells[i], size, scale
        )
    _draw_mean(axes, (margin, margin), matrix.mean, matrix.num_cells, size**2, scale)
    if matrix.best is not None:
        _outline(axes, matrix.best)
    _name_sides(axes, matrix, names_rows=names_rows)


def _draw_cell(axes: Axes, matrix: PairMatrix, i: int, j: int, scale: _Scale | None) -> None:
    text, detail = cell_text(matrix, i, j), cell_detail(matrix, i, j)
    if matrix.num_done[i, j] and scale is not None:
        value = float(matrix.means[i, j])
        _draw_number(axes, (j, i), text, detail, fill=scale.fill(value), ink=scale.ink(value))
        return
    fill, hatch, line, ink = NO_RESULT[matrix.states[i][j]]
    axes.add_patch(
        Rectangle(
            (j + 0.05, i + 0.06),
            0.9,
            0.88,
            facecolor=fill,
            edgecolor=line,
            hatch=hatch,
            linewidth=0.8,
        )
    )
    small = matrix.states[i][j] != "missing"
    axes.text(
        j + 0.5,
        i + 0.5,
        text.replace("epoch ", "epoch\n"),
        ha="center",
        va="center",
        fontsize=7.5 if small else 10,
        color=ink,
        linespacing=1.15,
        bbox={"facecolor": fill, "edgecolor": "none", "pad": 1.2},
    )


def _draw_mean(
    axes: Axes,
    corner: tuple[float, float],
    value: float,
    num_cells: int,
    size: int,
    scale: _Scale | None,
) -> None:
    if not num_cells or scale is None:
        axes.add_patch(
            Rectangle(corner, 1, 1, facecolor="#f6f7f9", edgecolor="white", linewidth=1.6)
        )
        axes.text(corner[0] + 0.5, corner[1] + 0.5, "–", ha="center", va="center", color=QUIET)
        return
    _draw_number(
        axes,
        corner,
        percent(value),
        margin_detail(int(num_cells), size),
        fill=scale.fill(value),
        ink=scale.ink(value),
        weight="bold",
    )


def _draw_number(
    axes: Axes,
    corner: tuple[float, float],
    text: str,
    detail: str,
    *,
    fill: tuple[float, float, float, float],
    ink: str,
    weight: str = "normal",
) -> None:
    x, y = corner
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=fill, edgecolor="white", linewidth=1.6))
    axes.text(
        x + 0.5,
        y + (0.38 if detail else 0.5),
        text,
        ha="center",
        va="center",
        fontsize=11,
        color=ink,
        weight=weight,
    )
    if detail:
        lines = detail.replace(" · ", "\n")
        axes.text(
            x + 0.5,
            y + 0.72,
            lines,
            ha="center",
            va="center",
            fontsize=6.5 if "\n" not in lines else 5.6,
            color=ink,
            linespacing=1.0,
        )


def _outline(axes: Axes, place: tuple[int, int]) -> None:
    i, j = place
    for colour, width in (("white", 5.0), (INK, 2.6)):
        axes.add_patch(
            Rectangle(
                (j, i),
                1,
                1,
                fill=False,
                edgecolor=colour,
                linewidth=width,
                joinstyle="miter",
                clip_on=False,
                zorder=4,
            )
        )


def _name_sides(axes: Axes, matrix: PairMatrix, *, names_rows: bool) -> None:
    size, margin = len(matrix.operations), len(matrix.operations) + GAP
    for place, code in enumerate(matrix.operations):
        name = operation_name(code)
        axes.text(place + 0.5, -0.56, code, ha="center", va="center", weight="bold")
        axes.text(
            place + 0.5,
            -0.22,
            name,
            ha="center",
            va="center",
            fontsize=6.6,
            color=QUIET,
        )
        if names_rows:
            axes.text(-0.14, place + 0.38, code, ha="right", va="center", weight="bold")
            axes.text(-0.14, place + 0.70, name, ha="right", va="center", fontsize=6.6, color=QUIET)
        else:
            axes.text(-0.12, place + 0.5, code, ha="right", va="center", weight="bold", fontsize=8)
    axes.text(margin + 0.5, -0.39, "mean", ha="center", va="center", color=QUIET)
    axes.text(-0.14, margin + 0.5, "mean", ha="right", va="center", color=QUIET)
    axes.text(size / 2, -1.0, "second augmentation", ha="center", va="center", fontsize=9.5)
    if names_rows:
        axes.text(
            -1.22,
            size / 2,
            "first augmentation",
            ha="center",
            va="center",
            rotation=90,
            fontsize=9.5,
        )


def _draw_title(figure: Figure, matrix: PairMatrix, *, x: float, y: float, line: float) -> None:
    title = title_text(matrix.panel)
    seeds = count(len(matrix.seeds), "seed") if matrix.seeds else "no result yet"
    how = (
        f"{_setting(matrix.panel)}test top-1 (%), {METRIC_NAMES[matrix.metric]} · "
        f"{count(matrix.panel.epochs, 'epoch')} · {seeds}"
    )
    figure.text(x, y, title, ha="left", va="top", fontsize=12, weight="bold")
    figure.text(x, y - line, how, ha="left", va="top", fontsize=9, color=QUIET)


def _setting(panel: Panel) -> str:
    return f"{panel.setting} · " if panel.setting else ""


def _draw_note(figure: Figure, matrix: PairMatrix, *, x: float, y: float, line: float) -> None:
    size = len(matrix.operations)
    untrained = (
        f"Untrained encoder {percent(matrix.untrained.mean)}"
        if matrix.untrained.n
        else "Untrained encoder not evaluated yet"
    )
    cells = "all" if matrix.num_cells == size**2 else f"{matrix.num_cells} of"
    mean = f"mean of {cells} {size**2} cells {percent(matrix.mean)}"
    levels = f"{untrained} · {mean if matrix.num_cells else 'no cell has a result yet'}"
    if matrix.chance is not None:
        levels += f" · chance {percent(matrix.chance)}"
    notes = [levels, "Diagonal: one augmentation alone."]
    if matrix.best is not None:
        chain = [matrix.operations[place] for place in matrix.best]
        codes = chain_codes(list(dict.fromkeys(chain)))
        notes[1] += f" Outlined: {codes}, the highest on validation."
    for number, note in enumerate(notes):
        figure.text(x, y - number * line, note, ha="left", va="top", fontsize=8, color=QUIET)


def _draw_colour_bar(
    figure: Figure, axes: Axes, matrices: Sequence[PairMatrix], scale: _Scale
) -> None:
    low, high = float(scale.span.vmin or 0), float(scale.span.vmax or 0)
    gradient = np.linspace(low, high, 256)[:, np.newaxis]
    axes.imshow(
        gradient, cmap=scale.colours, norm=scale.span, origin="lower", aspect="auto",
        extent=(0, 1, low, high), interpolation="nearest",
    )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(low, high), xticks=[])
    ticks = [
        tick
        for tick in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
        if low <= tick <= high
    ]
    digits = 0 if high - low > 0.06 else 1
    axes.set_yticks(ticks, [f"{100 * tick:.{digits}f}" for tick in ticks])
    axes.tick_params(axis="y", length=2.5, labelsize=7.5, labelcolor=QUIET, color=QUIET)
    axes.set_title("%", fontsize=8, color=QUIET, pad=5)
    _mark_levels(figure, axes, _levels(matrices), low=low, high=high)


def _levels(matrices: Sequence[PairMatrix]) -> list[tuple[float, str]]:
    """Levels to mark on the colour bar: each untrained encoder, and chance."""
    levels = []
    for matrix in matrices:
        if matrix.untrained.n:
            which = f"{matrix.panel.encoder[-2]}-D " if len(matrices) > 1 else ""
            text = f"{which}untrained\n{percent(matrix.untrained.mean)}"
            levels.append((matrix.untrained.mean, text))
    if matrices[0].chance is not None:
        levels.append((matrices[0].chance, f"chance\n{percent(matrices[0].chance)}"))
    return sorted(levels, reverse=True)


def _mark_levels(
    figure: Figure, axes: Axes, levels: Sequence[tuple[float, str]], *, low: float, high: float
) -> None:
    """Label levels beside the bar, apart from each other; those below it get an arrow."""
    # Two lines of text are 0.26 inches high, whatever the height of the bar.
    bar = axes.get_position().height * figure.get_figheight()
    step = (high - low) * 0.28 / bar
    above = math.inf
    for value, text in levels:
        inside = low <= value <= high
        place = min(value if inside else low, above - step)
        above = place
        if inside:
            axes.plot([0, 1], [value, value], color="white", linewidth=2.6, solid_capstyle="butt")
            axes.plot([0, 1], [value, value], color=INK, linewidth=1.2, solid_capstyle="butt")
            axes.plot([1.05, 1.7], [value, place], color=INK, linewidth=0.8, clip_on=False)
        else:
            text = f"↓ {text}"
        axes.text(1.9, place, text, ha="left", va="center", fontsize=7.5, linespacing=1.1)


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
        how = f"{_setting(panel)}gain of test top-1 over the untrained encoder of the same seed"
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
    return 100 * (low - (room if low < 0 else 0)), 100 * (high + room)


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
        side = 1 if gain >= 0 else -1
        axes.annotate(
            f"{gain:+.1f}".replace("-", "−"),
            (gain + side * (100 * cell.gain.half_width if cell.gain.n > 1 else 0), place),
            xytext=(7 * side, 0),
            textcoords="offset points",
            ha="left" if gain >= 0 else "right",
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
    axes.grid(axis="x", color="#e6e9ed", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlim(*reach)
    axes.set_xlabel("points of test top-1", fontsize=8.5, color=QUIET)
    return len(ranked)
