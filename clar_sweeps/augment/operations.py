"""The operations by name, as the paper defines them and as the authors' code does."""

from collections.abc import Callable
from functools import partial
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
from clar_sweeps.augment.stretch_resample import apply_stretch_resample
from clar_sweeps.augment.time_mask import (
    apply_time_mask,
    sample_released_time_mask,
    sample_time_mask,
)
from clar_sweeps.augment.time_shift import (
    apply_time_shift,
    sample_released_time_shift,
    sample_time_shift,
)
from clar_sweeps.augment.time_stretch import apply_time_stretch, sample_time_stretch
from clar_sweeps.config import Definition


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
    Operation(
        "TSR",
        "time stretch, resampled back",
        sample_time_stretch,
        apply_stretch_resample,
        is_vocoder=True,
    ),
)
OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _ALL}

# White noise is alike in both. The authors' mixed noise clips the negative half of the waveform
# away and their time mask writes into its input: those are faults and not definitions.
_RELEASED: dict[str, Operation] = {
    "PS": OPERATIONS["PS"]._replace(sample=partial(sample_pitch_shift, max_semitones=14)),
    "FD": OPERATIONS["FD"]._replace(sample=partial(sample_fade, definition="released")),
    "TM": OPERATIONS["TM"]._replace(sample=sample_released_time_mask),
    "TS": OPERATIONS["TS"]._replace(sample=sample_released_time_shift),
    "TST": OPERATIONS["TST"]._replace(apply=apply_stretch_resample),
}
DEFINITIONS: dict[Definition, dict[str, Operation]] = {
    "paper": OPERATIONS,
    "released": OPERATIONS | _RELEASED,
}
