"""Pairs of cells as matrices of differences, laid out as Figure 4."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from analysis.comparison.cells import CellPair, averaged
from analysis.stats import Estimate

Row = tuple[CellPair | None, ...]


class DifferenceMatrix(NamedTuple):
    """B - A of all ordered pairs of k operations; None where neither run plans the pair."""

    panel: str
    operations: tuple[str, ...]
    cells: tuple[Row, ...]  # (k, k): row applied first, column second, diagonal one alone
    first: tuple[Estimate, ...]  # (k,) means of rows, paired over the seeds that all cells have
    second: tuple[Estimate, ...]  # (k,) means of columns
    mean: Estimate  # of all cells

    @property
    def pairs(self) -> list[CellPair]:
        """Its cells, row by row."""
        return [pair for row in self.cells for pair in row if pair is not None]


def difference_matrices(
    pairs: Iterable[CellPair], operations: Sequence[str]
) -> list[DifferenceMatrix]:
    """A matrix a panel, in the order of the pairs; chains of other lengths are in none."""
    panels: dict[str, dict[tuple[str, str], CellPair]] = {}
    for pair in pairs:
        match pair.place.chain:
            case (only,):
                panels.setdefault(pair.place.panel, {})[only, only] = pair
            case (first, second):
                panels.setdefault(pair.place.panel, {})[first, second] = pair
    return [_matrix(panel, found, operations) for panel, found in panels.items()]


def _matrix(
    panel: str, found: dict[tuple[str, str], CellPair], operations: Sequence[str]
) -> DifferenceMatrix:
    rows = tuple(tuple(found.get((one, two)) for two in operations) for one in operations)
    return DifferenceMatrix(
        panel=panel,
        operations=tuple(operations),
        cells=rows,
        first=tuple(averaged(filter(None, row)) for row in rows),
        second=tuple(averaged(filter(None, column)) for column in zip(*rows, strict=True)),
        mean=averaged(pair for row in rows for pair in row if pair is not None),
    )
