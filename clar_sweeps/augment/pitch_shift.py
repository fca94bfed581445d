"""PS: raise or lower the pitch by semitones and keep the duration."""

from typing import NamedTuple

import torch
from torch import Tensor

from clar_sweeps.augment.parameters import check_waveforms, host_generator, uniform_integers
from clar_sweeps.augment.vocoder import chunk_rows, num_frames, shift_lengths, vocode

_WIDEST_SHIFT = 24  # semitones; beyond, frames of one side are too short to hold a period


class PitchShiftParameters(NamedTuple):
    """Parameters of a pitch shift.

    semitones: (batch,) int64, always on the CPU, for they decide the lengths of Fourier
        transforms: drawn there, they cost no synchronisation with a GPU.
    """

    semitones: Tensor


def sample_pitch_shift(
    *,
    batch: int,
    time: int,
    generator: torch.Generator,
    min_semitones: int = -15,
    max_semitones: int = 15,
) -> PitchShiftParameters:
    """Draw a shift for each waveform, uniform over whole semitones, both ends inclusive.

    Source: CLAR (arXiv:2010.09542), section 3.4, range [-15, 15] without a unit; semitones as in
    the authors' code, which leaves out 15.
    """
    semitones = uniform_integers(batch, min_semitones, max_semitones, host_generator(generator))
    return PitchShiftParameters(semitones)


def apply_pitch_shift(waveforms: Tensor, semitones: Tensor, *, sample_rate: int = 16_000) -> Tensor:
    """Move the pitch of each waveform; its duration and the times of its events stay.

    Rows of one shift are done together. The pitch is exact to 2 cents; 0 semitones copy the row.

    Args:
        waveforms: (batch, time), amplitude in [-1, 1]; left unchanged.
        semitones: (batch,) integers in [-24, 24]; on another device than the CPU they cost a
            synchronisation.
        sample_rate: Hz; frames last 40 ms.

    Returns:
        (batch, time). What would rise above half the sample rate is cut.

    Raises:
        ValueError: semitones are not integers in [-24, 24], one a waveform.

    Source: CLAR (arXiv:2010.09542), augmentation PS, there librosa's phase vocoder with frames of
    2,048 samples; see `vocoder` for what differs.
    """
    check_waveforms(waveforms, semitones=semitones)
    semitones = semitones.cpu()
    if semitones.is_floating_point() or bool((semitones.abs() > _WIDEST_SHIFT).any()):
        raise ValueError(f"semitones: {semitones.tolist()} are not all integers in [-24, 24]")
    shifted = waveforms.clone()
    order = semitones.argsort(stable=True)
    values, counts = torch.unique_consecutive(semitones[order], return_counts=True)
    groups = torch.split(order.to(waveforms.device, non_blocking=True), counts.tolist())
    for semitone, group in zip(values.tolist(), groups, strict=True):
        if semitone != 0:
            for rows in torch.split(group, chunk_rows(waveforms)):
                result = _shift(waveforms.index_select(0, rows), semitone, sample_rate)
                shifted.index_copy_(0, rows, result)
    return shifted


def _shift(waveforms: Tensor, semitones: int, sample_rate: int) -> Tensor:
    """Shift all rows by one interval: (rows, time)."""
    time = waveforms.shape[1]
    lengths = shift_lengths(semitones, sample_rate)
    # Integers first, so that a position that falls on a frame is exactly that frame.
    frames = torch.arange(num_frames(time, lengths.synthesis)) * lengths.synthesis
    positions = frames.double() / lengths.analysis
    return vocode(waveforms, positions.expand(len(waveforms), -1), lengths, time)
