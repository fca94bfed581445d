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
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

OVERLAP = 4  # frames that cover a sample
FRAME_SECONDS = 0.040  # between resolving a voice of 75 Hz and smearing its onsets

_SILENCE = 1e-15  # amplitude of the impulse that gives silence a phase
_TINY = 1e-37  # floor of a float32 power of powers: bins below -185 dB are damped
_CHUNK_SAMPLES = 1 << 17  # a chunk's spectra then stay in the cache of one core
_CHUNK_SAMPLES_CUDA = 1 << 24  # about 3 GB at the peak


class FrameLengths(NamedTuple):
    """Samples of an analysis and of a synthesis frame; their ratio is the change of pitch."""

    analysis: int
    synthesis: int


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
    num_analysed = int(lower.max()) + 2
    steps = _steps(lower.long(), num_analysed)
    device = waveforms.device

    frames = _frames(waveforms, length=lengths.analysis, num_frames=num_analysed)
    num_bins = min(lengths) // 2 + (lengths.analysis == lengths.synthesis)
    spectra = _propagate(
        torch.fft.rfft(frames)[..., :num_bins].flatten(0, 1),
        _Steps(*(index.to(device, non_blocking=True) for index in steps)),
        alpha=(positions - lower).float().to(device, non_blocking=True),
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
    frames = padded.unfold(1, length, hop_length) * _window(length, waveforms.device)
    # Silence has no phase: this impulse gives it the one of a sound at the frame's centre, so
    # that the bins of a sound that starts after silence are turned alike.
    frames[..., length // 2] += _SILENCE
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
    magnitudes = (squares[..., 0] + squares[..., 1]).clamp_min_(_SILENCE**2)
    inverse = magnitudes.rsqrt()
    magnitudes.mul_(inverse)
    phasors = spectra.mul_(inverse)

    turns = _at(phasors, steps.turned_from).mul_(_at(phasors, steps.turned_to).conj())
    turns = _cumulative_product(turns).flatten(0, 1)
    magnitude = _at(magnitudes, steps.frames)
    weights = magnitude.square()
    real = _sum_of_three(_at(turns.real.contiguous(), steps.turn).mul_(weights))
    imag = _sum_of_three(_at(turns.imag.contiguous(), steps.turn).mul_(weights))

    scale = torch.mul(real, real, out=weights).addcmul_(imag, imag).clamp_min_(_TINY).rsqrt_()
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


def _cumulative_product(turns: Tensor) -> Tensor:
    """Products over time of (batch, frames, bins), written over `turns` on a CPU."""
    if turns.is_cuda:
        return turns.cumprod(1)
    # Within blocks, all blocks at once, then from block to block, then frame by frame for what
    # is left: twice as fast as cumprod, and fewer products in a row to round.
    size = math.isqrt(turns.shape[1])
    whole = turns.shape[1] // size * size
    blocks = turns[:, :whole].view(len(turns), -1, size, turns.shape[2])
    for before, after in pairwise(blocks.unbind(2)):
        after.mul_(before)
    for before, after in pairwise(blocks.unbind(1)):
        after.mul_(before[:, -1:])
    for before, after in pairwise(turns[:, whole - 1 :].unbind(1)):
        after.mul_(before)
    return turns


def _overlap_add(frames: Tensor, lengths: FrameLengths, num_samples: int) -> Tensor:
    """Add the windowed frames up to (batch, num_samples); the first is centred at sample 0."""
    batch, num_frames, length = frames.shape
    hop_length = length // OVERLAP
    window = _window(length, frames.device)
    # The squared windows of all frames over a sample add up to 3 / 8 of their number; a frame's
    # spectrum is a sum over lengths.analysis samples, its inverse a mean over length.
    frames.mul_(window * (length / lengths.analysis / (OVERLAP * 3 / 8)))
    blocks = frames.view(batch, num_frames, OVERLAP, hop_length)
    total = frames.new_zeros(batch, num_frames + OVERLAP - 1, hop_length)
    for shift in range(OVERLAP):
        total[:, shift : shift + num_frames] += blocks[:, :, shift]
    start = length // 2
    waveforms = total.flatten(1)[:, start : start + num_samples]
    edge = _edge(length, frames.device)[:num_samples]
    waveforms[:, : len(edge)] *= edge
    return waveforms


@lru_cache(maxsize=256)
def _window(length: int, device: torch.device) -> Tensor:
    return torch.hann_window(length, device=device)


@lru_cache(maxsize=256)
def _edge(length: int, device: torch.device) -> Tensor:
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


def _fast_lengths(shortest: float, longest: float) -> list[int]:
    """Multiples of 4 (the overlap) without prime factors above 13, from shortest to longest."""
    start = OVERLAP * math.ceil(shortest / OVERLAP)
    return [n for n in range(start, math.floor(longest) + 1, OVERLAP) if _is_smooth(n)]


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5, 7, 11, 13):
        while number % prime == 0:
            number //= prime
    return number == 1
