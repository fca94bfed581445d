"""One frame of the features from the definition of the Fourier transform."""

import cmath
import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def frame_spectrum(
    waveform: Array, *, centre: int, window_length: int, n_fft: int
) -> list[complex]:
    """Bins 0 to n_fft / 2 of the Hann-windowed frame around sample `centre`, by explicit sums."""
    samples = []
    for offset in range(window_length):
        index = centre - window_length // 2 + offset
        if index < 0:
            index = -index
        if index >= len(waveform):
            index = 2 * (len(waveform) - 1) - index
        hann = 0.5 - 0.5 * math.cos(2 * math.pi * offset / window_length)
        samples.append(hann * float(waveform[index]))
    return [
        sum(
            sample * cmath.exp(-2j * math.pi * bin_index * offset / n_fft)
            for offset, sample in enumerate(samples)
        )
        for bin_index in range(n_fft // 2 + 1)
    ]


def mel_powers(spectrum: list[complex], *, sample_rate: int, num_bands: int) -> list[float]:
    """Triangles of unit area in Hz, equally spaced on Slaney's mel scale from 0 Hz to Nyquist."""
    bin_width = sample_rate / (2 * (len(spectrum) - 1))
    top = _hz_to_mel(sample_rate / 2)
    corners = [_mel_to_hz(top * index / (num_bands + 1)) for index in range(num_bands + 2)]
    powers = []
    for low, peak, high in zip(corners, corners[1:], corners[2:], strict=False):
        power = 0.0
        for bin_index, value in enumerate(spectrum):
            frequency = bin_index * bin_width
            height = min((frequency - low) / (peak - low), (high - frequency) / (high - peak))
            power += max(height, 0.0) * 2 / (high - low) * abs(value) ** 2
        powers.append(power)
    return powers


def _hz_to_mel(frequency: float) -> float:
    """Linear below 1000 Hz, 15 mel; then 27 steps for a factor of 6.4 (Slaney 1998)."""
    if frequency < 1000:
        return 3 * frequency / 200
    return 15 + 27 * math.log(frequency / 1000) / math.log(6.4)


def _mel_to_hz(mel: float) -> float:
    if mel < 15:
        return 200 * mel / 3
    return 1000 * math.exp(math.log(6.4) * (mel - 15) / 27)
