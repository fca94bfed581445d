"""Differences between two runs in words; true at any moment of either."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from analysis.comparison.cells import CellPair, Verdict, averaged
from analysis.comparison.protocols import Unlike
from analysis.stats import LEVEL, Estimate
from analysis.wording import count, percent, points_text

# Differences that stand below a headline.
_NUM_IN_SHORT = 3
_TESTED: tuple[Verdict, ...] = ("better", "worse", "not told apart")


class Tile(NamedTuple):
    """One number with its words."""

    number: str
    unit: str
    words: str


def headlines(pairs: Sequence[CellPair]) -> list[str]:
    """How many cells are better, worse or not told apart, and the mean difference."""
    shared = [pair for pair in pairs if pair.is_shared]
    if not shared:
        return ["The two runs have no cell in common, so there is nothing to compare."]
    counts = Counter(pair.verdict for pair in pairs)
    compared = [pair for pair in shared if pair.difference.n]
    if not compared:
        return [f"Of {count(len(shared), 'shared cell')} none has a seed with a result in both."]
    told = [_tested(counts, shared), _single(compared), _mean(compared), _absent(counts)]
    return [sentences for sentences in told if sentences]


def _tested(counts: Counter[Verdict], shared: Sequence[CellPair]) -> str:
    number = sum(counts[name] for name in _TESTED)
    if not number:
        return ""
    which = "both runs have" if number == len(shared) else "two seeds or more allow to test"
    better, worse, open_ = (counts[name] for name in _TESTED)
    return (
        f"Of the {count(number, 'cell')} that {which}, {better} {_is(better)} better in B, "
        f"{worse} {_is(worse)} worse, and {open_} {_is(open_)} not told apart "
        f"(paired t-tests over seeds, {100 * LEVEL:g}% after Holm's correction over all cells)."
    )


def _single(compared: Sequence[CellPair]) -> str:
    """Cells with one seed in both: they are told, not tested."""
    single = [pair for pair in compared if pair.verdict == "one seed"]
    if not single:
        return ""
    where = "The runs" if len(single) == len(compared) else f"In {count(len(single), 'cell')} they"
    higher = sum(pair.difference.mean > 0 for pair in single)
    return (
        f"{where} share one seed, so there is no interval and no test: B is higher in "
        f"{count(higher, 'cell')} and lower in {len(single) - higher}."
    )


def _mean(compared: Sequence[CellPair]) -> str:
    """The mean difference."""
    if all(pair.verdict == "equal" for pair in compared):
        return ""
    difference = averaged(compared)
    over = f"On average over {count(len(compared), 'cell')}"
    if percent(abs(difference.mean)) == "0.0":
        side = "B and A lie level"
        by = f" (± {percent(difference.half_width)} points)" if difference.n > 1 else ""
    else:
        side = f"B lies {percent(abs(difference.mean))}"
        by = f" ± {percent(difference.half_width)}" if difference.n > 1 else ""
        by += f" points {'above' if difference.mean > 0 else 'below'} A"
    return f"{over} {side}{by}, {_seeds(difference)}."


def _seeds(difference: Estimate) -> str:
    match difference.n:
        case 0:
            return "without an interval, for no seed has a result in all of them"
        case 1:
            return "at one seed"
        case n:
            return f"paired over {n} seeds"


def _absent(counts: Counter[Verdict]) -> str:
    """Cells of which no difference is told."""
    told = []
    if counts["equal"]:
        cells = _cells(counts["equal"], "gives", "give")
        told.append(f"{cells} the same number in both at every shared seed.")
    if counts["no shared seed"]:
        cells = _cells(counts["no shared seed"], "has", "have")
        told.append(f"{cells} no seed with a result in both.")
    for run, number in (("A", counts["only in A"]), ("B", counts["only in B"])):
        if number:
            told.append(f"{count(number, 'cell')} {_is(number)} planned in {run} alone.")
    return " ".join(told)


def unlike_text(found: Sequence[Unlike]) -> str:
    """What differs beside the numbers, in a line that stands below the result."""
    if not found:
        return "As far as the records tell, nothing but the runs themselves differs."
    told = [
        f"{entry.words} ({entry.one or 'not told'} against {entry.two or 'not told'})"
        for entry in found
    ]
    more = len(told) - _NUM_IN_SHORT
    shown = ", ".join(told[:_NUM_IN_SHORT]) + (f", and {more} more" if more > 0 else "")
    return f"A and B also differ in {shown}."


def signed_points(fraction: float) -> str:
    """A difference in points with its sign, which zero has not."""
    text = points_text(fraction)
    return "0.0" if text in ("+0.0", "−0.0") else text


def _cells(number: int, one: str, more: str) -> str:
    return f"{count(number, 'cell')} {one if number == 1 else more}"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def difference_text(difference: Estimate) -> str:
    """A difference in points with its sign, and its interval if there is one."""
    if math.isnan(difference.mean):
        return "–"
    interval = f" ± {percent(difference.half_width)}" if difference.n > 1 else ""
    return f"{signed_points(difference.mean)}{interval}"


def p_text(p: float) -> str:
    """A p-value; a dash where nothing is tested."""
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def tiles(pairs: Sequence[CellPair]) -> list[Tile]:
    """The numbers that are read first; none where nothing is compared."""
    compared = [pair for pair in pairs if pair.difference.n]
    if not compared:
        return []
    counts = Counter(pair.verdict for pair in compared)
    mean = averaged(compared)
    interval = f" ± {percent(mean.half_width)}" if mean.n > 1 else ""
    shown = [Tile(signed_points(mean.mean), f"points{interval}", "mean of B − A")]
    words: dict[Verdict, str] = {
        "better": "better in B",
        "worse": "worse in B",
        "not told apart": "not told apart",
        "one seed": "differ at the one shared seed",
        "equal": "equal in both",
    }
    for verdict, text in words.items():
        is_asked = verdict in _TESTED and any(counts[name] for name in _TESTED)
        if counts[verdict] or is_asked:
            number = counts[verdict]
            shown.append(Tile(str(number), "cell" if number == 1 else "cells", text))
    return shown
