"""A chain once more, step by step: what its views are to be, and what else they might be."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations, product
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from clar_sweeps.audit.rules import ROUNDING
from clar_sweeps.augment import Chain, Operation

# Above, there are too many orders and outcomes of coins to look for the one that was taken.
_MOST_EXPLAINED = 3


class Step(NamedTuple):
    """One operation of a view, as it was drawn for the whole batch.

    Attributes:
        operation: What acts.
        parameters: One entry a clip.
        acts: (batch,) bool: the clips that its coin gives it.
    """

    operation: Operation
    parameters: tuple[Tensor, ...]
    acts: Tensor


Link = TypeVar("Link")


def draw_steps(
    links: Iterable[tuple[Operation, float]], *, batch: int, time: int, generator: torch.Generator
) -> list[Step]:
    """Draw the steps of one view: parameters, then a coin a clip, operation by operation.

    The order of draws that `Chain` promises, written once more and apart from it.

    Args:
        links: Operations and their probabilities, in their order.
        batch: Clips.
        time: Samples of each.
        generator: All draws come from it.
    """
    steps = []
    for operation, probability in links:
        parameters = operation.sample(batch=batch, time=time, generator=generator)
        coins = torch.rand(batch, generator=generator, device=generator.device)
        steps.append(Step(operation, parameters, coins < probability))
    return steps


def replay(steps: Iterable[Step], clean: Tensor, rows: Tensor, reference: Chain) -> Tensor:
    """Apply steps to some clips of a batch, one after the other.

    Args:
        steps: In the order in which they act.
        clean: (batch, time); left unchanged, also by operations that write into their input.
        rows: (rows,) positions in the batch.
        reference: Applies a single operation by the chain's backend.

    Returns:
        (rows, time).
    """
    view = clean[rows]
    for operation, parameters, acts in steps:
        own = tuple(values[rows] for values in parameters)
        changed = reference.apply_operation(operation, view.clone(), own)
        view = torch.where(acts[rows][:, None], changed, view)
    return view


def is_same(one: Tensor, other: Tensor) -> Tensor:
    """Rows that are the same up to rounding: (rows, time) twice -> (rows,) bool; NaN never is."""
    peak = torch.maximum(one.abs().amax(1), other.abs().amax(1))
    return (one - other).abs().amax(1) <= ROUNDING * peak


class Explained(NamedTuple):
    """Rows of a view, each (rows,) bool, that are not what the steps give.

    Attributes:
        by_order: What the operations give in another order.
        by_coins: What they give with other coins.
        by_nothing: Neither.
    """

    by_order: Tensor
    by_coins: Tensor
    by_nothing: Tensor


def explain(
    view: Tensor,
    steps: Sequence[Step],
    orders: Iterable[Sequence[Step]],
    clean: Tensor,
    rows: Tensor,
    reference: Chain,
) -> Explained:
    """Find out what rows of a view are, where they are not what the steps give.

    Args:
        view: (rows, time), as the chain gave it.
        steps: As they were to be.
        orders: The steps in other orders; asked for only where a row is wrong.
        clean: (batch, time).
        rows: (rows,) positions of the view's rows in the batch.
        reference: Applies a single operation.
    """
    wrong = ~is_same(view, replay(steps, clean, rows, reference))

    def is_any_of(others: Iterable[Sequence[Step]]) -> Tensor:
        found = torch.zeros_like(wrong)
        for other in others if bool(wrong.any()) else ():
            found |= wrong & is_same(view, replay(other, clean, rows, reference))
        return found

    by_order = is_any_of(orders)
    by_coins = is_any_of(_other_coins(steps)) & ~by_order
    return Explained(by_order, by_coins, wrong & ~by_order & ~by_coins)


def other_orders(links: Sequence[Link]) -> Iterator[Sequence[Link]]:
    """What is given, in all other orders; of a long chain only in reverse."""
    if len(links) > _MOST_EXPLAINED:
        yield links[::-1]
        return
    yield from list(permutations(links))[1:]


def _other_coins(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """The same draws, with operations that act on all clips or on none."""
    if len(steps) > _MOST_EXPLAINED:
        return
    for outcome in product((False, True), repeat=len(steps)):
        yield [
            step._replace(acts=torch.full_like(step.acts, acts))
            for step, acts in zip(steps, outcome, strict=True)
        ]
