"""The paper's claims in words as contrasts of a run's cells, paired over seeds.

A contrast is positive where the claim holds. Each is a mean over seeds of a difference within a
seed, for the cells of one seed share their initial weights and the order of their data.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from analysis.cells import Cell
from analysis.curves import Evaluations
from analysis.input_table import Column, InputRow, InputTable
from analysis.label_table import LabelTable
from analysis.protocol import (
    Difference,
    operation_differences,
    place_differences,
    row_differences,
    share_differences,
)
from analysis.stats import Estimate, estimate, paired_difference
from analysis.studies import LabelStudy, Section
from analysis.wording import ENCODER_NAMES, percent, points_text, share_text

# Section 4, in the words of Figure 4.
_LEADERS = {"resnet18_1d": ("FD", "TST", "PS"), "resnet18_2d": ("FD", "TM", "TS")}


class Finding(NamedTuple):
    """One claim and what a run says of it."""

    place: str  # in the paper
    claim: str
    contrast: Estimate  # positive where it holds; n 0 without a result
    told: str  # the numbers of it, in words
    cells: Sequence[Cell]  # that bear on it
    places: Sequence[Difference] = ()  # how their place is not the paper's


BySeed = Mapping[int, float]


def seed_means(cells: Sequence[Cell]) -> dict[int, float]:
    """Mean over cells within each seed that all of them have."""
    return _within_seeds(cells, lambda values: math.fsum(values) / len(values))


def seed_maxima(cells: Sequence[Cell]) -> dict[int, float]:
    """Highest of the cells within each seed that all of them have, as of the paper's single run."""
    return _within_seeds(cells, max)


def _within_seeds(
    cells: Sequence[Cell], of: Callable[[Sequence[float]], float]
) -> dict[int, float]:
    if not cells:
        return {}
    seeds = set.intersection(*(set(cell.by_seed) for cell in cells))
    return {seed: of([cell.by_seed[seed] for cell in cells]) for seed in sorted(seeds)}


def _mean(values: BySeed) -> float:
    return estimate(list(values.values())).mean


def pair_claims(sections: Sequence[Section]) -> Iterator[Finding]:
    """The claims of section 4 on the matrices of one dataset."""
    for section in sections:
        name = ENCODER_NAMES[section.panel.encoder].partition(" (")[0]
        yield _pairs_over_singles(section, name)
        leaders = _LEADERS[section.panel.encoder]
        if set(leaders) < set(section.matrices[0].operations):
            yield _leaders(section, name, leaders)
    both = {section.panel.encoder: section.cells for section in sections}
    if len(both) == 2:
        one, two = both["resnet18_1d"], both["resnet18_2d"]
        yield _against(
            "on average the 1-D encoder does better", "1-D", "2-D",
            seed_means(one), seed_means(two), [*one, *two], place="section 4",
            places=operation_differences(sections[0].matrices[0].operations),
        )  # fmt: skip
        yield _against(
            "the 2-D encoder has the highest cell", "2-D", "1-D",
            seed_maxima(two), seed_maxima(one), [*one, *two], place="section 4",
            places=operation_differences(sections[0].matrices[0].operations),
        )  # fmt: skip


def _against(
    claim: str, name: str, other: str, values: BySeed, others: BySeed, cells: Sequence[Cell],
    *, place: str, places: Sequence[Difference] = (),
) -> Finding:  # fmt: skip
    told = f"{name} {percent(_mean(values))}, {other} {percent(_mean(others))}"
    return Finding(place, claim, paired_difference(values, others), told, cells, places)


def _pairs_over_singles(section: Section, name: str) -> Finding:
    singles = [cell for cell in section.cells if cell.first == cell.second]
    pairs = [cell for cell in section.cells if cell.first != cell.second]
    return _against(
        f"pairs do better than operations alone, {name}", "pairs", "alone",
        seed_means(pairs), seed_means(singles), section.cells, place="section 4",
        places=operation_differences(section.matrices[0].operations),
    )  # fmt: skip


def _leaders(section: Section, name: str, leaders: Sequence[str]) -> Finding:
    """Whether the least of the leaders is above the best other operation.

    Each by the mean of the cells that have it, first or second.
    """
    operations = section.matrices[0].operations
    scores = {
        operation: seed_means(
            [cell for cell in section.cells if operation in (cell.first, cell.second)]
        )
        for operation in operations
    }
    others = [operation for operation in operations if operation not in leaders]
    seeds = sorted(set.intersection(*(set(values) for values in scores.values())))
    contrast = estimate(
        [
            min(scores[operation][seed] for operation in leaders)
            - max(scores[operation][seed] for operation in others)
            for seed in seeds
        ]
    )
    ranked = sorted(operations, key=lambda operation: -_mean(scores[operation])) if seeds else []
    told = f"here {', '.join(ranked[: len(leaders)])} lead" if ranked else ""
    claim = f"{', '.join(leaders)} are the best operations, {name}"
    places = operation_differences(operations)
    return Finding("section 4", claim, contrast, told, section.cells, places)


def input_claims(table: InputTable) -> Iterator[Finding]:
    """The claims of section 5, on each dataset."""
    for place, column in enumerate(table.columns):
        yield from _dataset_claims(table, place, column)


