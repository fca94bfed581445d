"""Which parameters an optimizer decays and adapts."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

# Exact types of torch's norms: layer norm can have parameters of two dimensions.
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def parameter_groups(modules: Iterable[nn.Module], *, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters of `modules` in two groups: weights, then biases and all parameters of norms.

    The second group has weight decay 0 and `adapt` False. A parameter that modules share is
    listed once; frozen ones are left out.

    Source: the paper names no exclusions; these are SimCLR's.
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


def released_parameter_groups(
    modules: Iterable[nn.Module], *, weight_decay: float
) -> list[dict[str, Any]]:
    """Parameters of `modules` in two groups: the decayed, then those named "bias" or "bn".

    So the second group, with weight decay 0, holds all biases and the norms of a residual branch,
    but not the scales of the norms of shortcuts (`downsample.1.weight`) and heads (`1.weight`).
    A parameter that modules share is listed once; frozen ones are left out.

    Source: the authors' code, semi_supervised.py, exclude_from_wt_decay.
    """
    decayed: dict[Tensor, None] = {}  # a dict, as a set has no order
    excluded: dict[Tensor, None] = {}
    for name, parameter in (pair for module in modules for pair in module.named_parameters()):
        if parameter.requires_grad:
            group = excluded if "bias" in name or "bn" in name else decayed
            group[parameter] = None
    return [
        {"params": list(decayed), "weight_decay": weight_decay},
        {"params": list(excluded), "weight_decay": 0.0},
    ]
