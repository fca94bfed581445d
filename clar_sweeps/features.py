"""What the encoders read: the waveform itself, or three time-frequency images of it."""

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# A floor instead of an offset: silence is -100 dB in both log-power channels.
_MIN_POWER = 1e-10

# Spectrum of one chunk of clips. On a CPU it stays in the cache: 2.3 times as many clips a second
# as a whole batch of 128 at the paper's size, 1.5 times at 32 bands and hop 256 (one thread).
# Elsewhere it bounds the memory.
_CHUNK_BYTES_CPU = 2 * 2**20
_CHUNK_BYTES = 256 * 2**20


class RawWaveform(nn.Module):
    """The waveform as an image of one channel: (batch, time) -> (batch, 1, time)."""

    def forward(self, waveforms: Tensor) -> Tensor:
        return waveforms.unsqueeze(1)


class SpectralFeatures(nn.Module):
    """Log-power, phase and mel spectrogram of waveforms, stacked as channels.

    (batch, time) -> (batch, 3, num_bands, time // hop_length + 1), float32 also under autocast:

    0. STFT, 10 log10 |S|^2 in dB
    1. STFT, phase in radians, in [-pi, pi], relative to the first sample of the window
    2. mel spectrogram of |S|^2 on Slaney's scale, each filter of unit area, 10 log10 in dB

    Row k of the STFT lies at k * sample_rate / (2 * num_bands) Hz. All three channels come from one
    FFT of the Hann-windowed frame, padded by zeros to `n_fft`: the rows of the STFT are every
    n_fft / (2 * num_bands)-th of its bins. Frames are centred, the ends mirrored.

    Args:
        sample_rate: In Hz.
        num_bands: Rows of each channel.
        window_length: In samples; 256 is the paper's 16 ms.
        hop_length: In samples; 128 is the paper's 8 ms.
        n_fft: Length of the FFT, a multiple of 2 * num_bands and at least `window_length`.
        f_min: Lower end of the mel bands in Hz.
        f_max: Upper end of the mel bands in Hz; None is half of `sample_rate`.

    Raises:
        ValueError: `n_fft` does not fit the other lengths, or leaves a mel filter without a bin.

    Source: CLAR (arXiv:2010.09542), section 3.1 and equation 2; mel filters from nnAudio.
    """

    window: Tensor
    mel_filters: Tensor

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        num_bands: int = 128,
        window_length: int = 256,
        hop_length: int = 128,
        # The paper names no FFT length. 256, its window, would leave 13 of 128 mel filters empty.
        n_fft: int = 2048,
        f_min: float = 0.0,
        f_max: float | None = None,
    ) -> None:
        super().__init__()
        if n_fft % (2 * num_bands):
            raise ValueError(
                f"n_fft is {n_fft}, expected a multiple of 2 * num_bands = {2 * num_bands}"
            )
        if window_length > n_fft:
            raise ValueError(
                f"window_length is {window_length}, expected at most n_fft = {n_fft}; raise n_fft"
            )
        filters = _mel_filters(
            sample_rate=sample_rate, num_bands=num_bands, n_fft=n_fft, f_min=f_min, f_max=f_max
        )
        self.num_bands = num_bands
        self.window_length = window_length
        self.hop_length = hop_length
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(window_length), persistent=False)
        self.register_buffer("mel_filters", filters, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        if waveforms.ndim != 2 or waveforms.shape[1] <= (self.window_length + 1) // 2:
            raise ValueError(
                f"waveforms have shape {tuple(waveforms.shape)}, expected (batch, time) with time "
                f"above half of window_length = {self.window_length}"
            )
        num_frames = waveforms.shape[1] // self.hop_length + 1
        on_cpu = waveforms.device.type == "cpu"
        clip_bytes = 8 * num_frames * (self.n_fft // 2 + 1)  # complex64
        chunk = max(1, (_CHUNK_BYTES_CPU if on_cpu else _CHUNK_BYTES) // clip_bytes)
        with torch.autocast(waveforms.device.type, enabled=False):
            return torch.cat(
                [self._features(part) for part in torch.split(waveforms.float(), chunk)]
            )

    def _features(self, waveforms: Tensor) -> Tensor:
        margins = ((self.window_length + 1) // 2, self.window_length // 2)
        padded = F.pad(waveforms.unsqueeze(1), margins, mode="reflect").squeeze(1)
        frames = padded.unfold(1, self.window_length, self.hop_length)  # (batch, frames, window)
        # On one CPU thread 1.9 (the paper's size) to 3.7 times as fast as a product with windowed
        # Fourier kernels, and 1.1 times as fast as a second FFT of 2 * num_bands for the STFT.
        spectrum = torch.view_as_real(torch.fft.rfft(frames * self.window, n=self.n_fft))
        squares = spectrum.square()
        power = squares[..., 0] + squares[..., 1]  # sum(-1) over pairs takes ten times as long
        mel = F.linear(power, self.mel_filters).transpose(1, 2)  # (batch, bands, frames)

        stride = self.n_fft // (2 * self.num_bands)
        rows = spectrum[:, :, : self.n_fft // 2 : stride]
        real, imaginary = rows.permute(3, 0, 2, 1).contiguous()  # (batch, bands, frames)
        magnitude = real.square() + imaginary.square()
        phase = torch.atan2(imaginary, real)
        return torch.stack([_decibels(magnitude), phase, _decibels(mel)], dim=1)


def _decibels(power: Tensor) -> Tensor:
    return power.clamp_min(_MIN_POWER).log10().mul(10)


def _mel_filters(
    *, sample_rate: int, num_bands: int, n_fft: int, f_min: float, f_max: float | None
) -> Tensor:
    """Filters of nnAudio's MelSpectrogram, (num_bands, n_fft / 2 + 1)."""
    from nnAudio.librosa_functions import get_mel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # empty filters: an error below
        filters = torch.from_numpy(
            get_mel(sample_rate, n_fft, n_mels=num_bands, fmin=f_min, fmax=f_max)
        )
    num_empty = int((filters.amax(dim=1) <= 0).sum())
    if num_empty:
        raise ValueError(
            f"{num_empty} of {num_bands} mel filters have no frequency bin at n_fft {n_fft}; "
            "raise n_fft or lower num_bands"
        )
    return filters
