"""What a chain promises, looked for in one batch of two views."""

from collections.abc import Sequence
from itertools import chain as one_after_another
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from clar_sweeps import rng
from clar_sweeps.audit.planned import PlannedChain
from clar_sweeps.audit.replay import Step, draw_steps, explain, is_same, other_orders, replay
from clar_sweeps.augment import Chain, Operation, Part

# Clips that are gone through step by step, and those of which a part of the batch consists.
_REPLAYED, _IN_PART = 8, 4
# Of fewer views that an operation changed, equal ones may be chance.
_TELLING = 8


class Views(NamedTuple):
    """Two views of a batch, as a chain drew them; (batch, time) each.

    Attributes:
        clean: The clips, which the chain was not given.
        given: The copy of them that it was given.
        both: The views.
    """

    clean: Tensor
    given: Tensor
    both: tuple[Tensor, Tensor]


class Contract(NamedTuple):
    """Breaches of what a chain promises.

    Attributes:
        written_share: Clips that drawing views changed.
        shared_buffers: Of the three pairs among clips and views, those in one buffer.
        same_views_share: Changed clips whose views are equal; 1 where no operation ever acts.
        other_order_share: Views, of those gone through step by step, of another order.
        other_coins_share: Views on which operations acted that were not to, or did not.
        other_steps_share: Views that are neither, nor what the steps give.
        same_epochs_share: Changed views that are the same in the next epoch.
        same_seeds_share: Changed views that are the same at the next seed.
        changed_again_share: Views that differ when they are asked for again.
        changed_in_part_share: Views that differ in a part of the batch.
    """

    written_share: float
    shared_buffers: int
    same_views_share: float
    other_order_share: float
    other_coins_share: float
    other_steps_share: float
    same_epochs_share: float
    same_seeds_share: float
    changed_again_share: float
    changed_in_part_share: float


def examine_contract(planned: PlannedChain, chain: Chain, views: Views, *, seed: int) -> Contract:
    """Compare the first two views of an epoch with what they have to be.

    Args:
        planned: What the chain is to be.
        chain: What gave the views.
        views: Drawn from the generator of the seed's first epoch.
        seed: A trial's.
    """
    clean, given, both = views
    part = Part(0, min(_IN_PART, len(clean)), len(clean))

    def in_part(*, seed: int = seed, epoch: int = 0) -> Tensor:
        """Both views of the part, one above the other."""
        generator = rng.generator(seed, "augment", epoch)
        return torch.cat(chain.two_views(clean[: part.stop].clone(), generator, part))

    first, second = both
    rows = torch.cat([view[: part.stop] for view in both])
    clean_rows = clean[: part.stop].repeat(2, 1)
    changed_in_part = _share(~is_same(rows, in_part()))
    steps = _compare_steps(planned, views, seed=seed)
    return Contract(
        written_share=_share((given != clean).any(1)),
        shared_buffers=sum(share_memory(*pair) for pair in combinations((given, *both), 2)),
        same_views_share=_same_views_share(planned, first, second, clean),
        **steps._asdict(),
        same_epochs_share=_same_share(rows, in_part(epoch=1), clean_rows),
        same_seeds_share=_same_share(rows, in_part(seed=seed + 1), clean_rows),
        # Once more only where the part differs, to tell one fault from the other.
        changed_again_share=_changed_again_share(chain, views, seed) if changed_in_part else 0.0,
        changed_in_part_share=changed_in_part,
    )


def _same_views_share(planned: PlannedChain, first: Tensor, second: Tensor, clean: Tensor) -> float:
    if not planned.is_contrastive:
        return 0.0
    return _same_share(first, second, clean) if any(planned.probabilities) else 1.0


def _same_share(one: Tensor, other: Tensor, clean: Tensor) -> float:
    """Rows that are the same, of those that differ from the clean clip in either."""
    changed = ~(is_same(one, clean) & is_same(other, clean))
    same = changed & is_same(one, other)
    return int(same.sum()) / max(int(changed.sum()), min(_TELLING, len(one)))


def _changed_again_share(chain: Chain, views: Views, seed: int) -> float:
    again = chain.two_views(views.clean.clone(), rng.generator(seed, "augment", 0))
    return _share(~is_same(torch.cat(again), torch.cat(views.both)))


class _Steps(NamedTuple):
    other_order_share: float
    other_coins_share: float
    other_steps_share: float


def _compare_steps(planned: PlannedChain, views: Views, *, seed: int) -> _Steps:
    """Go through the clips on which most operations act; those on none must be as they were."""
    clean, reference = views.clean, planned.without_operations()
    links = list(zip(planned.parts(), planned.probabilities, strict=True))
    explained, idle = [], []
    for number, steps in enumerate(_draw_views(links, clean, seed=seed)):
        view = views.both[number]
        num_acting = torch.stack([step.acts for step in steps]).sum(0)
        rows = num_acting.argsort(descending=True, stable=True)[:_REPLAYED]
        # Another order of operations may draw in that order as well, or not.
        drawn = (_draw_views(other, clean, seed=seed)[number] for other in other_orders(links))
        orders = one_after_another(other_orders(steps), drawn)
        found = explain(view[rows], steps, orders, clean, rows, reference)
        explained.append(torch.stack(found))
        idle.append((view != clean).any(1)[num_acting == 0])
    by_order, by_coins, by_nothing = torch.cat(explained, dim=1)
    return _Steps(
        other_order_share=_share(by_order),
        other_coins_share=max(_share(by_coins), _share(torch.cat(idle))),
        other_steps_share=_share(by_nothing),
    )


def _draw_views(
    links: Sequence[tuple[Operation, float]], clean: Tensor, *, seed: int
) -> list[list[Step]]:
    """Steps of both views of a first batch."""
    generator = rng.generator(seed, "augment", 0)
    batch, time = clean.shape
    return [draw_steps(links, batch=batch, time=time, generator=generator) for _ in range(2)]


def same_in_reverse_share(planned: PlannedChain, views: Views, *, seed: int) -> float:
    """Share of views that the same draws give in reverse order too; 0 of one operation."""
    if len(planned.operations) < 2:
        return 0.0
    clean, reference = views.clean, planned.without_operations()
    links = list(zip(planned.parts(), planned.probabilities, strict=True))
    rows = torch.arange(len(clean))
    reverse = [
        replay(steps[::-1], clean, rows, reference)
        for steps in _draw_views(links, clean, seed=seed)
    ]
    return _share(is_same(torch.cat(views.both), torch.cat(reverse)))


def _share(claims: Tensor) -> float:
    return float(claims.double().mean()) if len(claims) else 0.0


def share_memory(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors lie in one buffer."""
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
