"""Trials frames to the numbers of Table 2: methods on shares of the labels."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from analysis.cells import (
    Cell,
    Panel,
    TrialRows,
    Trials,
    cells,
    chance_level,
    taken_apart,
    untrained_estimate,
)
from analysis.clips import clips_of, shortfalls
from analysis.protocol import place_differences
from analysis.published import PaperDataset, label_fraction, paper_dataset
from analysis.stats import Estimate, paired_difference
from analysis.tables import Entry, entry_fields, make_entry


class LabelRow(NamedTuple):
    """One method on every labelled share."""

    method: str
    budget: str | None  # steps: as many steps an epoch as with all labels
    entries: tuple[Entry, ...]  # one a share; a method without labels has one for all

    @property
    def spans(self) -> bool:
        """Whether its one entry stands for all shares."""
        return self.method == "simclr"

    def at(self, place: int) -> Entry:
        """Its entry in a column."""
        return self.entries[0 if self.spans else place]


class Lead(NamedTuple):
    """Which method leads on one labelled share; leader and second are chosen on validation."""

    share: float
    leader: LabelRow
    second: LabelRow
    difference: Estimate  # of test top-1, paired by seed


class LabelTable(NamedTuple):
    """Table 2: methods on labelled shares, of one panel and chain."""

    panel: Panel
    chain: tuple[str, ...]
    shares: tuple[float, ...]  # descending
    rows: tuple[LabelRow, ...]
    paper: PaperDataset | None
    untrained: Estimate
    chance: float | None
    leads: tuple[Lead, ...]  # for the shares where two methods have a result


def label_tables(trials: Trials) -> list[LabelTable]:
    """Table 2 once for each panel and chain."""
    tables, rows = [], taken_apart(trials)
    for panel in rows.panels:
        found = cells(rows, panel)
        untrained = untrained_estimate(rows, panel)
        for chain in dict.fromkeys(cell.chain for cell in found):
            chosen = [cell for cell in found if cell.chain == chain]
            tables.append(_label_table(rows, panel, chosen, untrained))
    return tables


def _label_table(
    trials: TrialRows, panel: Panel, found: Sequence[Cell], untrained: Estimate
) -> LabelTable:
    chain = found[0].chain
    with_labels = [cell.label_fraction for cell in found if cell.label_fraction is not None]
    shares = tuple(sorted(set(with_labels), reverse=True))
    clips = clips_of(trials.named(trial for cell in found for trial in cell.ids))
    is_part = bool(shortfalls(panel.dataset, clips.get(panel.dataset, ())))
    paper = paper_dataset(panel.dataset, is_part=is_part)
    # Section 6 takes the ten digits alone.
    paper = paper if paper and paper.name == "SC-10" else None
    is_papers = paper is not None and paper.is_same and not place_differences(panel.encoder, chain)
    rows = tuple(
        row for method, budget in _LABEL_ROWS
        if (row := _label_row(method, budget, shares, found, paper, is_papers))
    )  # fmt: skip
    rows = _mark_best(rows, shares)
    leads = [_lead(share, place, rows) for place, share in enumerate(shares)]
    return LabelTable(
        panel=panel,
        chain=chain,
        shares=shares,
        rows=rows,
        paper=paper,
        untrained=untrained,
        chance=chance_level(panel.dataset),
        leads=tuple(lead for lead in leads if lead is not None),
    )


# As the paper's rows; the second, which it does not have, where a sweep runs it.
_LABEL_ROWS = (("supervised", "epochs"), ("supervised", "steps"), ("simclr", None), ("clar", None))


def _label_row(
    method: str,
    budget: str | None,
    shares: Sequence[float],
    found: Sequence[Cell],
    paper: PaperDataset | None,
    is_comparable: bool,
) -> LabelRow | None:
    own = [cell for cell in found if cell.method == method]
    if budget is not None:
        named = {cell.supervised_budget for cell in own} - {None}
        if budget not in named and (named or budget == "steps"):
            return None
        # With all labels the two budgets are one.
        own = [cell for cell in own if cell.supervised_budget in (budget, None)]
    if not own:
        return None
    prints = paper is not None and budget != "steps"
    entries = []
    for share in (None,) if method == "simclr" else shares:
        cell = next((cell for cell in own if cell.label_fraction == share), None)
        published = label_fraction(method, share) if prints else None
        entries.append(make_entry(cell, published, is_comparable=is_comparable))
    return LabelRow(method, budget, tuple(entries))


def _mark_best(rows: Sequence[LabelRow], shares: Sequence[float]) -> tuple[LabelRow, ...]:
    """Mark the leader of every share; one entry that spans all is marked where it leads all."""
    leaders = [ranked[0].at(place).cell if (ranked := _ranked(place, rows)) else None
               for place in range(len(shares))]  # fmt: skip
    marked = []
    for row in rows:
        leads = [
            leader is not None and row.at(place).cell is leader
            for place, leader in enumerate(leaders)
        ]
        chosen = [bool(leads) and all(leads)] if row.spans else leads
        entries = zip(row.entries, chosen, strict=True)
        marked.append(
            row._replace(entries=tuple(entry._replace(is_best=best) for entry, best in entries))
        )
    return tuple(marked)


def _ranked(place: int, rows: Sequence[LabelRow]) -> list[LabelRow]:
    """Rows with a result on a share, the highest on validation first; rows of one cell are one."""
    found: dict[tuple[str, ...], tuple[float, LabelRow]] = {}
    for row in rows:
        cell = row.at(place).cell
        if cell is not None and cell.valid.n:
            found.setdefault(cell.ids, (cell.valid.mean, row))
    return [row for _, row in sorted(found.values(), key=lambda pair: -pair[0])]


def _lead(share: float, place: int, rows: Sequence[LabelRow]) -> Lead | None:
    match _ranked(place, rows):
        case [leader, second, *_]:
            one, two = leader.at(place).cell, second.at(place).cell
            assert one is not None
            assert two is not None
            return Lead(share, leader, second, paired_difference(one.by_seed, two.by_seed))
        case _:
            return None


def label_frame(tables: Sequence[LabelTable]) -> pd.DataFrame:
    """Table 2 as a long table, a row a place; fractions. A method without labels has one row."""
    rows = [
        {"panel": table.panel.label, "chain": "+".join(table.chain)}
        | {"method": row.method, "supervised_budget": row.budget}
        | {"label_fraction": None if row.spans else table.shares[place]}
        | {"paper_dataset": table.paper.name if table.paper else None}
        | entry_fields(entry)
        for table in tables
        for row in table.rows
        for place, entry in enumerate(row.entries)
    ]
    return pd.DataFrame(rows)
