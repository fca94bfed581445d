"""TM: replace one short span by noise or by silence."""

from typing import NamedTuple

import torch
from torch import Tensor

from clar_sweeps.augment import kernels
from clar_sweeps.augment.parameters import check_waveforms
from clar_sweeps.compiled import by_rows

_NOISE_STD = 0.01


class TimeMaskParameters(NamedTuple):
    """Parameters of a time mask; see `apply_time_mask`."""

    starts: Tensor
    widths: Tensor
    fill: Tensor


def sample_time_mask(
    *,
    batch: int,
    time: int,
    generator: torch.Generator,
    max_width_fraction: float = 1 / 8,
) -> TimeMaskParameters:
    """Draw for each waveform the width of a span, its place, and what fills it.

    The width is uniform over whole samples in (0, time * max_width_fraction], the place uniform
    over all that lie inside. The fill is normal noise of standard deviation 0.01 or the
    constant 0, with probability 1/2 each.

    Source: CLAR (arXiv:2010.09542), section 3.4, which gives neither the split between noise and
    constant nor their values. The noise is the authors' code, which has a fixed width and no
    constant; the split and the 0 are choices made here.
    """
    device = generator.device
    widest = max(1, int(time * max_width_fraction))
    widths = torch.randint(1, widest + 1, (batch,), generator=generator, device=device)
    # Scaled from [0, 1): the upper end differs from row to row. Rounding could reach that end.
    uniform = torch.rand(batch, generator=generator, device=device, dtype=torch.float64)
    starts = (uniform * (time - widths + 1)).long().minimum(time - widths)
    noise = torch.randn(batch, widest, generator=generator, device=device)
    is_noise = torch.randint(0, 2, (batch, 1), generator=generator, device=device)
    return TimeMaskParameters(starts, widths, fill=noise.mul_(_NOISE_STD * is_noise))


def sample_released_time_mask(
    *, batch: int, time: int, generator: torch.Generator, width_fraction: float = 1 / 8
) -> TimeMaskParameters:
    """Draw for each waveform whether a span of fixed width is masked, its place, and its noise.

    A coin of 1/2 leaves a waveform as it is. The span has int(time * width_fraction) samples, its
    start is uniform over [0, time - width), its fill normal noise of standard deviation 0.01.

    Source: the authors' code, utils.py, time_masking.
    """
    device = generator.device
    width = max(1, int(time * width_fraction))
    is_masked = torch.randint(0, 2, (batch,), generator=generator, device=device)
    last = max(0, time - width - 1)
    starts = torch.randint(0, last + 1, (batch,), generator=generator, device=device)
    fill = torch.randn(batch, width, generator=generator, device=device).mul_(_NOISE_STD)
    return TimeMaskParameters(starts, widths=is_masked * width, fill=fill)


def apply_time_mask(waveforms: Tensor, starts: Tensor, widths: Tensor, fill: Tensor) -> Tensor:
    """Replace one span of each waveform.

    Args:
        waveforms: (batch, time), amplitude in [-1, 1]; left unchanged.
        starts: (batch,) first masked sample, in [0, time).
        widths: (batch,) masked samples, at most widest; 0 leaves the row as it is. A span that
            passes the end goes on at the start.
        fill: (batch, widest), widest at most time: the samples put in place of the span, from
            its start on.

    Returns:
        (batch, time).

    Raises:
        ValueError: a parameter does not have one entry a waveform, or fill is longer than time.

    Source: CLAR (arXiv:2010.09542), augmentation TM. The authors' code writes into its input, so
    that two views of one clip are the same.
    """
    check_waveforms(waveforms, starts=starts, widths=widths, fill=fill)
    time, widest = waveforms.shape[1], fill.shape[1]
    if widest > time:
        raise ValueError(f"fill: {widest} samples, longer than the waveforms' {time}")
    if waveforms.is_cuda:
        return _replace_by_torch(waveforms, starts, widths, fill)
    masked = torch.empty_like(waveforms)
    arrays = (each.contiguous().numpy() for each in (waveforms, starts, widths, fill, masked))
    by_rows(kernels.replace_span, len(waveforms), *arrays)
    return masked


def _replace_by_torch(waveforms: Tensor, starts: Tensor, widths: Tensor, fill: Tensor) -> Tensor:
    offset = torch.arange(fill.shape[1], device=waveforms.device)
    # Wrapped at the end: what lies behind a span is written back unchanged.
    index = (starts[:, None] + offset) % waveforms.shape[1]  # (batch, widest)
    span = torch.where(offset < widths[:, None], fill, waveforms.gather(1, index))
    return waveforms.scatter(1, index, span)
