"""Matrices of ordered pairs side by side, as in Figure 4."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.figures.colours import Scale, scale_of
from analysis.figures.drawing import (
    FAINT,
    INK,
    QUIET,
    Drawing,
    draw_footnote,
    draw_title,
    footnote_height,
    footnote_lines,
    render,
    style,
)
from analysis.figures.pair_grid import PairGrid, draw_no_mean, draw_value, grid_width, outline
from analysis.frames import TEST_METRICS
from analysis.matrices import PairMatrix
from analysis.wording import (
    METRIC_NAMES,
    cell_detail,
    cell_text,
    chain_codes,
    count,
    margin_detail,
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

_RIGHT = 1.75  # inches, of the bar and the names of its levels


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
    operations = matrices[0].operations
    lines = footnote_lines(note, grid_width(len(matrices), operations, right=_RIGHT))
    grid = PairGrid(len(matrices), operations, right=_RIGHT, bottom=0.86 + footnote_height(lines))
    scale = scale_of(matrices)
    for place, matrix in enumerate(matrices):
        _draw_matrix(grid, place, matrix, scale)
        draw_title(grid.figure, title_text(matrix.panel), _how(matrix), left=grid.lefts[place])
        grid.draw_notes(place, _notes(matrix))
    if scale is not None:
        low, high = scale.reach
        digits = 0 if high - low > 0.06 else 1
        bar = grid.draw_bar(scale, lambda tick: f"{100 * tick:.{digits}f}", "%")
        _mark_levels(grid.figure, bar, _levels(matrices), low=low, high=high)
    draw_footnote(grid.figure, lines)
    return grid.figure


def _draw_matrix(grid: PairGrid, place: int, matrix: PairMatrix, scale: Scale | None) -> None:
    axes, margin, size = grid.axes[place], grid.margin, len(matrix.operations)
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
        i, j = matrix.best
        outline(axes, (j, i), width=2.6)


def _draw_cell(axes: Axes, matrix: PairMatrix, i: int, j: int, scale: Scale | None) -> None:
    text, detail = cell_text(matrix, i, j), cell_detail(matrix, i, j)
    if matrix.num_done[i, j] and scale is not None:
        draw_value(axes, (j, i), float(matrix.means[i, j]), text, detail, scale=scale)
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
        draw_no_mean(axes, corner)
        return
    detail = margin_detail(int(num_cells), size)
    draw_value(axes, corner, value, percent(value), detail, scale=scale, weight="bold")


def _how(matrix: PairMatrix) -> str:
    seeds = count(len(matrix.seeds), "seed") if matrix.seeds else "no result yet"
    return (
        f"{setting_text(matrix.panel)}test top-1 (%), {METRIC_NAMES[matrix.metric]} · "
        f"{count(matrix.panel.epochs, 'epoch')} · {seeds}"
    )


def _notes(matrix: PairMatrix) -> list[str]:
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
    return notes


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
