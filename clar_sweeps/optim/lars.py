"""LARS around SGD with momentum, and the authors' LARS around Adam."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer


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


class LARSAdam(torch.optim.Adam):
    r"""Adam whose gradients are scaled tensor by tensor: the optimizer of the authors' code.

    For weights w with gradient g, at learning rate \gamma:

        \lambda = trust_coefficient * |w| / (|g| + weight_decay * |w| + 1e-8)
        g <- min(\lambda / \gamma, 1) * (g + weight_decay * w)

    and then a step of Adam on g, without weight decay of its own. Where |w| or |g| is zero g stays
    as it is, without weight decay. Every parameter is adapted, biases and norms too. Adam divides
    the scale of g out again: what acts is how \lambda changes from step to step. All state is
    Adam's.

    Args:
        params: Parameters, or groups of them such as `released_parameter_groups` gives.
        lr: Learning rate of the groups that name none.
        weight_decay: L2 penalty of the groups that name none.
        trust_coefficient: The wrapper's `eta`.

    Source: the authors' code, semi_supervised.py: LARSWrapper(Adam(parameters, lr=1.0)) of
    pytorch-lightning-bolts 0.2.2, whose defaults, eta 0.02, clip and eps 1e-8, it keeps; the 0.001
    and the momentum among its hyperparameters are not used. The formula is bolts' lars_scheduling;
    Adam's betas, 0.9 and 0.999, and eps, 1e-8, are torch's defaults. The paper: "LARS".
    """

    _EPS = 1e-8

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1.0,
        *,
        weight_decay: float = 1e-6,
        trust_coefficient: float = 0.02,
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, fused=True)
        self._trust_coefficient = trust_coefficient

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
        weight_decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            self._scale_gradients(group)
            group["weight_decay"] = 0.0
        try:
            super().step()
        finally:
            for group, weight_decay in zip(self.param_groups, weight_decays, strict=True):
                group["weight_decay"] = weight_decay
        return loss

    def _scale_gradients(self, group: dict[str, Any]) -> None:
        """Scale the gradients of one group in place, as bolts does."""
        weights = [weight for weight in group["params"] if weight.grad is not None]
        if not weights:
            return
        gradients = [weight.grad for weight in weights]
        weight_decay = group["weight_decay"]
        weight_norms = torch.stack(torch._foreach_norm(weights))
        gradient_norms = torch.stack(torch._foreach_norm(gradients))
        ratios = self._trust_coefficient * weight_norms
        ratios /= gradient_norms + weight_decay * weight_norms + self._EPS
        # At learning rate 0, that of the first step, the quotient is infinite and the scale 1.
        scales = (ratios / group["lr"]).clamp_(max=1.0)
        adapted = (weight_norms > 0) & (gradient_norms > 0)
        scales = torch.where(adapted, scales, 1.0)
        decays = torch.zeros_like(weight_norms).masked_fill_(adapted, weight_decay)
        penalties = torch._foreach_mul(weights, decays.unbind())
        torch._foreach_add_(gradients, penalties)
        torch._foreach_mul_(gradients, scales.unbind())
