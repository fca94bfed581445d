"""TSR: time stretch, then resample back to the length, which moves the pitch and not the time."""

from functools import lru_cache

import torch
from torch import Tensor

from clar_sweeps.augment import kernels
from clar_sweeps.augment.frames import FrameLengths
from clar_sweeps.augment.parameters import check_waveforms
from clar_sweeps.augment.time_stretch import check_rates
from clar_sweeps.augment.vocoder import (
    chunk_rows,
    frame_length,
    num_frames,
    vocode,
)
from clar_sweeps.compiled import by_rows

# The stretched waveform is synthesised at twice its sample rate, at no more cost than that of
# longer inverse transforms. What is read from it then lies below half of its band, and a kernel of
# eight samples reads it with errors below -60 dB.
_OVERSAMPLING = 2
_TAPS = 8
_PHASES = 1024
_KAISER_BETA = 7.0


def apply_stretch_resample(
    waveforms: Tensor, rates: Tensor, *, sample_rate: int = 16_000
) -> Tensor:
    """Stretch each waveform by its rate, then resample it back to its length.

    The pitch is multiplied by 1 / rate: 440 Hz become 880 Hz at a rate of 0.5. The times of events
    stay, and nothing is cropped or padded. What would rise above half the sample rate is cut.

    Args:
        waveforms: (batch, time), amplitude in [-1, 1]; left unchanged.
        rates: (batch,) in [0.1, 10]. On another device than the CPU they cost a synchronisation.
        sample_rate: Hz; frames last 40 ms.

    Returns:
        (batch, time).

    Raises:
        ValueError: rates do not lie in [0.1, 10], or are not one a waveform.

    Source: the authors' code, utils.py, time_stret, which they call time stretching; the paper's
    text keeps the pitch, see `apply_time_stretch`.
    """
    check_waveforms(waveforms, rates=rates)
    rates = check_rates(rates)
    changed = torch.empty_like(waveforms)
    order = rates.argsort(stable=True)
    size = max(1, chunk_rows(waveforms) // (2 * _OVERSAMPLING))
    on_device = order.to(waveforms.device, non_blocking=True)
    for chunk, rows in zip(torch.split(order, size), torch.split(on_device, size), strict=True):
        result = _stretch_resample(
            waveforms.index_select(0, rows), rates[chunk].double(), frame_length(sample_rate)
        )
        changed.index_copy_(0, rows, result)
    return changed


def _stretch_resample(waveforms: Tensor, rates: Tensor, length: int) -> Tensor:
    """Do rows of ascending rates: (rows, time)."""
    time = waveforms.shape[1]
    longest = int((time / rates[0]).ceil()) + _TAPS
    num_samples = _OVERSAMPLING * longest
    lengths = FrameLengths(length, _OVERSAMPLING * length)
    positions = torch.arange(num_frames(num_samples, lengths.synthesis)) * rates[:, None]
    stretched = vocode(waveforms, positions, lengths, num_samples, cutoffs=rates)
    return _read(stretched, _OVERSAMPLING / rates, time)


def _read(waveforms: Tensor, steps: Tensor, num_samples: int) -> Tensor:
    """Waveforms, which hold nothing in the upper half of their band, between their samples.

    Args:
        waveforms: (batch, time), at least _TAPS longer than what is read.
        steps: (batch,) float64 on the CPU, samples from one that is read to the next.
        num_samples: To read, the first at sample 0.
    """
    padded = torch.nn.functional.pad(waveforms, (_TAPS // 2 - 1, 0))
    weights = _kernels(waveforms.device)
    if waveforms.is_cuda:
        return _read_by_torch(padded, steps, weights, num_samples)
    values = torch.empty(len(waveforms), num_samples)
    arrays = (each.numpy() for each in (padded, steps, weights, values))
    by_rows(kernels.read_between, len(waveforms), *arrays)
    return values


def _read_by_torch(padded: Tensor, steps: Tensor, weights: Tensor, num_samples: int) -> Tensor:
    # float64, as float32 is too coarse.
    sample = torch.arange(num_samples, dtype=torch.float64, device=padded.device)
    positions = sample * steps.to(padded.device, non_blocking=True)[:, None]
    first = positions.long()
    phases = (positions - first).mul_(_PHASES).round_().long()
    values = torch.zeros(positions.shape, device=padded.device)
    for tap in range(_TAPS):
        values.addcmul_(weights[phases, tap], padded.gather(1, first + tap))
    return values


@lru_cache(maxsize=16)
def _kernels(device: torch.device) -> Tensor:
    """Weight of each tap at each phase between two samples: (_PHASES + 1, _TAPS).

    A sinc under a Kaiser window; it passes the lower half of the band, and its sidelobes start
    where the images of that half do.
    """
    phases = torch.arange(_PHASES + 1, dtype=torch.float64) / _PHASES
    distances = phases - (torch.arange(_TAPS)[:, None] - (_TAPS // 2 - 1))
    inside = (1 - (distances / (_TAPS / 2)).square()).clamp_(min=0)
    beta = torch.tensor(_KAISER_BETA, dtype=torch.float64)
    window = torch.special.i0(beta * inside.sqrt()) / torch.special.i0(beta)
    kernels = torch.sinc(distances) * window
    normalised: Tensor = (kernels / kernels.sum(0)).T
    return normalised.float().contiguous().to(device)