def _dataset_claims(table: InputTable, place: int, column: Column) -> Iterator[Finding]:
    duel = next((duel for duel in table.duels if duel.column == column), None)
    rows = [row for row in table.rows if row.entries[place].cell is not None]
    cells = [cell for row in rows if (cell := row.entries[place].cell) is not None]
    # The best of some rows is not the best of all: until each has a result there is none.
    is_whole = all(cell.valid.n for cell in cells)
    unlike = row_differences([(row.encoder, row.chain) for row in rows])
    if duel is not None and duel.difference is not None:
        contrast = duel.difference if is_whole else estimate([])
        told = f"2-D less 1-D: {points_text(contrast.mean)}" if contrast.n else ""
        claim = f"2-D input does better than 1-D on {column.label}"
        yield Finding("section 5", claim, contrast, told, cells, unlike)
    fade_mask = _cell(table.rows, ("FD", "TM"), place)
    with_shift = _cell(table.rows, ("FD", "TM", "TS"), place)
    rivals = [cell for cell in cells if cell is not fade_mask]
    if fade_mask is not None and rivals and is_whole:
        best = max(rivals, key=lambda cell: cell.valid.mean)
        yield _against(
            f"2-D with FD → TM does best on {column.label}", "FD → TM", "best other",
            fade_mask.by_seed, best.by_seed, cells, place="section 5", places=unlike,
        )  # fmt: skip
    if fade_mask is not None and with_shift is not None:
        yield _against(
            f"a third operation does not help on {column.label}", "FD → TM", "with TS",
            fade_mask.by_seed, with_shift.by_seed, [fade_mask, with_shift], place="section 5",
        )  # fmt: skip


def _cell(rows: Sequence[InputRow], chain: tuple[str, ...], place: int) -> Cell | None:
    named = (row for row in rows if (row.encoder, row.chain) == ("resnet18_2d", chain))
    return next((row.entries[place].cell for row in named), None)


def label_claims(study: LabelStudy) -> Iterator[Finding]:
    """The claims of section 6."""
    table = study.table
    at = {
        (row.method, share): cell
        for row in table.rows
        if row.budget != "steps"
        for place, share in enumerate(table.shares)
        if (cell := row.at(place).cell) is not None
    }
    for contrast in (_best_with_all_labels, _loses_less, _below_at_fewest, _learns_faster):
        yield from contrast(study, at)


_At = Mapping[tuple[str, float], Cell]


def _places(table: LabelTable) -> list[Difference]:
    return place_differences(table.panel.encoder, table.chain)


def _best_with_all_labels(study: LabelStudy, at: _At) -> Iterator[Finding]:
    clar = at.get(("clar", 1.0))
    for method, name in (("supervised", "supervised training"), ("simclr", "SimCLR")):
        other = at.get((method, 1.0))
        if clar is not None and other is not None:
            yield _against(
                f"with all labels CLAR does better than {name}", "CLAR", name, clar.by_seed,
                other.by_seed, [clar, other], place="section 6.1", places=_places(study.table),
            )  # fmt: skip


def _loses_less(study: LabelStudy, at: _At) -> Iterator[Finding]:
    most, fewest = max(study.table.shares, default=1.0), min(study.table.shares, default=1.0)
    ends = [
        at.get((method, share)) for method in ("clar", "supervised") for share in (most, fewest)
    ]
    cells = [cell for cell in ends if cell is not None]
    if most == fewest or len(cells) < len(ends):
        return
    clar, supervised = (
        {seed: one.by_seed[seed] - two.by_seed[seed] for seed in one.by_seed if seed in two.by_seed}
        for one, two in (cells[:2], cells[2:])
    )
    told = f"CLAR loses {percent(_mean(clar))} points, supervised {percent(_mean(supervised))}"
    claim = f"from {share_text(most)} to {share_text(fewest)} of the labels CLAR loses less"
    contrast = paired_difference(supervised, clar)
    places = [*_places(study.table), *share_differences(most, fewest)]
    yield Finding("section 6.1", claim, contrast, told, cells, places)


def _below_at_fewest(study: LabelStudy, at: _At) -> Iterator[Finding]:
    clar, simclr = at.get(("clar", 0.01)), at.get(("simclr", 0.01))
    if clar is not None and simclr is not None:
        yield _against(
            "with 1% of the labels CLAR falls behind SimCLR", "SimCLR", "CLAR", simclr.by_seed,
            clar.by_seed, [clar, simclr], place="section 6.1", places=_places(study.table),
        )  # fmt: skip


def _learns_faster(study: LabelStudy, at: _At) -> Iterator[Finding]:
    clar, simclr = at.get(("clar", 1.0)), at.get(("simclr", 1.0))
    if clar is not None and simclr is not None:
        yield _against(
            "CLAR learns faster than SimCLR (mean over the epochs of Figure 5)", "CLAR", "SimCLR",
            _over_epochs(clar, study.evaluated), _over_epochs(simclr, study.evaluated),
            [clar, simclr], place="section 6.2", places=_places(study.table),
        )  # fmt: skip


def _over_epochs(cell: Cell, evaluated: Evaluations) -> dict[int, float]:
    """Mean of test top-1 over the evaluated epochs, by seed; of trials that are done."""
    by_seed = {}
    for trial, seed in zip(cell.ids, cell.seeds, strict=True):
        values = [value for _, value in evaluated.get(trial, ())]
        if values and seed in cell.by_seed:
            by_seed[seed] = math.fsum(values) / len(values)
    return by_seed
