"""Batch norm over the clips of several processes, as if one had them all."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

# Takes a tensor, (n,), gives those of all processes in their order, (processes, n).
GatherRows = Callable[[Tensor], Tensor]


class GlobalBatchNorm(_BatchNorm):
    """A batch norm whose statistics in training are those of all processes' inputs together.

    Names and tensors of its state are those of the norm it replaces, so a checkpoint of many
    processes is one of a single process. Every process must call it as often as the others,
    forwards and backwards. torch's own, `SyncBatchNorm`, knows GPUs only.

    Args:
        norm: Whose parameters and running statistics it takes over, not a copy of them.
        gather: Brings the processes' statistics together.

    Source: Ioffe and Szegedy 2015; parts are combined as by Chan et al. 1979, which loses nothing
    to cancellation.
    """

    def __init__(self, norm: _BatchNorm, gather: GatherRows) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.training = norm.training
        self.gather = gather

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return super().forward(inputs)
        outputs, mean, variance, count = _Normalise.apply(  # type: ignore[no-untyped-call]  # torch leaves it untyped
            inputs, self.weight, self.bias, self.eps, self.gather
        )
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        normalised: Tensor = outputs
        return normalised

    def _check_input_dim(self, input: Tensor) -> None:
        """Serves 1-D and 2-D alike."""


def use_global_batch_norm(module: nn.Module, gather: GatherRows) -> None:
    """Put a `GlobalBatchNorm` in the place of each batch norm inside a module."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, GlobalBatchNorm(child, gather))
        else:
            use_global_batch_norm(child, gather)


class _Normalise(torch.autograd.Function):
    """Normalise by the statistics of all processes; also gives them, without gradients."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, eps: float, gather: GatherRows
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # Of the type of what would be updated: float32, also where the inputs are bfloat16.
        unused = torch.zeros_like(weight), torch.zeros_like(weight)
        own_mean, own_variance = torch.batch_norm_update_stats(inputs, *unused, 0.0)
        per_channel = inputs.numel() // inputs.shape[1]
        count = torch.full((1,), per_channel, dtype=torch.float64, device=inputs.device)
        # float64: the counts of one large batch are beyond what float32 holds exactly.
        rows = gather(torch.cat([own_mean.double(), own_variance.double(), count]))
        means, variances, counts = torch.split(rows, [inputs.shape[1], inputs.shape[1], 1], dim=1)
        total = counts.sum()
        mean = (counts * means).sum(0) / total
        variance = (counts * (variances + (means - mean).square())).sum(0) / total
        mean, variance = mean.to(own_mean.dtype), variance.to(own_mean.dtype)
        ctx.save_for_backward(inputs, weight, mean, variance, total)
        ctx.eps, ctx.gather = eps, gather
        ctx.mark_non_differentiable(mean, variance, total)
        # With statistics given, torch's own norm is the affine map that remains to be done.
        outputs = F.batch_norm(inputs, mean, variance, weight, bias, False, 0.0, eps)
        return outputs, mean, variance, total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        inputs, weight, mean, variance, total = ctx.saved_tensors
        # As if the statistics were constants; what they add follows.
        of_inputs, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, inputs, weight, mean, variance, None, None, False, ctx.eps, [True] * 3
        )
        sums = ctx.gather(torch.cat([of_weight, of_bias]).double()).sum(0)
        all_of_weight, all_of_bias = torch.split(sums, len(mean))
        scale = (variance.double() + ctx.eps).rsqrt()
        slope = -weight * scale.square() * all_of_weight / total
        offset = -weight * scale * all_of_bias / total - mean * slope
        shape = (1, -1, *[1] * (inputs.ndim - 2))
        slope, offset = (each.to(mean.dtype).view(shape) for each in (slope, offset))
        of_inputs = of_inputs.to(mean.dtype).addcmul_(inputs, slope).add_(offset)
        # The process's own sums: those of all are added up with the other gradients.
        return of_inputs.to(inputs.dtype), of_weight, of_bias, None, None
