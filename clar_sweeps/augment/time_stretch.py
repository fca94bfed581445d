"""TST: speed up or slow down and keep the pitch."""

from typing import NamedTuple

import torch
from torch import Tensor

from clar_sweeps.augment.frames import FrameLengths
from clar_sweeps.augment.parameters import check_waveforms, host_generator
from clar_sweeps.augment.vocoder import (
    chunk_rows,
    frame_length,
    num_frames,
    vocode,
)


class TimeStretchParameters(NamedTuple):
    """Parameters of a time stretch.

    rates: (batch,) float32, always on the CPU, for they decide how many frames are needed:
        drawn there, they cost no synchronisation with a GPU.
    """

    rates: Tensor


def sample_time_stretch(
    *,
    batch: int,
    time: int,
    generator: torch.Generator,
    min_rate: float = 0.5,
    max_rate: float = 1.5,
) -> TimeStretchParameters:
    """Draw a rate for each waveform, uniform in [min_rate, max_rate].

    Source: CLAR (arXiv:2010.09542), section 3.4.
    """
    uniform = torch.rand(batch, generator=host_generator(generator))
    return TimeStretchParameters(min_rate + (max_rate - min_rate) * uniform)


def apply_time_stretch(waveforms: Tensor, rates: Tensor, *, sample_rate: int = 16_000) -> Tensor:
    """Play each waveform at its rate and at its own pitch; crop or zero-pad the end to fit.

    An event at sample t moves to t / rate. Rows of similar rates are done together, and only
    the frames that are heard are computed.

    Args:
        waveforms: (batch, time), amplitude in [-1, 1]; left unchanged.
        rates: (batch,) in [0.1, 10]; above 1 is faster, and the row ends in zeros from
            time / rate on. On another device than the CPU they cost a synchronisation.
        sample_rate: Hz; frames last 40 ms.

    Returns:
        (batch, time).

    Raises:
        ValueError: rates do not lie in [0.1, 10], or are not one a waveform.

    Source: CLAR (arXiv:2010.09542), augmentation TST, as its text has it. The authors' code
    resamples the stretched waveform back to its length, which moves the pitch and not the time:
    see `stretch_resample`.
    """
    check_waveforms(waveforms, rates=rates)
    rates = check_rates(rates)
    stretched = torch.zeros_like(waveforms)
    order = rates.argsort(stable=True)
    size = chunk_rows(waveforms)
    on_device = order.to(waveforms.device, non_blocking=True)
    for chunk, rows in zip(torch.split(order, size), torch.split(on_device, size), strict=True):
        result = _stretch(
            waveforms.index_select(0, rows), rates[chunk].double(), frame_length(sample_rate)
        )
        stretched[:, : result.shape[1]].index_copy_(0, rows, result)
    return stretched


def check_rates(rates: Tensor) -> Tensor:
    """Rates on the CPU.

    Raises:
        ValueError: they do not all lie in [0.1, 10].
    """
    rates = rates.cpu()
    if not bool(((rates >= 0.1) & (rates <= 10.0)).all()):
        raise ValueError(f"rates: {rates.tolist()} do not all lie in [0.1, 10]")
    return rates


def _stretch(waveforms: Tensor, rates: Tensor, length: int) -> Tensor:
    """Stretch rows of ascending rates: (rows, samples of the longest, at most time)."""
    time = waveforms.shape[1]
    ends = (time / rates).round().clamp(max=time)
    shortest, num_samples = int(ends[-1]), int(ends[0])
    positions = torch.arange(num_frames(num_samples, length)) * rates[:, None]
    stretched = vocode(waveforms, positions, FrameLengths(length, length), num_samples)
    if shortest < num_samples:
        behind = torch.arange(shortest, num_samples) >= ends[:, None]
        stretched[:, shortest:].masked_fill_(behind.to(waveforms.device, non_blocking=True), 0.0)
    return stretched
