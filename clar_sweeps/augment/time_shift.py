"""TS: roll forwards or backwards; what leaves at one end comes back at the other."""

from typing import NamedTuple

import torch
from torch import Tensor

from clar_sweeps.augment import kernels
from clar_sweeps.augment.parameters import check_waveforms, uniform_integers
from clar_sweeps.compiled import by_rows


class TimeShiftParameters(NamedTuple):
    """Parameters of a time shift; see `apply_time_shift`."""

    shifts: Tensor


def sample_time_shift(*, batch: int, time: int, generator: torch.Generator) -> TimeShiftParameters:
    """Draw a shift for each waveform, uniform over [-(time // 2), time // 2] samples.

    Source: CLAR (arXiv:2010.09542), section 3.4. The authors' code draws from [-8000, 8000),
    which is half the signal for clips of one second only.
    """
    return TimeShiftParameters(uniform_integers(batch, -(time // 2), time // 2, generator))


def sample_released_time_shift(
    *, batch: int, time: int, generator: torch.Generator, max_shift: int = 8000
) -> TimeShiftParameters:
    """Draw a shift for each waveform, uniform over [-max_shift, max_shift), whatever its length.

    Source: the authors' code, utils.py, time_shift.
    """
    return TimeShiftParameters(uniform_integers(batch, -max_shift, max_shift - 1, generator))


def apply_time_shift(waveforms: Tensor, shifts: Tensor) -> Tensor:
    """Roll each waveform.

    Args:
        waveforms: (batch, time), amplitude in [-1, 1]; left unchanged.
        shifts: (batch,) samples, also beyond time; positive is later.

    Returns:
        (batch, time).

    Raises:
        ValueError: shifts do not have one entry a waveform.

    Source: CLAR (arXiv:2010.09542), augmentation TS.
    """
    check_waveforms(waveforms, shifts=shifts)
    shifts = shifts % waveforms.shape[1]
    if waveforms.is_cuda:
        return _roll_by_torch(waveforms, shifts)
    rolled = torch.empty_like(waveforms)
    arrays = (each.numpy() for each in (waveforms, shifts, rolled))
    by_rows(kernels.roll, len(waveforms), *arrays)
    return rolled


def _roll_by_torch(waveforms: Tensor, shifts: Tensor) -> Tensor:
    time = waveforms.shape[1]
    sample = torch.arange(time, device=waveforms.device)
    # Twice in a row, so that no index wraps: a remainder for each sample takes three times as long.
    first = time - shifts
    return torch.cat([waveforms, waveforms], dim=1).gather(1, first[:, None] + sample)
