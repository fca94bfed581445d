"""What the seeds of a matrix say, in sentences: of the best cell, of operations, of their order."""

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.effects import Effects
from analysis.stability import RankStability
from analysis.stats import FEWEST_SEEDS, LEVEL, Contrasts
from analysis.wording import chain_codes, count, percent, points_text

_MOST_NAMED = 6


def answers(found: Effects, stability: RankStability | None) -> list[str]:
    """Sentences in the order of interest; of one seed a single one.

    Args:
        found: Of the matrix.
        stability: Of the same panel; None, or without two epochs, where that is not known.
    """
    if not found.seeds:
        return []
    if len(found.seeds) < 2:
        return ["One seed a cell: no difference between cells can be told from chance."]
    told = [*_best(found), *_main(found), _order(found), *_interactions(found)]
    if stability is not None and len(stability.epochs) > 1:
        told.append(_stability(stability))
    return told


def _best(found: Effects) -> Iterator[str]:
    winner, chosen = found.winner, found.chosen
    if winner is None or chosen is None:
        return
    name = chain_codes(list(dict.fromkeys(chosen)))
    if winner.corrected.n >= FEWEST_SEEDS:
        value = f"{percent(winner.corrected.mean)}% ± {percent(winner.corrected.half_width)}"
        cells = count(found.num_candidates, "cell")
        yield (
            f"Free of the luck of being chosen among {cells}, the pair chosen on validation has "
            f"{value} on test; {name} itself has {percent(winner.naive.mean)}%."
        )
    if winner.may_be_best is not None:
        yield _rivals(found, name, is_among=bool(winner.may_be_best[winner.cell]))


def _rivals(found: Effects, name: str, *, is_among: bool) -> str:
    rivals = found.not_told_from_best
    named = _named([chain_codes(list(dict.fromkeys(pair))) for pair in rivals])
    if not is_among:
        return f"On test {name} is told from the best cell, which may be {named}."
    told = f"{count(len(rivals), 'other cell')} may be as good: {named}."
    if not rivals:
        told = "No other cell may be as good."
    missing = len(found.operations) ** 2 - found.num_candidates
    return f"{told} {count(missing, 'cell')} without a result not counted." if missing else told


def _main(found: Effects) -> Iterator[str]:
    for side, contrasts in (("first", found.main.first), ("second", found.main.second)):
        told = [
            f"{found.operations[place]} {points_text(float(contrasts.mean[place]))}"
            for place in _sure(contrasts)
        ]
        if told:
            yield f"Applied {side}, against the mean of all cells: {', '.join(told)} points."
    if not _num_tested(found.main.first) and not _num_tested(found.main.second):
        yield "Operations cannot be compared yet: fewer than two seeds have a result in all cells."
    elif not len(_sure(found.main.first)) and not len(_sure(found.main.second)):
        yield "No operation is told from the mean of all cells."


def _order(found: Effects) -> str:
    effects = found.order.effects
    pairs, places = _num_tested(effects), _sure(effects)
    if not pairs:
        return "Orders cannot be compared yet: fewer than two seeds have both of a pair."
    if not len(places):
        return f"The order of no pair of operations is told from chance ({pairs} compared)."
    told = []
    for place in places:
        pair = (
            found.operations[found.order.first[place]],
            found.operations[found.order.second[place]],
        )
        ordered = pair if effects.mean[place] > 0 else pair[::-1]
        points = points_text(abs(float(effects.mean[place])))
        told.append(f"{chain_codes(ordered)} {points} points over the other way")
    return f"The order matters for {len(told)} of {pairs} pairs: {_named(told)}."


def _interactions(found: Effects) -> Iterator[str]:
    places = _sure(found.interactions)
    size = len(found.operations)
    told = []
    for place in places:
        first, second = divmod(int(place), size)
        pair = list(dict.fromkeys((found.operations[first], found.operations[second])))
        told.append(
            f"{chain_codes(pair)} {points_text(float(found.interactions.mean.ravel()[place]))}"
        )
    if told:
        yield f"Beyond what their operations do by themselves: {_named(told)} points."


def _num_tested(contrasts: Contrasts) -> int:
    return int(np.isfinite(contrasts.p).sum())


def _sure(contrasts: Contrasts) -> Sequence[int]:
    """Places that are told from none, the largest difference first."""
    p, mean = contrasts.p_holm.ravel(), contrasts.mean.ravel()
    places = np.flatnonzero(p < LEVEL)
    ranked: list[int] = places[np.argsort(-np.abs(mean[places]), kind="stable")].tolist()
    return ranked


def _stability(found: RankStability) -> str:
    last, before = found.epochs[-1], found.epochs[-2]
    if not np.isfinite(found.mean.mean[-1]):
        return f"At epoch {last} the cells do not differ, so that there is no ranking."
    if found.stable_from is None or found.stable_from == last:
        return (
            f"The ranking of the cells changes until the end: at epoch {before} Kendall's tau with "
            f"that of epoch {last} is {found.mean.mean[-2]:.2f}."
        )
    return (
        f"From epoch {found.stable_from} of {last} on the ranking of the cells is that of the end "
        f"(Kendall's tau at least {found.threshold:g})."
    )


def _named(texts: Sequence[str]) -> str:
    more = len(texts) - _MOST_NAMED
    return ", ".join(texts[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
