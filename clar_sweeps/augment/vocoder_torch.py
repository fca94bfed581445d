"""The phase vocoder by torch's operations, for GPUs; the formulas are told in `vocoder`."""

from typing import NamedTuple

import torch
from torch import Tensor

from clar_sweeps.augment.frames import (
    OVERLAP,
    SILENCE,
    TINY,
    Asked,
    FrameLengths,
    edge_gain,
    synthesis_window,
    window_of,
)


def vocode_by_torch(waveforms: Tensor, asked: Asked, num_samples: int) -> Tensor:
    """Vocode on any device: (batch, time) -> (batch, num_samples)."""
    lower, alpha, lengths, num_bins, cutoffs = asked
    steps = _steps(lower, asked.num_analysed)
    device = waveforms.device
    frames = _frames(waveforms, length=lengths.analysis, num_frames=asked.num_analysed)
    spectra = _propagate(
        torch.fft.rfft(frames)[..., :num_bins].flatten(0, 1),
        _Steps(*(index.to(device, non_blocking=True) for index in steps)),
        alpha=alpha.to(device, non_blocking=True),
    )
    if cutoffs is not None:
        bins = torch.arange(num_bins) / (lengths.analysis / 2)
        is_kept = (bins < cutoffs[:, None])[:, None]  # (batch, 1, bins)
        spectra.mul_(is_kept.to(device, non_blocking=True))
    return _overlap_add(torch.fft.irfft(spectra, n=lengths.synthesis), lengths, num_samples)


class _Steps(NamedTuple):
    """Where the frames of the output come from; indices count the analysed frames of all rows.

    frames: (batch, frames) the frame at or before each position.
    turn: (batch, frames) how many turns of its row came before, an index into turns of all rows.
    turned_from: (batch, turns) the frame that the output's previous frame would have gone on to.
    turned_to: (batch, turns) the frame that it goes on to instead.
    """

    frames: Tensor
    turn: Tensor
    turned_from: Tensor
    turned_to: Tensor


def _steps(lower: Tensor, num_analysed: int) -> _Steps:
    """Steps of (batch, frames) positions, rounded down.

    The phase is turned only where the next position is not the next frame: where positions
    pause, at rates below 1, or skip, at rates above. Row by row turn 0 is that of no angle.
    """
    rows = torch.arange(len(lower))[:, None]
    frames = lower + rows * num_analysed
    is_turn = torch.zeros_like(lower)
    is_turn[:, 1:] = lower[:, 1:] != lower[:, :-1] + 1
    turn = is_turn.cumsum(1)
    num_turns = int(turn.max()) + 1
    # Steps that turn nothing are written to a column of their own, which is cut off.
    column = torch.where(is_turn.bool(), turn, num_turns)[:, 1:]
    first = frames[:, :1].expand(-1, num_turns + 1)
    return _Steps(
        frames=frames,
        turn=turn + rows * num_turns,
        turned_from=first.scatter(1, column, frames[:, :-1] + 1)[:, :-1],
        turned_to=first.scatter(1, column, frames[:, 1:])[:, :-1],
    )


def _frames(waveforms: Tensor, *, length: int, num_frames: int) -> Tensor:
    """Windowed frames, the first centred at sample 0: (batch, frames, length)."""
    hop_length = length // OVERLAP
    padded = waveforms.new_zeros(len(waveforms), (num_frames - 1) * hop_length + length)
    span = min(waveforms.shape[1], padded.shape[1] - length // 2)
    padded[:, length // 2 : length // 2 + span] = waveforms[:, :span]
    frames = padded.unfold(1, length, hop_length) * window_of(length, waveforms.device)
    # Silence has no phase: this impulse gives it the one of a sound at the frame's centre, so
    # that the bins of a sound that starts after silence are turned alike.
    frames[..., length // 2] += SILENCE
    return frames


def _propagate(spectra: Tensor, steps: _Steps, alpha: Tensor) -> Tensor:
    """Spectra of the output's frames, (batch, frames, bins).

    Real and imaginary parts go apart where a complex number meets a real one: torch would make
    the real one complex first.

    Args:
        spectra: (analysed, bins) of all rows, one row after the other; overwritten.
        steps: Where the output's frames come from.
        alpha: (batch, frames) how far a position lies towards the next frame, in [0, 1).
    """
    squares = torch.view_as_real(spectra).square()
    magnitudes = (squares[..., 0] + squares[..., 1]).clamp_min_(SILENCE**2)
    inverse = magnitudes.rsqrt()
    magnitudes.mul_(inverse)
    phasors = spectra.mul_(inverse)

    turns = _at(phasors, steps.turned_from).mul_(_at(phasors, steps.turned_to).conj())
    turns = turns.cumprod(1).flatten(0, 1)
    magnitude = _at(magnitudes, steps.frames)
    weights = magnitude.square()
    real = _sum_of_three(_at(turns.real.contiguous(), steps.turn).mul_(weights))
    imag = _sum_of_three(_at(turns.imag.contiguous(), steps.turn).mul_(weights))

    scale = torch.mul(real, real, out=weights).addcmul_(imag, imag).clamp_min_(TINY).rsqrt_()
    # Not lerp_: with one weight a frame it leaves the vectorised path.
    change = _at(magnitudes, steps.frames + 1).sub_(magnitude).mul_(alpha[..., None])
    scale.mul_(magnitude.add_(change))
    return _at(phasors, steps.frames).mul_(torch.complex(real.mul_(scale), imag.mul_(scale)))


def _at(frames: Tensor, index: Tensor) -> Tensor:
    """Frames, (number, bins), at (batch, steps): (batch, steps, bins)."""
    return frames.index_select(0, index.reshape(-1)).view(*index.shape, -1)


def _sum_of_three(bins: Tensor) -> Tensor:
    """Sum of each bin and its neighbours."""
    total = bins.clone()
    total[..., 1:] += bins[..., :-1]
    total[..., :-1] += bins[..., 1:]
    return total


def _overlap_add(frames: Tensor, lengths: FrameLengths, num_samples: int) -> Tensor:
    """Add the windowed frames up to (batch, num_samples); the first is centred at sample 0."""
    batch, num_frames, length = frames.shape
    hop_length = length // OVERLAP
    frames.mul_(synthesis_window(lengths, frames.device))
    blocks = frames.view(batch, num_frames, OVERLAP, hop_length)
    total = frames.new_zeros(batch, num_frames + OVERLAP - 1, hop_length)
    for shift in range(OVERLAP):
        total[:, shift : shift + num_frames] += blocks[:, :, shift]
    start = length // 2
    waveforms = total.flatten(1)[:, start : start + num_samples]
    edge = edge_gain(length, frames.device)[:num_samples]
    waveforms[:, : len(edge)] *= edge
    return waveforms
