"""Sounds whose stretched and shifted forms are known, and how far two sounds are apart."""

import librosa
import numpy as np
import torch
from torch import Tensor

TIME = 16_000  # one second at 16 kHz


def peak_hz(waveform: Tensor) -> float:
    """Frequency of the highest peak to 0.02 Hz, by a long windowed transform of the middle."""
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4].numpy()
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 20))
    return float(np.argmax(spectrum) * 16_000 / (1 << 20))


def cents(frequency: float, reference: float) -> float:
    return float(1200 * np.log2(frequency / reference))


def log_mel(waveform: Tensor | np.ndarray) -> np.ndarray:
    """(64, frames) dB, floored 50 dB below the maximum."""
    power = librosa.feature.melspectrogram(
        y=np.asarray(waveform), sr=16_000, n_fft=512, hop_length=128, n_mels=64
    )
    return librosa.power_to_db(power, ref=1.0, top_db=50.0)


def mel_difference(first: Tensor | np.ndarray, second: Tensor | np.ndarray) -> float:
    """Mean absolute difference in dB."""
    return float(np.mean(np.abs(log_mel(first) - log_mel(second))))


def sung(*, ratio: float = 1.0, rate: float = 1.0) -> Tensor:
    """(TIME,): two syllables with vibrato, or what shifting or stretching them must give."""
    time = np.arange(TIME) / 16_000 * rate
    pitch = 130 * (1 + 0.06 * np.sin(2 * np.pi * 4 * time))
    phase = 2 * np.pi * np.cumsum(pitch * ratio) / 16_000
    waveform = np.zeros(TIME)
    for harmonic in range(1, 60):
        hz = harmonic * pitch
        formants = sum(
            gain / (1 + ((hz - centre) / width) ** 2)
            for centre, width, gain in ((600, 90, 1.0), (1400, 120, 0.5), (2700, 200, 0.25))
        )
        audible = hz * ratio < 7600
        waveform += formants * audible * np.cos(harmonic * phase + 0.1 * harmonic**2)
    for start, end in ((0.1, 0.35), (0.45, 0.8)):
        edge = np.minimum((time - start) / 0.01, (end - time) / 0.03)
        inside = (time >= start) & (time < end)
        waveform[inside] *= np.clip(edge, 0, 1)[inside]
    waveform[(time < 0.1) | ((time >= 0.35) & (time < 0.45)) | (time >= 0.8)] = 0.0
    return torch.from_numpy(0.1 * waveform).float()
