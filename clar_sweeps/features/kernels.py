"""The features' loops on a CPU, compiled: what lies before and behind their Fourier transform."""

import numpy as np

from clar_sweeps.compiled import Floats, Integers, compiled


@compiled
def cut_frames(
    first: int, last: int, waveforms: Floats, window: Floats, hop_length: int, frames: Floats
) -> None:
    """Windowed frames, centred at every hop; the ends of the waveform are mirrored.

    Args:
        first: Row to begin with.
        last: Row to end before.
        waveforms: (rows, time), longer than half a window.
        window: (window_length,).
        hop_length: Samples from frame to frame.
        frames: (rows, frames, n_fft), of which the first window_length samples are written.
    """
    length, time = len(window), waveforms.shape[1]
    for row in range(first, last):
        waveform = waveforms[row]
        for k in range(frames.shape[1]):
            inside, start = frames[row, k, :length], k * hop_length - (length + 1) // 2
            if start >= 0 and start + length <= time:
                source = waveform[start:][:length]
                for n in range(length):
                    inside[n] = source[n] * window[n]
            else:
                for n in range(length):
                    from_end = time - 1 - abs(start + n)
                    inside[n] = waveform[time - 1 - abs(from_end)] * window[n]


@compiled
def fold_spectra(
    first: int,
    last: int,
    spectra: Floats,
    stride: int,
    begins: Integers,
    weights: Floats,
    channels: Floats,
) -> None:
    """Rows of the STFT and mel power, with time behind frequency.

    Args:
        first: Row to begin with.
        last: Row to end before.
        spectra: (rows, frames, 2 * bins), real and imaginary parts in turn.
        stride: Bins from row to row of the STFT.
        begins: (bands,) the first bin of each mel filter.
        weights: (bands, widest) of each filter's bins from there on; zero behind its last.
        channels: (rows, 3, bands, frames), written: real and imaginary part of the STFT, mel power.
    """
    num_bands, widest = weights.shape
    num_bins = spectra.shape[2] // 2
    # Zeros behind, so that all filters are as long as the widest.
    power = np.zeros(num_bins + widest, np.float32)
    for row in range(first, last):
        real, imag, mel = channels[row, 0], channels[row, 1], channels[row, 2]
        for k in range(spectra.shape[1]):
            spectrum = spectra[row, k]
            for b in range(num_bins):
                x, y = spectrum[2 * b], spectrum[2 * b + 1]
                power[b] = x * x + y * y
            for band in range(num_bands):
                real[band, k] = spectrum[2 * band * stride]
                imag[band, k] = spectrum[2 * band * stride + 1]
                span, weight = power[begins[band] :][:widest], weights[band]
                total = np.float32(0.0)
                for n in range(widest):
                    total += span[n] * weight[n]
                mel[band, k] = total
