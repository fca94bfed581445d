"""Facts of one operation and of one chain, from the clips that they are given."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clar_sweeps import rng
from clar_sweeps.audit.contract import (
    Contract,
    Views,
    examine_contract,
    same_in_reverse_share,
    share_memory,
)
from clar_sweeps.audit.draws import NUM_DRAWN, Draws, Spread, draw, judge_draws, spreads_of
from clar_sweeps.audit.levels import (
    Distances,
    Levels,
    distances_of,
    levels_of,
    mean_distances,
    mean_levels,
)
from clar_sweeps.audit.planned import PlannedChain, PlannedOperation
from clar_sweeps.audit.replay import is_same
from clar_sweeps.augment import Chain
from clar_sweeps.config import SAMPLE_RATE
from clar_sweeps.errors import AuditError
from clar_sweeps.features import SpectralFeatures


class OperationFacts(NamedTuple):
    """What one operation does, at probability 1.

    Attributes:
        levels: Of its results.
        written_share: Clips of its input that it changed.
        returns_input: Whether its result lies in its input's buffer.
        unsteady_share: Clips that come out otherwise when the same parameters are applied again;
            of the first batch.
        draws: Repetitions of its parameters.
        spreads: How each parameter was drawn; empty where it was not asked for.
    """

    levels: Levels
    written_share: float
    returns_input: bool
    unsteady_share: float
    draws: Draws
    spreads: tuple[Spread, ...]


class Effect(NamedTuple):
    """How much a chain does, beside what any rule asks.

    Attributes:
        distances: How far views lie apart.
        same_in_reverse_share: Views of the first batch that are the same in reverse order.
    """

    distances: Distances
    same_in_reverse_share: float


class ChainFacts(NamedTuple):
    """What one chain does.

    Attributes:
        levels: Of both views.
        both_unchanged_share: Clips of which both views are the clean clip.
        contract: Breaches of what it promises, in the first batch.
        effect: How much it does; None where it was not asked for.
    """

    levels: Levels
    both_unchanged_share: float
    contract: Contract
    effect: Effect | None


def examine_operation(
    planned: PlannedOperation, batches: Sequence[Tensor], *, seed: int, with_spreads: bool = True
) -> OperationFacts:
    """Draw and apply an operation to every batch, from the generator of a first epoch.

    Few clips are taken again with other draws, for an operation may leave one alone by a coin of
    its own: eight of eight come to that once in 256 audits.

    Args:
        planned: Which one.
        batches: (batch, time) each; left unchanged.
        seed: A trial's.
        with_spreads: Whether to tell how parameters spread, which no rule asks.

    Raises:
        AuditError: Its results are not shaped as its input.
    """
    (operation,), backend = planned.alone.parts(), planned.alone.without_operations()
    generator = rng.generator(seed, "augment", 0)
    written, returned, levels, unsteady = [], [], [], torch.zeros(0)
    turns = math.ceil(NUM_DRAWN / sum(map(len, batches)))
    for clean in [*batches] * turns:
        batch, time = clean.shape
        parameters = operation.sample(batch=batch, time=time, generator=generator)
        given = clean.clone()
        changed = backend.apply_operation(operation, given, parameters)
        _check_shape(changed, clean, f"operation {planned.title}")
        written.append((given != clean).any(1))
        returned.append(share_memory(given, changed))
        levels.append(levels_of(clean, changed))
        if not len(unsteady):
            again = backend.apply_operation(operation, clean.clone(), parameters)
            unsteady = ~is_same(changed, again)
    drawn = draw(operation, time=batches[0].shape[1], seed=seed)
    return OperationFacts(
        levels=mean_levels(levels),
        written_share=float(torch.cat(written).double().mean()),
        returns_input=any(returned),
        unsteady_share=float(unsteady.double().mean()),
        draws=judge_draws(drawn),
        spreads=spreads_of(drawn, sample_rate=SAMPLE_RATE) if with_spreads else (),
    )


def examine_chain(
    planned: PlannedChain,
    chain: Chain,
    batches: Sequence[Tensor],
    *,
    seed: int,
    features: SpectralFeatures | None = None,
) -> ChainFacts:
    """Draw two views of every batch as a first epoch does, and hold the first to its contract.

    Args:
        planned: What the chain is to be.
        chain: What was built.
        batches: (batch, time) each; left unchanged.
        seed: A trial's.
        features: For the effect; None leaves it out.

    Raises:
        AuditError: Views are not shaped as the clips.
    """
    generator = rng.generator(seed, "augment", 0)
    first: Views | None = None
    levels, unchanged, distances = [], [], []
    for clean in batches:
        given = clean.clone()
        views = Views(clean, given, chain.two_views(given, generator))
        for view in views.both:
            _check_shape(view, clean, f"chain {planned.title}")
        first = first or views
        levels += [levels_of(clean, view) for view in views.both]
        unchanged.append(torch.stack([(view == clean).all(1) for view in views.both]).all(0))
        if features is not None:
            distances.append(distances_of(clean, views.both, features))
    assert first is not None
    return ChainFacts(
        levels=mean_levels(levels),
        both_unchanged_share=float(torch.cat(unchanged).double().mean()),
        contract=examine_contract(planned, chain, first, seed=seed),
        effect=_effect(planned, first, distances, seed=seed) if distances else None,
    )


def _effect(
    planned: PlannedChain, first: Views, distances: Sequence[Tensor], *, seed: int
) -> Effect:
    return Effect(mean_distances(distances), same_in_reverse_share(planned, first, seed=seed))


def _check_shape(changed: Tensor, clean: Tensor, title: str) -> None:
    if changed.shape != clean.shape or changed.dtype != clean.dtype:
        raise AuditError(
            f"{title}: gives {tuple(changed.shape)} {changed.dtype} for {tuple(clean.shape)} "
            f"{clean.dtype}; return (batch, time) of its input, float32"
        )
