"""Pairs of cells as tables of texts, which the page and the Markdown share."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from analysis.comparison.cells import CellPair, Verdict, averaged
from analysis.comparison.wording import difference_text, p_text
from analysis.stats import Estimate
from analysis.wording import chain_codes, method_text, share_text, value_text


class Line(NamedTuple):
    """One cell: its name in one text or more, then the numbers."""

    names: tuple[str, ...]
    numbers: tuple[str, ...]  # A, B, B - A, seeds, p
    verdict: Verdict


class PanelTable(NamedTuple):
    """The cells of a panel."""

    panel: str
    names: tuple[str, ...]  # heads of the columns
    numbers: tuple[str, ...]
    lines: tuple[Line, ...]
    mean: str  # of all differences; empty for a single cell and where none has a shared seed


NUMBERS = ("A, %", "B, %", "B − A, points", "shared seeds", "p, corrected")


def panel_tables(pairs: Sequence[CellPair]) -> list[PanelTable]:
    """A table a panel, in the order of the pairs."""
    panels: dict[str, list[CellPair]] = {}
    for pair in pairs:
        panels.setdefault(pair.place.panel, []).append(pair)
    methods = {
        (pair.place.method, pair.place.supervised_budget, pair.place.label_fraction)
        for pair in pairs
    }
    has_methods = len(methods) > 1
    return [_table(panel, found, has_methods=has_methods) for panel, found in panels.items()]


def _table(panel: str, pairs: Sequence[CellPair], *, has_methods: bool) -> PanelTable:
    mean = averaged(pairs)
    return PanelTable(
        panel=panel,
        names=("operations", "method", "labels") if has_methods else ("operations",),
        numbers=NUMBERS,
        lines=tuple(_line(pair, has_methods=has_methods) for pair in pairs),
        mean=difference_text(mean) if len(pairs) > 1 and not math.isnan(mean.mean) else "",
    )


def _line(pair: CellPair, *, has_methods: bool) -> Line:
    place = pair.place
    method = method_text(place.method, place.supervised_budget)
    further = (method, share_text(place.label_fraction)) if has_methods else ()
    values = [
        _value(estimate, is_planned=config is not None)
        for estimate, config in zip(pair.means, pair.configs, strict=True)
    ]
    difference = difference_text(pair.difference)
    return Line(
        names=(chain_codes(place.chain), *further),
        numbers=(*values, difference, str(pair.difference.n), p_text(pair.p_holm)),
        verdict=pair.verdict,
    )


def _value(estimate: Estimate, *, is_planned: bool) -> str:
    if estimate.n:
        return value_text(estimate)
    return "no result" if is_planned else "not planned"
