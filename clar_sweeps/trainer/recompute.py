"""Activations computed twice instead of kept, where memory is short.

The paper's batch of 1024 on clips of five seconds keeps far more activations than a GPU, or a
machine without one, has memory. Two things make them fewer. The gradient of the loss is taken with
respect to what the head gives for each view, and then one view after the other is passed through
the network again, forwards and backwards. And between the encoder's segments only their inputs
are kept; the backward pass computes the rest again. Batch norm sees the same batch each time and
counts it once, so the numbers are the same, bit for bit on a CPU.

Source: gradient checkpointing (Chen et al. 2016, arXiv:1604.06174); the order of the views is that
of gradient caching (Gao et al. 2021, arXiv:2101.06983) with whole views as its parts.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from clar_sweeps.models import ResNet18
from clar_sweeps.trainer.loading import memory_bytes

logger = logging.getLogger(__name__)

# Of the memory at hand that kept activations may fill.
_SHARE_OF_ACTIVATIONS = 0.6


def backward_by_views(
    objective: Callable[[Sequence[Any]], Tensor],
    project: Callable[[Tensor], Any],
    inputs: Sequence[Tensor],
    *,
    modules: Iterable[nn.Module],
) -> None:
    """Add the gradients of `objective([project(view) for view in inputs])` to the weights.

    Args:
        objective: Gives the loss of the outputs of all views.
        project: Gives a tensor, or a tuple of them, for one view.
        inputs: Of each view.
        modules: Those of `project`, which run their statistics.
    """
    modules = list(modules)
    with torch.no_grad(), ExitStack() as stack:
        for module in modules:
            stack.enter_context(_statistics_left_alone(module))
        outputs = [project(view) for view in inputs]
    leaves = [[tensor.detach().requires_grad_() for tensor in _parts(each)] for each in outputs]
    shaped = [
        part if isinstance(each, tuple) else part[0]
        for each, part in zip(outputs, leaves, strict=True)
    ]
    objective(shaped).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    for view, part in zip(inputs, leaves, strict=True):
        torch.autograd.backward(_parts(project(view)), [leaf.grad for leaf in part])


def _parts(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def encode_twice(encoder: ResNet18, inputs: Tensor) -> Tensor:
    """Representations as of `encoder(inputs)`; little is kept for the backward pass."""
    hidden = inputs
    for segment in encoder.segments():
        hidden = checkpoint(
            segment,
            hidden,
            use_reentrant=False,
            preserve_rng_state=False,  # an encoder draws nothing
            context_fn=_contexts(segment),
        )
    return encoder.pool(hidden)


def _contexts(
    segment: nn.Module,
) -> Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]]:
    """Contexts of the first and of the second computation."""
    return lambda: (nullcontext(), _statistics_left_alone(segment))


@contextmanager
def _statistics_left_alone(module: nn.Module) -> Iterator[None]:
    """Put the running statistics of batch norm back to what they were."""
    # Not switched off meanwhile: the second computation must keep the same tensors as the first.
    before = {buffer: buffer.clone() for buffer in module.buffers()}
    try:
        yield
    finally:
        for buffer, value in before.items():
            buffer.copy_(value)


def activation_bytes(
    modules: Iterable[nn.Module], project: Callable[[Tensor], object], inputs: Tensor
) -> int:
    """Bytes that a forward pass keeps for its backward pass.

    Args:
        modules: Those of the forward pass; their running statistics are left alone.
        project: The forward pass.
        inputs: A few of them.
    """
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with ExitStack() as stack:
        for module in modules:
            stack.enter_context(_statistics_left_alone(module))
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor))
        project(inputs)
    return sum(kept.values())


def fit_into_memory(
    kept_bytes: Callable[[Tensor], int],
    clips: Tensor,
    *,
    num_passes: int,
    largest_part: int,
    device: torch.device,
) -> bool:
    """Whether the activations of a step can be kept, by what a few clips take.

    Args:
        kept_bytes: What a forward pass over some clips keeps.
        clips: (clips,) those to train on, of which the first are tried.
        num_passes: Forward passes of a step.
        largest_part: Clips of each that a process has at most.
        device: Whose memory it is.
    """
    few, more = (kept_bytes(clips[:number]) for number in (2, 4))
    # Beside what each clip keeps there is what a pass keeps, such as weights in bfloat16.
    per_clip = (more - few) / 2 if len(clips) >= 4 else few / 2
    per_pass = max(0.0, few - 2 * per_clip)
    needed = num_passes * (per_clip * largest_part + per_pass)
    available = _SHARE_OF_ACTIVATIONS * memory_bytes(device)
    if device.type == "cpu":  # slots side by side share the memory as they share cores
        available *= min(1.0, torch.get_num_threads() / (os.cpu_count() or 1))
    if needed > available:
        logger.info(
            "activations of a step take %.1f GB, %.1f GB are at hand: computed twice, not kept",
            needed / 1e9,
            available / 1e9,
        )
    return needed <= available
