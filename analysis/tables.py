"""One place of the paper's tables: our cell, the published number, and what lies between them."""

from typing import NamedTuple

from analysis.cells import Cell


class Entry(NamedTuple):
    """One place of a table: ours and the paper's."""

    cell: Cell | None  # None: the plan has no such trial
    published: float | None  # fraction; of another dataset where the column says so
    difference: float | None  # ours - published; None unless both are there and comparable
    is_best: bool = False  # of its column, on validation


def make_entry(
    cell: Cell | None, published: float | None, *, is_comparable: bool, is_best: bool = False
) -> Entry:
    """Put a cell beside the paper's number.

    Args:
        cell: Ours; None where none is planned.
        published: The paper's; None where it prints none.
        is_comparable: Both are of one dataset, encoder and chain; others have no difference.
        is_best: Of its column, on validation.
    """
    if cell is None or not cell.estimate.n or published is None or not is_comparable:
        return Entry(cell, published, None, is_best)
    return Entry(cell, published, cell.estimate.mean - published, is_best)


def entry_fields(entry: Entry) -> dict[str, object]:
    """A place as fields of a long table; fractions."""
    cell = entry.cell
    nothing = float("nan")
    return {
        "state": cell.state if cell else "not planned",
        "value": cell.estimate.mean if cell else nothing,
        "half_width": cell.estimate.half_width if cell else nothing,
        "num_done": cell.estimate.n if cell else 0,
        "num_trials": cell.num_trials if cell else 0,
        "valid": cell.valid.mean if cell else nothing,
        "published": nothing if entry.published is None else entry.published,
        "difference": nothing if entry.difference is None else entry.difference,
        "best": entry.is_best,
    }
