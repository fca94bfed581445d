"""The operations by name."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from clar_sweeps.augment.fade import apply_fade, sample_fade
from clar_sweeps.augment.noise import (
    apply_mixed_noise,
    apply_noise,
    sample_mixed_noise,
    sample_white_noise,
)
from clar_sweeps.augment.pitch_shift import apply_pitch_shift, sample_pitch_shift
from clar_sweeps.augment.time_mask import apply_time_mask, sample_time_mask
from clar_sweeps.augment.time_shift import apply_time_shift, sample_time_shift
from clar_sweeps.augment.time_stretch import apply_time_stretch, sample_time_stretch


class Sampler(Protocol):
    """Draws the parameters of a batch: a NamedTuple of tensors, (batch, ...) each."""

    def __call__(
        self, *, batch: int, time: int, generator: torch.Generator
    ) -> tuple[Tensor, ...]: ...


class Operation(NamedTuple):
    """One augmentation.

    sample: Draws parameters.
    apply: Called as `apply(waveforms, *parameters)`; with `is_vocoder` also `sample_rate=`.
    is_vocoder: Its parameters stay on the CPU, and its frames last a number of seconds.
    """

    name: str
    title: str
    sample: Sampler
    apply: Callable[..., Tensor]
    is_vocoder: bool = False


_ALL = (
    Operation("PS", "pitch shift", sample_pitch_shift, apply_pitch_shift, is_vocoder=True),
    Operation("FD", "fade in/out", sample_fade, apply_fade),
    Operation("WN", "white noise", sample_white_noise, apply_noise),
    Operation("MN", "mixed noise", sample_mixed_noise, apply_mixed_noise),
    Operation("TM", "time mask", sample_time_mask, apply_time_mask),
    Operation("TS", "time shift", sample_time_shift, apply_time_shift),
    Operation("TST", "time stretch", sample_time_stretch, apply_time_stretch, is_vocoder=True),
)
OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _ALL}
