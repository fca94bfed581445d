"""A phase vocoder from the textbook: angles, wrapped phase advances, one frame at a time."""

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float64]


def vocode(
    waveform: Waveform, *, analysis: int, synthesis: int, rate: float, num_samples: int
) -> Waveform:
    """Stretch by `rate` frames a frame, and move the pitch by analysis / synthesis.

    Phases advance by the expected advance of the bin plus the wrapped deviation from it
    (Flanagan and Golden, 1966; Dolson, 1986). What each bin was turned by is then averaged over
    three bins, weighted by power.
    """
    hop_in, hop_out = analysis // 4, synthesis // 4
    num_out = int(np.ceil((num_samples + synthesis // 2) / hop_out))
    num_in = int(num_out * rate) + 3
    padded = np.zeros((num_in - 1) * hop_in + analysis + len(waveform))
    padded[analysis // 2 : analysis // 2 + len(waveform)] = waveform
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(analysis) / analysis)
    spectra = [
        np.fft.rfft(window * padded[i * hop_in : i * hop_in + analysis]) for i in range(num_in)
    ]
    num_bins = min(analysis, synthesis) // 2 + (analysis == synthesis)
    expected = 2 * np.pi * hop_in * np.arange(num_bins) / analysis

    window_out = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(synthesis) / synthesis)
    total = np.zeros((num_out + 4) * hop_out)
    envelope = np.zeros_like(total)
    phase = np.angle(spectra[0][:num_bins])
    for k in range(num_out):
        position = k * rate
        i = int(np.floor(position))
        here, after = spectra[i][:num_bins], spectra[i + 1][:num_bins]
        alpha = position - i
        magnitude = (1 - alpha) * np.abs(here) + alpha * np.abs(after)
        turned = phase - np.angle(here)
        mean = np.convolve(np.abs(here) ** 2 * np.exp(1j * turned), np.ones(3), mode="same")
        locked = np.angle(here) + np.angle(mean)
        spectrum = np.zeros(synthesis // 2 + 1, dtype=complex)
        spectrum[:num_bins] = magnitude * np.exp(1j * locked)
        frame = np.fft.irfft(spectrum, n=synthesis) * synthesis / analysis
        start = k * hop_out
        total[start : start + synthesis] += window_out * frame
        envelope[start : start + synthesis] += window_out**2
        deviation = np.angle(after) - np.angle(here) - expected
        deviation -= 2 * np.pi * np.round(deviation / (2 * np.pi))
        phase = phase + expected + deviation
    span = slice(synthesis // 2, synthesis // 2 + num_samples)
    return total[span] / envelope[span]
