"""What an epoch of training came to."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clar_sweeps.errors import DivergedError
from clar_sweeps.trainer.ranks import Ranks


class Epoch(NamedTuple):
    """What one epoch of training was."""

    epoch: int  # epochs trained so far
    step: int  # steps trained so far
    losses: dict[str, float]  # mean over the epoch's steps: loss, and the terms it sums up
    learning_rate: float  # of its last step
    seconds: float
    clips_per_second: float


def mean_losses(
    steps: Sequence[dict[str, Tensor]], weights: Iterable[Tensor], *, epoch: int, ranks: Ranks
) -> dict[str, float]:
    """Mean losses of an epoch after a look at all of them: the epoch's one wait for the device.

    Args:
        steps: The losses of each.
        weights: As they are after the last.
        epoch: Its number from 1.
        ranks: All go by what rank 0 sees, and so decide alike.

    Raises:
        DivergedError: A loss or a weight is not finite.
    """
    # The last update comes after the last loss, so the weights are looked at as well.
    sound = torch.stack([weight.isfinite().all() for weight in weights]).all()
    names = list(steps[0])
    values = torch.stack([losses[name].float() for losses in steps for name in names])
    *flat, all_sound = ranks.from_leader(torch.cat([values, sound.float()[None]])).tolist()
    rows = [flat[i : i + len(names)] for i in range(0, len(flat), len(names))]
    for number, row in enumerate(rows):
        if not math.isfinite(row[0]):
            raise DivergedError(f"loss is {row[0]}", epoch=epoch, step=number + 1)
    if not all_sound:
        raise DivergedError("a weight is not finite", epoch=epoch, step=len(rows))
    columns = zip(*rows, strict=True)
    return {
        name: math.fsum(column) / len(rows) for name, column in zip(names, columns, strict=True)
    }
