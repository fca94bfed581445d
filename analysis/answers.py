"""What the seeds of a matrix say, in sentences: of the best cell, of operations, of their order."""

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.effects import Effects
from analysis.stability import RankStability
from analysis.stats import FEWEST_SEEDS, Contrasts
from analysis.wording import chain_codes, count, percent, points_text

# Of Holm-corrected p-values: all sentences of a kind are wrong together in one run of twenty.
SURE = 0.05
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
        cells = count(len(found.operations) ** 2, "cell")
        yield (
            f"Free of the luck of being chosen among {cells}, the pair chosen on validation has "
            f"{value} on test; {name} itself has {percent(winner.naive.mean)}%."
        )
    rivals = found.not_told_from_best
    if winner.may_be_best is not None:
        named = _named([chain_codes(list(dict.fromkeys(pair))) for pair in rivals])
        many = f"{count(len(rivals), 'other cell')} may be as good" + (
            f": {named}" if named else ""
        )
        yield f"{many}." if rivals else "No other cell may be as good."


def _main(found: Effects) -> Iterator[str]:
    for side, contrasts in (("first", found.main.first), ("second", found.main.second)):
        told = [
            f"{found.operations[place]} {points_text(float(contrasts.mean[place]))}"
            for place in _sure(contrasts)
        ]
        if told:
            yield f"Applied {side}, against the mean of all cells: {', '.join(told)} points."
    if not len(_sure(found.main.first)) and not len(_sure(found.main.second)):
        yield "No operation is told from the mean of all cells."


def _order(found: Effects) -> str:
    effects, pairs = found.order.effects, len(found.order.first)
    places = _sure(effects)
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


def _sure(contrasts: Contrasts) -> Sequence[int]:
    """Places that are told from none, the largest difference first."""
    p, mean = contrasts.p_holm.ravel(), contrasts.mean.ravel()
    places = np.flatnonzero(p < SURE)
    ranked: list[int] = places[np.argsort(-np.abs(mean[places]), kind="stable")].tolist()
    return ranked


def _stability(found: RankStability) -> str:
    last = found.epochs[-1]
    if found.stable_from is None or found.stable_from == last:
        return (
            f"The ranking of the cells changes until the end: before epoch {last} Kendall's tau "
            f"with it is below {found.threshold:g}."
        )
    return (
        f"From epoch {found.stable_from} of {last} on the ranking of the cells is that of the end "
        f"(Kendall's tau at least {found.threshold:g})."
    )


def _named(texts: Sequence[str]) -> str:
    more = len(texts) - _MOST_NAMED
    return ", ".join(texts[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
