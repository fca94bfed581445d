"""Matrices of a page that one can use: cells link to trials, and a script shows seed by seed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from analysis.cells import Cell, Row
from analysis.figures import Scale, scale_of
from analysis.frames import TEST_METRICS
from analysis.studies import Section
from analysis.wording import (
    cell_detail,
    cell_text,
    chain_codes,
    margin_detail,
    operation_name,
    percent,
    points_text,
    state_text,
    value_text,
)

# Steps of the scale that the script colours cells by.
_STEPS = 64
# Steps of a scale that spans nothing still differ.


class CellView(NamedTuple):
    """One cell as it stands on the page."""

    text: str
    detail: str  # below it
    told: str  # while one stays on it
    address: str  # of the page of its first trial that has one; empty without
    state: str
    is_best: bool
    fill: str  # colour; empty without a result
    ink: str
    values: Mapping[str, Mapping[str, float]]  # by metric and seed, fractions


class RowView(NamedTuple):
    """One row: the operation applied first."""

    code: str
    name: str
    cells: tuple[CellView, ...]
    mean: str
    mean_detail: str


class MatrixView(NamedTuple):
    """One panel."""

    label: str
    columns: tuple[tuple[str, str], ...]  # code and name of the operation applied second
    rows: tuple[RowView, ...]
    means: tuple[tuple[str, str], ...]  # below the columns
    mean: str
    mean_detail: str
    seeds: tuple[int, ...]


class Palette(NamedTuple):
    """Colours in the order of the scale, and the ink that is read on each."""

    fills: tuple[str, ...]
    inks: tuple[str, ...]


def matrix_views(
    sections: Sequence[Section], rows: Mapping[str, Row], pages: Mapping[str, str]
) -> list[MatrixView]:
    """Lay the matrices of a page out.

    Args:
        sections: Panels with matrices.
        rows: Trials by id.
        pages: Address of a trial's page by id, of those that have one.
    """
    shown = [section for section in sections if section.matrices]
    scale = scale_of([section.matrices[0] for section in shown]) if shown else None
    return [_view(section, rows, pages, scale) for section in shown]


def palette(sections: Sequence[Section]) -> Palette | None:
    """The scale of a page's matrices in steps; None without any result."""
    shown = [section.matrices[0] for section in sections if section.matrices]
    scale = scale_of(shown) if shown else None
    if scale is None:
        return None
    values = np.linspace(*scale.reach, _STEPS).tolist()
    return Palette(tuple(map(scale.hex, values)), tuple(map(scale.ink, values)))


def _view(
    section: Section, rows: Mapping[str, Row], pages: Mapping[str, str], scale: Scale | None
) -> MatrixView:
    matrix, size = section.matrices[0], len(section.matrices[0].operations)
    places = {(cell.first, cell.second): cell for cell in section.cells}
    views = []
    for i, first in enumerate(matrix.operations):
        cells = []
        for j, second in enumerate(matrix.operations):
            value = float(matrix.means[i, j])
            has_result = bool(matrix.num_done[i, j]) and scale is not None
            cell = places.get((first, second))
            cells.append(
                CellView(
                    text=cell_text(matrix, i, j),
                    detail=cell_detail(matrix, i, j),
                    told=_told(cell) if cell else "not planned",
                    address=next((pages[one] for one in cell.ids if one in pages), "")
                    if cell
                    else "",
                    state=matrix.states[i][j],
                    is_best=matrix.best == (i, j),
                    fill=scale.hex(value) if scale and has_result else "",
                    ink=scale.ink(value) if scale and has_result else "",
                    values=_values(cell, rows) if cell else {},
                )
            )
        views.append(
            RowView(
                first,
                operation_name(first),
                tuple(cells),
                percent(float(matrix.first.means[i])),
                margin_detail(int(matrix.first.num_cells[i]), size),
            )
        )
    seconds = zip(matrix.second.means.tolist(), matrix.second.num_cells.tolist(), strict=True)
    return MatrixView(
        label=section.panel.label,
        columns=tuple((code, operation_name(code)) for code in matrix.operations),
        rows=tuple(views),
        means=tuple((percent(mean), margin_detail(number, size)) for mean, number in seconds),
        mean=percent(matrix.mean),
        mean_detail=margin_detail(matrix.num_cells, size**2),
        seeds=matrix.seeds,
    )


def _told(cell: Cell) -> str:
    chain = chain_codes(cell.chain)
    if not cell.estimate.n:
        return f"{chain}: {state_text(cell.state, epoch=cell.epoch, epochs=cell.epochs)}"
    told = f"{chain}: {value_text(cell.estimate)} %, validation {value_text(cell.valid)} %"
    if cell.gain.n:
        told += f", {points_text(cell.gain.mean)} points over the untrained encoder"
    return f"{told}, n {cell.estimate.n} of {cell.num_trials}"


def _values(cell: Cell, rows: Mapping[str, Row]) -> dict[str, dict[str, float]]:
    done = [rows[trial] for trial in cell.ids if rows[trial]["state"] == "done"]
    return {
        metric: {
            str(row["seed"]): round(float(row[metric]), 6)
            for row in done
            if row[metric] is not None
        }
        for metric in TEST_METRICS
    }
