"""Matrices of Figure 4 as tables of texts, and what the paper prints of them beside ours."""

import math
from collections.abc import Sequence

from analysis.frames import ENCODER_SIZES
from analysis.layout import (
    Beside,
    TextCell,
    TextColumn,
    TextRow,
    TextTable,
    level_cell,
    published_text,
)
from analysis.matrices import PairMatrix
from analysis.published import matrix_scalar
from analysis.wording import METRIC_NAMES, cell_text, data_text, margin_detail, percent


def scalars_layout(matrices: Sequence[PairMatrix], beside: Beside) -> TextTable:
    """What the paper prints of the matrices of Figure 4, beside ours."""
    rows = []
    for matrix in matrices:
        size = ENCODER_SIZES[matrix.panel.encoder]
        best = matrix.best
        ours = float(matrix.means[best]) if best else math.nan
        highest = TextCell(percent(ours), state="done" if best else "missing")
        mean = TextCell(
            percent(matrix.mean),
            seeds="" if matrix.num_cells == matrix.means.size
            else f"{matrix.num_cells} of {matrix.means.size} cells",
            published=_paper_mean(matrix.panel.encoder),
            state="done" if matrix.num_cells else "missing",
        )  # fmt: skip
        rows.append(
            TextRow(
                f"{size} encoder",
                (
                    mean,
                    highest._replace(
                        published=published_text(matrix_scalar(matrix.panel.encoder, "max"))
                    ),
                    level_cell(matrix.untrained),
                ),
            )
        )
    return TextTable(
        name=beside.name,
        caption=f"Means and best cells of the matrices, test top-1 (%): "
        f"{data_text(matrices[0].panel)}",
        corner="matrix",
        columns=(
            TextColumn("mean of all cells"),
            TextColumn("best cell", "ours chosen on validation, the paper's highest on test"),
            TextColumn("untrained"),
        ),
        rows=tuple(rows),
        protocol=beside.protocol,
        is_papers=beside.is_papers,
        notes=beside.notes,
    )


def matrix_layout(matrix: PairMatrix, beside: Beside) -> TextTable:
    """One matrix of Figure 4 as texts, with its margins."""
    size = len(matrix.operations)
    rows = [
        TextRow(
            first,
            (
                *(_matrix_cell(matrix, i, j) for j in range(size)),
                _margin(matrix.first.means[i], matrix.first.num_cells[i], size),
            ),
        )
        for i, first in enumerate(matrix.operations)
    ]
    seconds = zip(matrix.second.means, matrix.second.num_cells, strict=True)
    corner = _margin(matrix.mean, matrix.num_cells, size**2)
    rows.append(
        TextRow("mean", (*(_margin(*second, size) for second in seconds), corner), is_result=False)
    )
    return TextTable(
        name=beside.name,
        caption=f"Test top-1 (%), {METRIC_NAMES[matrix.metric]}, of ordered pairs of operations: "
        f"{matrix.panel.label}; rows are applied first, columns second",
        corner="first / second",
        columns=tuple(TextColumn(name) for name in (*matrix.operations, "mean")),
        rows=tuple(rows),
        protocol=beside.protocol,
        is_papers=beside.is_papers,
        notes=beside.notes,
    )


def _matrix_cell(matrix: PairMatrix, i: int, j: int) -> TextCell:
    done, trials = int(matrix.num_done[i, j]), int(matrix.num_trials[i, j])
    interval = f" ± {percent(float(matrix.half_widths[i, j]))}" if done > 1 else ""
    return TextCell(
        text=cell_text(matrix, i, j) + interval,
        seeds=f"n {done} of {trials}" if 0 < done < trials else "",
        is_best=matrix.best == (i, j),
        state=matrix.states[i][j],
    )


def _margin(mean: float, num_cells: int, size: int) -> TextCell:
    return TextCell(percent(mean), seeds=margin_detail(int(num_cells), size))


def _paper_mean(encoder: str) -> str:
    mean = matrix_scalar(encoder, "mean")
    spread = matrix_scalar(encoder, "mean_plus_minus")
    return f"{percent(mean)} ± {100 * spread:.2f}" if spread is not None else percent(mean)
