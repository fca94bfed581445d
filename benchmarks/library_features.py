"""The features of the 2-D encoder by the layers of libraries."""

import torch
import torchaudio
from nnAudio.features import STFT, MelSpectrogram
from torch import Tensor, nn

from clar_sweeps.config import SAMPLE_RATE, FeatureConfig


class NnAudioFeatures(nn.Module):
    """What `SpectralFeatures` gives, by nnAudio's two layers, which convolve."""

    def __init__(self, features: FeatureConfig) -> None:
        super().__init__()
        lengths = {
            "n_fft": features.n_fft,
            "win_length": features.window_length,
            "hop_length": features.hop_length,
        }
        given = {"sr": SAMPLE_RATE, "fmin": 0.0, "fmax": SAMPLE_RATE / 2, "verbose": False}
        bins = {"freq_bins": features.num_bands, "freq_scale": "linear"}
        self.stft = STFT(**lengths, **given, **bins)
        self.mel = MelSpectrogram(n_mels=features.num_bands, **lengths, **given)

    def forward(self, waveforms: Tensor) -> Tensor:
        real, imaginary = self.stft(waveforms).unbind(3)
        return _stack(real, imaginary, self.mel(waveforms))


class TorchaudioFeatures(nn.Module):
    """What `SpectralFeatures` gives, by torchaudio's layers: one FFT for all three channels."""

    def __init__(self, features: FeatureConfig) -> None:
        super().__init__()
        self.stft = torchaudio.transforms.Spectrogram(
            features.n_fft, features.window_length, features.hop_length, power=None
        )
        self.mel = torchaudio.transforms.MelScale(
            features.num_bands,
            SAMPLE_RATE,
            n_stft=features.n_fft // 2 + 1,
            norm="slaney",
            mel_scale="slaney",
        )
        self.rows = slice(0, features.n_fft // 2, features.n_fft // (2 * features.num_bands))

    def forward(self, waveforms: Tensor) -> Tensor:
        spectrum = torch.view_as_real(self.stft(waveforms))
        real, imaginary = spectrum[:, self.rows].unbind(3)
        squares = spectrum.square()
        return _stack(real, imaginary, self.mel(squares[..., 0] + squares[..., 1]))


def _stack(real: Tensor, imaginary: Tensor, mel: Tensor) -> Tensor:
    decibels = torchaudio.functional.amplitude_to_DB
    power = real.square() + imaginary.square()
    channels = [decibels(each, 10.0, 1e-10, 0.0) for each in (power, mel)]
    channels.insert(1, torch.atan2(imaginary, real))
    return torch.stack(channels, dim=1)
