"""Matrices of ordered pairs side by side, as in Figure 4."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.figures.colour_bar import Scale, draw_colour_bar, scale_of
from analysis.figures.drawing import (
    FAINT,
    INK,
    QUIET,
    Drawing,
    draw_footnote,
    footnote_height,
    footnote_lines,
    render,
    style,
)
from analysis.frames import TEST_METRICS
from analysis.matrices import PairMatrix
from analysis.wording import (
    METRIC_NAMES,
    cell_detail,
    cell_text,
    chain_codes,
    count,
    margin_detail,
    operation_name,
    paper_matrix_text,
    percent,
    setting_text,
    title_text,
)

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


def draw_matrices(
    matrices: Sequence[PairMatrix], name: str, *, note: str = "", is_aside: bool = False
) -> Drawing:
    """Draw matrices of one metric side by side, on one scale of colours, as in Figure 4.

    Args:
        matrices: Left to right.
        name: Of the files.
        note: What stands at the foot.
        is_aside: Fold it away on the page.
    """
    labels = "; ".join(matrix.panel.label for matrix in matrices)
    caption = f"Test top-1 of all pairs, {METRIC_NAMES[matrices[0].metric]}: {labels}"
    with style(name):
        return render(_matrices_figure(matrices, note), name, caption, is_aside=is_aside)


def _matrices_figure(matrices: Sequence[PairMatrix], note: str) -> Figure:
    size = len(matrices[0].operations)
    span = size + 1 + GAP
    wide, high = span * CELL_WIDTH, span * CELL_HEIGHT
    left, between, right, top, bottom = 1.25, 0.85, 1.75, 1.42, 0.86
    step = max(wide, TITLE_WIDTH) + between  # a small matrix is narrower than its title
    last = left + (len(matrices) - 1) * step
    width = last + max(wide + right, TITLE_WIDTH + 0.2)
    lines = footnote_lines(note, width)
    bottom += footnote_height(lines)
    height = top + high + bottom
    figure = Figure(figsize=(width, height), facecolor="white")
    scale = scale_of(matrices)
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
        draw_colour_bar(figure, axes, matrices, scale)
    draw_footnote(figure, lines)
    return figure


def _draw_matrix(axes: Axes, matrix: PairMatrix, scale: Scale | None, *, names_rows: bool) -> None:
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


def _draw_cell(axes: Axes, matrix: PairMatrix, i: int, j: int, scale: Scale | None) -> None:
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
    scale: Scale | None,
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
        f"{setting_text(matrix.panel)}test top-1 (%), {METRIC_NAMES[matrix.metric]} · "
        f"{count(matrix.panel.epochs, 'epoch')} · {seeds}"
    )
    figure.text(x, y, title, ha="left", va="top", fontsize=12, weight="bold")
    figure.text(x, y - line, how, ha="left", va="top", fontsize=9, color=QUIET)


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
    if matrix.metric == TEST_METRICS[0]:
        notes.append(f"{paper_matrix_text(matrix.panel.encoder)}.")
    for number, note in enumerate(notes):
        figure.text(x, y - number * line, note, ha="left", va="top", fontsize=8, color=QUIET)
