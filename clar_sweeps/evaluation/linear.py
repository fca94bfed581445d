"""The linear probe: multinomial logistic regression."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

# Weight of the squared weights against the mean cross-entropy: enough for a unique optimum.
_L2 = 1e-3
_MAX_ITERATIONS = 100


def linear_probe_logits(
    representations: Tensor,
    labels: Tensor,
    queries: Mapping[str, Tensor],
    *,
    num_classes: int,
) -> dict[str, Tensor]:
    """Fit logistic regression by L-BFGS on the whole split and apply it.

    No learning rate, no batches, no draws: the optimum is a property of the representations.

    Args:
        representations: (clips, dim), standardised.
        labels: (clips,) int64.
        queries: (queries, dim) by name.
        num_classes: Number of classes.

    Returns:
        (queries, classes) logits by name.
    """
    weight = representations.new_zeros(num_classes, representations.shape[1]).requires_grad_()
    bias = representations.new_zeros(num_classes).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=_MAX_ITERATIONS, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(representations, weight, bias), labels)
        loss = loss + _L2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch gives closures no type
    with torch.no_grad():
        return {name: F.linear(query, weight, bias) for name, query in queries.items()}
