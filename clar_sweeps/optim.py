"""LARS, which parameters it adapts, and the learning rate of every step."""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

# Exact types of torch's norms: layer norm can have parameters of two dimensions.
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


class LARS(Optimizer):
    r"""SGD with momentum whose learning rate is scaled tensor by tensor.

    For weights w with gradient g, at learning rate \gamma:

        \lambda = trust_coefficient * |w| / (|g| + weight_decay * |w|)
        v <- momentum * v + \gamma * \lambda * (g + weight_decay * w)
        w <- w - v

    \lambda is 1 where |w| or |g| is zero, and in parameter groups whose key `adapt` is False.

    Args:
        params: Parameters, or groups of them such as `parameter_groups` gives.
        lr: Learning rate of the groups that name none.
        momentum: In [0, 1).
        weight_decay: L2 penalty of the groups that name none.
        trust_coefficient: Relative length of one step at learning rate 1.

    Source: You et al. 2017 (arXiv:1708.03888), algorithm 1.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1.0,
        *,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        trust_coefficient: float = 0.001,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "adapt": True,
        }
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._update(weights, group)
        return loss

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        """One step of one group; `torch._foreach_*` is the same operation on every tensor."""
        velocities = [self._velocity(weight) for weight in weights]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        updates = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
        if group["adapt"]:
            weight_norms = torch.stack(torch._foreach_norm(weights))
            gradient_norms = torch.stack(torch._foreach_norm(gradients))
            ratios = _trust_ratios(
                weight_norms,
                gradient_norms,
                weight_decay=group["weight_decay"],
                trust_coefficient=group["trust_coefficient"],
            )
            torch._foreach_mul_(updates, ratios.unbind())
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_add_(velocities, updates, alpha=group["lr"])
        torch._foreach_sub_(weights, velocities)

    def _velocity(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state["velocity"] = torch.zeros_like(weight)
        velocity: Tensor = state["velocity"]
        return velocity


def _trust_ratios(
    weight_norms: Tensor, gradient_norms: Tensor, *, weight_decay: float, trust_coefficient: float
) -> Tensor:
    ratios = trust_coefficient * weight_norms / (gradient_norms + weight_decay * weight_norms)
    return torch.where((weight_norms > 0) & (gradient_norms > 0), ratios, 1.0)


# Each takes parameter groups and `lr`. Fused AdamW is one kernel a group.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "lars": LARS,
    "adamw": partial(torch.optim.AdamW, fused=True),
}


def build_optimizer(
    name: str, modules: Iterable[nn.Module], *, learning_rate: float, weight_decay: float
) -> Optimizer:
    """Optimizer `name` over the parameters of `modules`, with biases and norms left undecayed.

    Raises:
        ValueError: `name` is not a key of `OPTIMIZERS`.
    """
    if name not in OPTIMIZERS:
        names = ", ".join(map(repr, OPTIMIZERS))
        raise ValueError(f"optimizer: {name!r} is not one of {names}")
    return OPTIMIZERS[name](parameter_groups(modules, weight_decay=weight_decay), lr=learning_rate)


def parameter_groups(modules: Iterable[nn.Module], *, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters of `modules` in two groups: weights, then biases and all parameters of norms.

    The second group has weight decay 0 and `adapt` False. A parameter that modules share is
    listed once; frozen ones are left out.

    Source: the paper names no exclusions; these are SimCLR's. The authors' code excludes by the
    names "bias" and "bn", which misses the norms of shortcuts and heads.
    """
    weights: dict[Tensor, None] = {}  # a dict, as a set has no order
    excluded: dict[Tensor, None] = {}
    for module in (child for root in modules for child in root.modules()):
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            if isinstance(module, _NORMS) or parameter.ndim < 2:
                excluded[parameter] = None
            else:
                weights[parameter] = None
    return [
        {"params": list(weights), "weight_decay": weight_decay, "adapt": True},
        {"params": list(excluded), "weight_decay": 0.0, "adapt": False},
    ]


def learning_rate_at(step: int, *, base: float, warmup_steps: int, total_steps: int) -> float:
    """Learning rate of optimizer step `step`, the first being 0.

    Rises on a line through `base / (warmup_steps + 1)` at step 0 to `base` at step `warmup_steps`,
    then falls on half a cosine that would reach 0 at step `total_steps`, one after the last.

    Raises:
        ValueError: `warmup_steps` is not in [0, total_steps], or `step` not in [0, total_steps].

    Source: CLAR (arXiv:2010.09542), section 3.2; cosine without restarts of Loshchilov and Hutter
    2016. The authors' code starts at 0, which wastes the first step.
    """
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(
            f"warmup_steps is {warmup_steps}, expected 0 to total_steps = {total_steps}"
        )
    if not 0 <= step <= total_steps:
        raise ValueError(f"step is {step}, expected 0 to total_steps = {total_steps}")
    if step == total_steps:
        return 0.0
    if step < warmup_steps:
        return base * (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return base * 0.5 * (1 + math.cos(math.pi * progress))
