r"""The batched phase vocoder behind pitch shift and time stretch.

A frame of the output at analysis position s = i + alpha takes its magnitudes from frames i and
i + 1 and its phases from the phase advance between them, as in librosa (McFee et al., 2020).
Here every row of a batch has its own positions, and three things are done in another way:

- **No trigonometry.** With unit phasors E[i] = D[i] / |D[i]| the output's phase is E[i] turned by
  C, where C[k + 1] = C[k] E[i_k + 1] conj(E[i_{k + 1}]): a cumulative product, and one whose
  factors are 1 wherever i_{k + 1} = i_k + 1. The expected phase advance of a bin cancels modulo
  2 pi. |C| drifts by rounding alone, below 1e-4 in 5 s.
- **Phase locking.** Bins of one partial are turned by one angle: C is averaged over each bin and
  its two neighbours, weighted by power (in the spirit of Laroche and Dolson, 1999, without their
  search for peaks). Without it bins cancel each other, and the log-mel spectrum of a sung voice
  is 1 to 4 dB from the true one; with it mostly below 1.
- **Shifting without resampling.** A pitch shift by the ratio L_a / L_s analyses frames of L_a
  samples and synthesises frames of L_s: dropping or adding bins at the top of a frame's spectrum
  resamples that frame, and cuts what would fold over.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from clar_sweeps.augment import kernels
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
from clar_sweeps.augment.vocoder_torch import vocode_by_torch
from clar_sweeps.compiled import by_rows

FRAME_SECONDS = 0.040  # between resolving a voice of 75 Hz and smearing its onsets

_CHUNK_SAMPLES = 1 << 17  # a chunk's frames and spectra then stay in the cache of one core
_CHUNK_SAMPLES_CUDA = 1 << 24  # about 3 GB at the peak


def frame_length(sample_rate: int) -> int:
    """Samples of a frame of 40 ms, rounded to a length that has a fast Fourier transform."""
    target = FRAME_SECONDS * sample_rate
    return min(_fast_lengths(target / 2, target * 2), key=lambda length: abs(length - target))


@lru_cache(maxsize=256)
def shift_lengths(semitones: int, sample_rate: int) -> FrameLengths:
    """Frame lengths whose ratio is 2^(semitones / 12) to 2 cents.

    Of the pairs with fast Fourier transforms, the one whose analysis frame is nearest to 40 ms
    for a shift up. A shift down makes frames longer, which smears onsets: there the geometric
    mean of both is 40 ms. At 8 kHz the outermost shifts are exact to 4 cents.
    """
    ratio = 2.0 ** (semitones / 12)
    target = FRAME_SECONDS * sample_rate * min(1.0, math.sqrt(ratio))

    def cost(lengths: FrameLengths) -> tuple[float, float]:
        cents = abs(1200 * math.log2(lengths.analysis / lengths.synthesis / ratio))
        return max(cents, 2.0), abs(lengths.analysis - target)

    pairs = (
        FrameLengths(analysis, synthesis)
        for analysis in _fast_lengths(target * 0.7, target * 1.4)
        for synthesis in _fast_lengths(analysis / ratio * 0.99, analysis / ratio * 1.01)
    )
    return min(pairs, key=cost)


def chunk_rows(waveforms: Tensor) -> int:
    """Rows to vocode at a time: what the caches of the threads, or a part of the GPU, hold."""
    on_cpu = _CHUNK_SAMPLES * torch.get_num_threads()
    samples = _CHUNK_SAMPLES_CUDA if waveforms.is_cuda else on_cpu
    return max(1, samples // max(1, waveforms.shape[1]))


def num_frames(num_samples: int, length: int) -> int:
    """Synthesis frames of `length` that touch the first `num_samples` samples."""
    return math.ceil((num_samples + length // 2) / (length // OVERLAP))


def vocode(
    waveforms: Tensor,
    positions: Tensor,
    lengths: FrameLengths,
    num_samples: int,
    *,
    cutoffs: Tensor | None = None,
) -> Tensor:
    """Synthesise one frame at each analysis position and add the frames up.

    Args:
        waveforms: (batch, time), amplitude in [-1, 1]; left unchanged; zero outside its span.
        positions: (batch, frames) float64 on the CPU: output frame k, centred at sample
            k * lengths.synthesis / OVERLAP, is taken from the frame centred at sample
            positions[:, k] * lengths.analysis / OVERLAP. Each row starts at 0 and rises.
        lengths: Samples of the frames, multiples of 4; pitch rises by analysis / synthesis.
        num_samples: Samples to return; positions need `num_frames` of them a row.
        cutoffs: (batch,) of a row's analysed bins, the share from 0 Hz on that is kept; None
            keeps all that fit.

    Returns:
        (batch, num_samples). Silence gives silence.
    """
    # Frames from this one on see nothing of the waveform; all positions behind it are alike.
    first_silent = num_frames(waveforms.shape[1], lengths.analysis)
    positions = positions.clamp(max=first_silent)
    lower = positions.floor()
    num_bins = min(lengths) // 2 + (lengths.analysis == lengths.synthesis)
    asked = Asked(lower.long(), (positions - lower).float(), lengths, num_bins, cutoffs)
    vocode_here = vocode_by_torch if waveforms.is_cuda else _vocode_compiled
    return vocode_here(waveforms, asked, num_samples)


def _vocode_compiled(waveforms: Tensor, asked: Asked, num_samples: int) -> Tensor:
    lower, alpha, lengths, num_bins, cutoffs = asked
    rows = len(waveforms)
    window = window_of(lengths.analysis, waveforms.device)
    frames = torch.empty(rows, asked.num_analysed, lengths.analysis)
    by_rows(
        kernels.take_frames,
        rows,
        waveforms.numpy(),
        window.numpy(),
        lengths.analysis // OVERLAP,
        SILENCE,
        frames.numpy(),
    )
    is_kept = torch.full((rows,), num_bins)
    if cutoffs is not None:
        is_kept = (cutoffs * (lengths.analysis / 2)).ceil().long().clamp(max=num_bins)
    spectra = torch.view_as_real(torch.fft.rfft(frames)).flatten(2)
    changed = torch.empty(rows, lower.shape[1], lengths.synthesis // 2 + 1, dtype=torch.complex64)
    by_rows(
        kernels.propagate,
        rows,
        spectra.numpy(),
        lower.contiguous().numpy(),
        alpha.contiguous().numpy(),
        is_kept.numpy(),
        SILENCE,
        TINY,
        torch.view_as_real(changed).flatten(2).numpy(),
    )
    frames = torch.fft.irfft(changed, n=lengths.synthesis)
    output = torch.empty(rows, num_samples)
    by_rows(
        kernels.overlap_add,
        rows,
        frames.numpy(),
        synthesis_window(lengths, waveforms.device).numpy(),
        edge_gain(lengths.synthesis, waveforms.device).numpy(),
        lengths.synthesis // OVERLAP,
        output.numpy(),
    )
    return output


def _fast_lengths(shortest: float, longest: float) -> list[int]:
    """Multiples of 4 (the overlap) without prime factors above 13, from shortest to longest."""
    start = OVERLAP * math.ceil(shortest / OVERLAP)
    return [n for n in range(start, math.floor(longest) + 1, OVERLAP) if _is_smooth(n)]


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5, 7, 11, 13):
        while number % prime == 0:
            number //= prime
    return number == 1
