"""Trials frames to the numbers of Table 1: encoders and chains on datasets."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from analysis.cells import (
    Cell,
    Panel,
    Trials,
    best_cell,
    cells,
    chance_level,
    taken_apart,
    untrained_estimate,
)
from analysis.clips import Clips, clips_of, shortfalls
from analysis.frames import dataset_label
from analysis.published import (
    PAPER_DATASETS,
    PaperDataset,
    input_fraction,
    paper_dataset,
    rows_of_table_1,
)
from analysis.settings import Nesting, includes
from analysis.stats import Estimate, estimate, paired_difference
from analysis.tables import Entry, entry_fields, make_entry


class Column(NamedTuple):
    """A dataset of Table 1."""

    label: str
    dataset: str
    condition: str | None
    folder: str | None
    paper: PaperDataset | None
    chance: float | None


class InputRow(NamedTuple):
    """One encoder trained with one chain, on every dataset."""

    encoder: str
    chain: tuple[str, ...]
    entries: tuple[Entry, ...]  # one a column


class UntrainedRow(NamedTuple):
    """One encoder before any training, on every dataset."""

    encoder: str
    estimates: tuple[Estimate, ...]  # one a column; n 0 where not evaluated


class Duel(NamedTuple):
    """The best row of each encoder on one dataset, both chosen on validation."""

    column: Column
    best: Cell
    best_encoder: str
    difference: Estimate | None  # 2-D minus 1-D, paired by seed; None unless both have a result


class InputTable(NamedTuple):
    """Table 1: encoders and chains on datasets."""

    setting: str
    columns: tuple[Column, ...]
    rows: tuple[InputRow, ...]  # the 1-D encoder first
    untrained: tuple[UntrainedRow, ...]  # an encoder each
    duels: tuple[Duel, ...]  # for the columns that have a result


def input_tables(trials: Trials) -> list[InputTable]:
    """Table 1 once for each setting of the sweep."""
    apart = taken_apart(trials)
    found = apart.panels
    columns = _columns(found)
    tables = []
    for setting in Nesting(panel.setting for panel in found).widest():
        chosen = [panel for panel in found if includes(setting, panel.setting)]
        by_place = {(_column_key(panel), panel.encoder): panel for panel in chosen}
        grid = {place: cells(apart, panel) for place, panel in by_place.items()}
        ids = {trial for found in grid.values() for cell in found for trial in cell.ids}
        clips = clips_of(apart.named(ids))
        here = tuple(
            _beside_paper(column, clips)
            for column in columns
            if any(key == column[1:4] for key, _ in grid)
        )
        best = {column.label: _best(column, grid) for column in here}
        rows = tuple(
            _input_row(encoder, chain, here, grid, best)
            for encoder in sorted({panel.encoder for panel in chosen})
            for chain in _chains(
                cell for (_, name), found in grid.items() if name == encoder for cell in found
            )
        )
        untrained = tuple(
            UntrainedRow(
                encoder,
                tuple(_untrained(apart, by_place, column, encoder) for column in here),
            )
            for encoder in sorted({panel.encoder for panel in chosen})
        )
        duels = [_duel(column, grid) for column in here]
        done = tuple(duel for duel in duels if duel is not None)
        tables.append(InputTable(setting, here, rows, untrained, done))
    return tables


_Key = tuple[str, str | None, str | None]
_Grid = dict[tuple[_Key, str], list[Cell]]


def _column_key(panel: Panel) -> _Key:
    return panel.dataset, panel.condition, panel.folder


def _columns(found: Sequence[Panel]) -> list[Column]:
    """Datasets in the paper's order, then the others as the sweep names them."""
    keys = dict.fromkeys(_column_key(panel) for panel in found)
    order = list(PAPER_DATASETS)
    ranked = sorted(keys, key=lambda key: order.index(key[0]) if key[0] in order else len(order))
    return [
        Column(dataset_label(*key), *key, paper_dataset(key[0]), chance_level(key[0]))
        for key in ranked
    ]


def _beside_paper(column: Column, clips: Mapping[str, Sequence[Clips]]) -> Column:
    """A column whose dataset is not taken for the paper's where clips are missing."""
    is_part = bool(shortfalls(column.dataset, clips.get(column.dataset, ())))
    return column._replace(paper=paper_dataset(column.dataset, is_part=is_part))


def _chains(found: Iterable[Cell]) -> list[tuple[str, ...]]:
    """Chains in the paper's order, then the others as the sweep names them."""
    order = list(dict.fromkeys(chain for _, chain in rows_of_table_1()))
    chains = dict.fromkeys(cell.chain for cell in found)
    return sorted(chains, key=lambda chain: order.index(chain) if chain in order else len(order))


def _input_row(
    encoder: str,
    chain: tuple[str, ...],
    columns: Sequence[Column],
    grid: _Grid,
    best: dict[str, Cell | None],
) -> InputRow:
    entries = []
    for column in columns:
        found = grid.get((column[1:4], encoder), [])
        cell = next((cell for cell in found if cell.chain == chain), None)
        published = input_fraction(encoder, chain, column.paper.name) if column.paper else None
        is_best = cell is not None and cell is best[column.label]
        same = column.paper is not None and column.paper.is_same
        entries.append(make_entry(cell, published, is_comparable=same, is_best=is_best))
    return InputRow(encoder, chain, tuple(entries))


def _best(column: Column, grid: _Grid) -> Cell | None:
    return best_cell(
        [cell for (key, _), found in grid.items() if key == column[1:4] for cell in found]
    )


def _untrained(
    trials: Trials, by_place: dict[tuple[_Key, str], Panel], column: Column, encoder: str
) -> Estimate:
    panel = by_place.get((column[1:4], encoder))
    return untrained_estimate(trials, panel) if panel else estimate([])


def _duel(column: Column, grid: _Grid) -> Duel | None:
    best = {
        encoder: cell
        for (key, encoder), found in grid.items()
        if key == column[1:4] and (cell := best_cell(found)) is not None
    }
    if not best:
        return None
    winner = max(best, key=lambda encoder: best[encoder].valid.mean)
    one, two = best.get("resnet18_1d"), best.get("resnet18_2d")
    difference = paired_difference(two.by_seed, one.by_seed) if one and two else None
    return Duel(column, best[winner], winner, difference)


def input_frame(tables: Sequence[InputTable]) -> pd.DataFrame:
    """Table 1 as a long table, a row a place; fractions."""
    rows = [
        {"setting": table.setting, "encoder": row.encoder, "chain": "+".join(row.chain)}
        | {"dataset": column.label, "paper_dataset": column.paper.name if column.paper else None}
        | entry_fields(entry)
        for table in tables
        for row in table.rows
        for column, entry in zip(table.columns, row.entries, strict=True)
    ]
    return pd.DataFrame(rows)
