"""Optimizers, which parameters they leave out, and the learning rate of every step."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from clar_sweeps.optim.groups import parameter_groups, released_parameter_groups
from clar_sweeps.optim.lars import LARS, LARSAdam
from clar_sweeps.optim.schedule import learning_rate_at, released_learning_rate_at


class _Recipe(NamedTuple):
    """An optimizer, which takes parameter groups and `lr`, and the groups that it takes."""

    build: Callable[..., Optimizer]
    groups: Callable[..., list[dict[str, Any]]]


# Fused AdamW is one kernel a group.
OPTIMIZERS: dict[str, _Recipe] = {
    "lars": _Recipe(LARS, parameter_groups),
    "adamw": _Recipe(partial(torch.optim.AdamW, fused=True), parameter_groups),
    "lars_adam": _Recipe(LARSAdam, released_parameter_groups),
}


def build_optimizer(
    name: str, modules: Iterable[nn.Module], *, learning_rate: float, weight_decay: float
) -> Optimizer:
    """Optimizer `name` over the parameters of `modules`, with biases and norms left undecayed.

    `lars_adam` leaves out what the authors' code does: see `released_parameter_groups`.

    Raises:
        ValueError: `name` is not a key of `OPTIMIZERS`.
    """
    if name not in OPTIMIZERS:
        names = ", ".join(map(repr, OPTIMIZERS))
        raise ValueError(f"optimizer: {name!r} is not one of {names}")
    recipe = OPTIMIZERS[name]
    return recipe.build(recipe.groups(modules, weight_decay=weight_decay), lr=learning_rate)


__all__ = [
    "LARS",
    "OPTIMIZERS",
    "LARSAdam",
    "build_optimizer",
    "learning_rate_at",
    "parameter_groups",
    "released_learning_rate_at",
    "released_parameter_groups",
]
