"""Loops over samples and bins on a CPU, compiled: what torch has no fast operation for.

Operation by operation torch reads and writes the memory anew; here a frame stays in the cache of a
core from its spectrum to the output's, which makes the vocoder three times as fast. The formulas
are those of `vocoder`, whose torch version serves GPUs.

"""

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.compiled import Floats, Integers, compiled


@compiled
def take_frames(
    first: int,
    last: int,
    waveforms: Floats,
    window: Floats,
    hop_length: int,
    impulse: float,
    frames: Floats,
) -> None:
    """Windowed frames, the first centred at sample 0, zero outside the waveform.

    Args:
        first: Row to begin with.
        last: Row to end before.
        waveforms: (rows, time).
        window: (length,).
        hop_length: Samples from frame to frame.
        impulse: Added to the sample at each frame's centre.
        frames: (rows, frames, length), written.
    """
    num_frames, length = frames.shape[1:]
    time = waveforms.shape[1]
    for row in range(first, last):
        waveform = waveforms[row]
        for k in range(num_frames):
            frame = frames[row, k]
            start = k * hop_length - length // 2
            begin = min(max(0, -start), length)
            end = max(begin, min(length, time - start))
            frame[:begin] = 0.0
            frame[end:] = 0.0
            inside, gain = frame[begin:end], window[begin:end]
            source = waveform[start + begin : start + end]
            for n in range(len(inside)):
                inside[n] = source[n] * gain[n]
            frame[length // 2] += impulse


@compiled
def propagate(
    first: int,
    last: int,
    spectra: Floats,
    lower: Integers,
    alpha: Floats,
    num_bins: Integers,
    silence: float,
    tiny: float,
    output: Floats,
) -> None:
    """Spectra of the output's frames.

    Args:
        first: Row to begin with.
        last: Row to end before.
        spectra: (rows, analysed, 2 * bins), real and imaginary parts in turn.
        lower: (rows, frames) the frame at or before each position.
        alpha: (rows, frames) how far it lies towards the next one, in [0, 1).
        num_bins: (rows,) that are kept.
        silence: Floor of magnitudes.
        tiny: Floor of the squared sum of three bins.
        output: (rows, frames, 2 * bins), written; zero from num_bins on.
    """
    analysed, most = spectra.shape[1], num_bins.max()
    magnitudes = np.empty((analysed, most), np.float32)
    real = np.empty((analysed, most), np.float32)
    imag = np.empty((analysed, most), np.float32)
    turned_real = np.empty(most, np.float32)
    turned_imag = np.empty(most, np.float32)
    # Of each bin and, with a zero at either end, of its two neighbours.
    sums_real = np.zeros(most + 2, np.float32)
    sums_imag = np.zeros(most + 2, np.float32)
    left_real, own_real, right_real = sums_real[:-2], sums_real[1:-1], sums_real[2:]
    left_imag, own_imag, right_imag = sums_imag[:-2], sums_imag[1:-1], sums_imag[2:]
    floor, smallest, one = np.float32(silence * silence), np.float32(tiny), np.float32(1.0)
    for row in range(first, last):
        bins = num_bins[row]
        for i in range(analysed):
            spectrum, magnitude_i, real_i, imag_i = spectra[row, i], magnitudes[i], real[i], imag[i]
            for b in range(bins):
                x, y = spectrum[2 * b], spectrum[2 * b + 1]
                square = max(x * x + y * y, floor)
                inverse = one / np.sqrt(square)
                magnitude_i[b] = square * inverse
                real_i[b] = x * inverse
                imag_i[b] = y * inverse
        turned_real[:bins] = 1.0
        turned_imag[:bins] = 0.0
        sums_real[bins + 1] = 0.0
        sums_imag[bins + 1] = 0.0
        for k in range(lower.shape[1]):
            here = lower[row, k]
            real_h, imag_h = real[here], imag[here]
            if k > 0 and here != lower[row, k - 1] + 1:
                gone = lower[row, k - 1] + 1
                real_g, imag_g = real[gone], imag[gone]
                for b in range(bins):
                    x = real_g[b] * real_h[b] + imag_g[b] * imag_h[b]
                    y = imag_g[b] * real_h[b] - real_g[b] * imag_h[b]
                    c, s = turned_real[b], turned_imag[b]
                    turned_real[b] = c * x - s * y
                    turned_imag[b] = c * y + s * x
            magnitude_h, magnitude_n = magnitudes[here], magnitudes[here + 1]
            for b in range(bins):
                weight = magnitude_h[b] * magnitude_h[b]
                own_real[b] = turned_real[b] * weight
                own_imag[b] = turned_imag[b] * weight
            out, share = output[row, k], alpha[row, k]
            for b in range(bins):
                c = left_real[b] + own_real[b] + right_real[b]
                s = left_imag[b] + own_imag[b] + right_imag[b]
                magnitude = magnitude_h[b] + share * (magnitude_n[b] - magnitude_h[b])
                scale = magnitude / np.sqrt(max(c * c + s * s, smallest))
                c, s = c * scale, s * scale
                out[2 * b] = real_h[b] * c - imag_h[b] * s
                out[2 * b + 1] = real_h[b] * s + imag_h[b] * c
            out[2 * bins :] = 0.0


@compiled
def overlap_add(
    first: int,
    last: int,
    frames: Floats,
    window: Floats,
    edge: Floats,
    hop_length: int,
    output: Floats,
) -> None:
    """Add the windowed frames up; the first is centred at sample 0.

    Args:
        first: Row to begin with.
        last: Row to end before.
        frames: (rows, frames, length).
        window: (length,), with the gain that the sum needs.
        edge: (samples,) gain of the first samples.
        hop_length: Samples from frame to frame.
        output: (rows, samples), written.
    """
    num_frames, length = frames.shape[1:]
    time = output.shape[1]
    for row in range(first, last):
        total = output[row]
        total[:] = 0.0
        for k in range(num_frames):
            start = k * hop_length - length // 2
            begin = min(max(0, -start), length)
            end = max(begin, min(length, time - start))
            target, gain = total[start + begin : start + end], window[begin:end]
            source = frames[row, k][begin:end]
            for n in range(len(target)):
                target[n] += source[n] * gain[n]
        for n in range(min(len(edge), time)):
            total[n] *= edge[n]


@compiled
def read_between(
    first: int,
    last: int,
    waveforms: Floats,
    steps: NDArray[np.float64],
    kernels: Floats,
    output: Floats,
) -> None:
    """Waveforms at even steps between their samples, each value from as many as it has taps.

    Args:
        first: Row to begin with.
        last: Row to end before.
        waveforms: (rows, time), which begins taps // 2 - 1 samples before position 0.
        steps: (rows,) samples of a waveform from output to output.
        kernels: (phases + 1, taps) weights at each phase between two samples.
        output: (rows, samples), written.
    """
    phases, taps = kernels.shape[0] - 1, kernels.shape[1]
    for row in range(first, last):
        waveform, out, step = waveforms[row], output[row], steps[row]
        for n in range(len(out)):
            position = n * step
            whole = int(position)
            weights = kernels[int(np.rint((position - whole) * phases))]
            span = waveform[whole : whole + taps]
            value = np.float32(0.0)
            for tap in range(taps):
                value += weights[tap] * span[tap]
            out[n] = value


@compiled
def roll(first: int, last: int, waveforms: Floats, shifts: Integers, output: Floats) -> None:
    """Roll each row by its shift, 0 to time - 1.

    Args:
        first: Row to begin with.
        last: Row to end before.
        waveforms: (rows, time).
        shifts: (rows,) samples to move later.
        output: (rows, time), written.
    """
    time = waveforms.shape[1]
    for row in range(first, last):
        shift = shifts[row]
        output[row, shift:] = waveforms[row, : time - shift]
        output[row, :shift] = waveforms[row, time - shift :]


@compiled
def replace_span(
    first: int,
    last: int,
    waveforms: Floats,
    starts: Integers,
    widths: Integers,
    fill: Floats,
    output: Floats,
) -> None:
    """Replace one span of each row; one that passes the end goes on at the start.

    Args:
        first: Row to begin with.
        last: Row to end before.
        waveforms: (rows, time).
        starts: (rows,) in [0, time).
        widths: (rows,) at most widest.
        fill: (rows, widest), at most time.
        output: (rows, time), written.
    """
    time = waveforms.shape[1]
    for row in range(first, last):
        out, start, width = output[row], starts[row], widths[row]
        inside = min(width, time - start)
        out[:] = waveforms[row]
        out[start : start + inside] = fill[row, :inside]
        out[: width - inside] = fill[row, inside:width]
