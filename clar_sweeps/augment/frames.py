"""Frames of the phase vocoder: their lengths, their windows, and which of them make an output."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

OVERLAP = 4  # frames that cover a sample
SILENCE = 1e-15  # amplitude of the impulse that gives silence a phase
TINY = 1e-37  # floor of a float32 power of powers: bins below -185 dB are damped


class FrameLengths(NamedTuple):
    """Samples of an analysis and of a synthesis frame; their ratio is the change of pitch."""

    analysis: int
    synthesis: int


class Asked(NamedTuple):
    """What both ways to vocode go by; all on the CPU.

    lower: (batch, frames) the analysed frame at or before each position.
    alpha: (batch, frames) float32, how far the position lies towards the next one, in [0, 1).
    num_bins: Bins of an analysed frame that fit.
    cutoffs: As in `vocode`.
    """

    lower: Tensor
    alpha: Tensor
    lengths: FrameLengths
    num_bins: int
    cutoffs: Tensor | None

    @property
    def num_analysed(self) -> int:
        """Frames to analyse."""
        return int(self.lower.max()) + 2


@lru_cache(maxsize=256)
def window_of(length: int, device: torch.device) -> Tensor:
    """Of an analysed frame: (length,)."""
    return torch.hann_window(length, device=device)


@lru_cache(maxsize=256)
def synthesis_window(lengths: FrameLengths, device: torch.device) -> Tensor:
    """Of a synthesised frame, (length,), so that frames add up to the waveform."""
    # The squared windows of all frames over a sample add up to 3 / 8 of their number; a frame's
    # spectrum is a sum over lengths.analysis samples, its inverse a mean over length.
    gain = lengths.synthesis / lengths.analysis / (OVERLAP * 3 / 8)
    return window_of(lengths.synthesis, device) * gain


@lru_cache(maxsize=256)
def edge_gain(length: int, device: torch.device) -> Tensor:
    """Gain of the first samples, where no frame is centred before sample 0: (length // 2,)."""
    hop_length = length // OVERLAP
    window = torch.hann_window(length)
    squares = torch.stack(
        [
            torch.nn.functional.pad(window.square(), (k * hop_length, 0))[length // 2 : length]
            for k in range(OVERLAP)
        ]
    )
    return (OVERLAP * 3 / 8 / squares.sum(0)).to(device)
