"""What the encoders read: the waveform itself, or three time-frequency images of it."""

import warnings
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clar_sweeps.compiled import share_out
from clar_sweeps.config import Definition
from clar_sweeps.features import kernels

# A floor instead of an offset: silence is -100 dB in both log-power channels.
_MIN_POWER = 1e-10

# Spectrum of one chunk of clips: on a CPU it stays in the cache of one core, elsewhere it bounds
# the memory.
_CHUNK_BYTES_CPU = 2 * 2**20
_CHUNK_BYTES = 256 * 2**20


class RawWaveform(nn.Module):
    """The waveform as an image of one channel: (batch, time) -> (batch, 1, time)."""

    def forward(self, waveforms: Tensor) -> Tensor:
        return waveforms.unsqueeze(1)


# Of the authors' code: the ends of its bins and filters in Hz, and its floors. It adds 1e-8 to the
# power of the STFT, so that silence is -100 dB there; mel power has a floor of -60 dB.
_RELEASED_F_MIN = 40.0
_RELEASED_F_MAX = 8000.0
_RELEASED_POWER_OFFSET = 1e-8
_RELEASED_FLOOR = 1e-5


class SpectralFeatures(nn.Module):
    """Log-power, phase and mel spectrogram of waveforms, stacked as channels.

    (batch, time) -> (batch, 3, num_bands, time // hop_length + 1), float32 also under autocast.
    Frames are Hann-windowed, padded by zeros to `n_fft`, centred; the clip's ends are mirrored.

    As the paper defines them:

    0. STFT, 10 log10 |S|^2 in dB
    1. STFT, phase in radians, in [-pi, pi], relative to the first sample of the window
    2. mel spectrogram of |S|^2 on Slaney's scale, each filter of unit area, 10 log10 in dB

    Row k of the STFT lies at k * sample_rate / (2 * num_bands) Hz. All three channels come from one
    FFT: the rows of the STFT are every n_fft / (2 * num_bands)-th of its bins.

    As the authors' code does:

    0. STFT, 20 log10 |S| - 20 in dB
    1. STFT, phase in radians, relative to the first of the `n_fft` samples
    2. mel spectrogram of |S|^2, the weights of each filter adding up to 1, 10 log10 - 10 in dB

    Row k of the STFT lies at 40 * 200 ** (k / num_bands) Hz, which no FFT gives: it is a product
    with the Fourier kernels. The mel filters lie between 40 and 8000 Hz.

    Args:
        definition: Whose definition.
        sample_rate: In Hz.
        num_bands: Rows of each channel.
        window_length: In samples; 256 is the paper's 16 ms.
        hop_length: In samples; 128 is the paper's 8 ms.
        n_fft: Length of the FFT, at least `window_length`; in the paper's definition a multiple of
            2 * num_bands.
        f_min: Lower end of the mel bands in Hz; None is 0, and 40 in the authors' code.
        f_max: Upper end of the mel bands in Hz; None is half of `sample_rate`, and 8000 in the
            authors' code.

    Raises:
        ValueError: `n_fft` does not fit the other lengths, or leaves a mel filter without a bin.

    Source: CLAR (arXiv:2010.09542), section 3.1 and equation 2; mel filters from nnAudio. The
    authors' code: main_unsupervised.py, get_features, and its copy of an early nnAudio with
    librosa 0.8, where norm=1 is a sum of 1 and not a unit area.
    """

    window: Tensor
    mel_filters: Tensor
    kernels: Tensor

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        num_bands: int = 128,
        window_length: int = 256,
        hop_length: int = 128,
        # The paper names no FFT length. 256, its window, would leave 13 of 128 mel filters empty.
        n_fft: int = 2048,
        f_min: float | None = None,
        f_max: float | None = None,
        definition: Definition = "paper",
    ) -> None:
        super().__init__()
        if definition not in get_args(Definition):
            names = ", ".join(map(repr, get_args(Definition)))
            raise ValueError(f"definition: {definition!r} is not one of {names}")
        is_released = definition == "released"
        if not is_released and n_fft % (2 * num_bands):
            raise ValueError(
                f"n_fft is {n_fft}, expected a multiple of 2 * num_bands = {2 * num_bands}"
            )
        if window_length > n_fft:
            raise ValueError(
                f"window_length is {window_length}, expected at most n_fft = {n_fft}; raise n_fft"
            )
        if is_released:
            f_min = _RELEASED_F_MIN if f_min is None else f_min
            f_max = _RELEASED_F_MAX if f_max is None else f_max
        filters = _mel_filters(
            sample_rate=sample_rate,
            num_bands=num_bands,
            n_fft=n_fft,
            f_min=f_min or 0.0,
            f_max=f_max,
        )
        if is_released:
            filters = filters / filters.sum(dim=1, keepdim=True)
            kernels = _log_spaced_kernels(
                sample_rate=sample_rate,
                num_bands=num_bands,
                window_length=window_length,
                n_fft=n_fft,
            )
            self.register_buffer("kernels", kernels, persistent=False)
        self._is_released = is_released
        self.num_bands = num_bands
        self.window_length = window_length
        self.hop_length = hop_length
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(window_length), persistent=False)
        self.register_buffer("mel_filters", filters, persistent=False)
        self._begins, self._weights = _without_zeros(filters)

    def forward(self, waveforms: Tensor) -> Tensor:
        if waveforms.ndim != 2 or waveforms.shape[1] <= (self.window_length + 1) // 2:
            raise ValueError(
                f"waveforms have shape {tuple(waveforms.shape)}, expected (batch, time) with time "
                f"above half of window_length = {self.window_length}"
            )
        with torch.autocast(waveforms.device.type, enabled=False):
            if self._is_released or waveforms.device.type != "cpu":
                return self._by_torch(waveforms.float())
            return self._compiled(waveforms.float())

    def _chunk(self, waveforms: Tensor, chunk_bytes: int) -> int:
        """Clips whose spectra take so many bytes."""
        num_frames = waveforms.shape[1] // self.hop_length + 1
        return max(1, chunk_bytes // (8 * num_frames * (self.n_fft // 2 + 1)))  # complex64

    def _released(self, frames: Tensor, mel: Tensor) -> Tensor:
        rows = F.linear(frames * self.window, self.kernels)  # (batch, frames, 2 * bands)
        real, imaginary = rows.transpose(1, 2).chunk(2, dim=1)
        power = real.square() + imaginary.square() + _RELEASED_POWER_OFFSET
        # 20 log10 of a magnitude is 10 log10 of its power; the floor of 1e-5 never acts on it.
        magnitude = power.log10().mul_(10).sub_(20)
        mel = mel.clamp_min(_RELEASED_FLOOR).log10().mul_(10).sub_(10)
        return torch.stack([magnitude, torch.atan2(imaginary, real), mel], dim=1)

    def _compiled(self, waveforms: Tensor) -> Tensor:
        """On one CPU thread about twice as many clips a second as by torch's operations."""
        num_frames = waveforms.shape[1] // self.hop_length + 1
        # As a convolution wants it, in one go with putting the chunks together.
        images = torch.empty(
            len(waveforms), 3, self.num_bands, num_frames, memory_format=torch.channels_last
        )

        def compute(chunk: tuple[Tensor, Tensor]) -> None:
            part, target = chunk
            target.copy_(self._images(part))

        size = self._chunk(waveforms, _CHUNK_BYTES_CPU)
        chunks = zip(torch.split(waveforms, size), torch.split(images, size), strict=True)
        share_out(compute, list(chunks))
        return images

    def _images(self, waveforms: Tensor) -> Tensor:
        """(clips, 3, bands, frames) of a chunk."""
        rows, num_frames = len(waveforms), waveforms.shape[1] // self.hop_length + 1
        frames = torch.zeros(rows, num_frames, self.n_fft)
        arrays = waveforms.contiguous().numpy(), self.window.numpy(), self.hop_length
        kernels.cut_frames(0, rows, *arrays, frames.numpy())
        spectra = torch.view_as_real(torch.fft.rfft(frames)).flatten(2)
        channels = torch.empty(rows, 3, self.num_bands, num_frames)
        stride = self.n_fft // (2 * self.num_bands)
        filters = self._begins.numpy(), self._weights.numpy()
        kernels.fold_spectra(0, rows, spectra.numpy(), stride, *filters, channels.numpy())
        real, imaginary, mel = channels.unbind(1)
        magnitude = real.square().addcmul_(imaginary, imaginary)
        # 0.0 makes 0.0 of -0.0, in which an FFT of silence may end: its phase is 0, not pi.
        torch.atan2(imaginary, real.add_(0.0), out=imaginary)
        torch.mul(magnitude.clamp_min_(_MIN_POWER).log10_(), 10, out=real)
        mel.clamp_min_(_MIN_POWER).log10_().mul_(10)
        return channels

    def _by_torch(self, waveforms: Tensor) -> Tensor:
        """For GPUs, and of the authors' definition: what `_compiled` gives on a CPU."""
        margins = ((self.window_length + 1) // 2, self.window_length // 2)
        padded = F.pad(waveforms.unsqueeze(1), margins, mode="reflect").squeeze(1)
        on_cpu = waveforms.device.type == "cpu"
        chunk_bytes = _CHUNK_BYTES_CPU * torch.get_num_threads() if on_cpu else _CHUNK_BYTES
        parts = torch.split(padded, self._chunk(waveforms, chunk_bytes))
        return torch.cat([self._images_by_torch(part) for part in parts])

    def _images_by_torch(self, padded: Tensor) -> Tensor:
        frames = padded.unfold(1, self.window_length, self.hop_length)  # (batch, frames, window)
        spectrum = torch.view_as_real(torch.fft.rfft(frames * self.window, n=self.n_fft))
        squares = spectrum.square()
        power = squares[..., 0] + squares[..., 1]  # sum(-1) over pairs takes ten times as long
        mel = F.linear(power, self.mel_filters).transpose(1, 2)  # (batch, bands, frames)
        if self._is_released:
            return self._released(frames, mel)

        stride = self.n_fft // (2 * self.num_bands)
        rows = spectrum[:, :, : self.n_fft // 2 : stride]
        real, imaginary = rows.permute(3, 0, 2, 1).contiguous()  # (batch, bands, frames)
        magnitude = real.square() + imaginary.square()
        phase = torch.atan2(imaginary, real)
        return torch.stack([_decibels(magnitude), phase, _decibels(mel)], dim=1)


def _decibels(power: Tensor) -> Tensor:
    return power.clamp_min(_MIN_POWER).log10().mul(10)


def _without_zeros(filters: Tensor) -> tuple[Tensor, Tensor]:
    """The first bin of each filter, (bands,), and its weights from there on, (bands, widest)."""
    begins = (filters > 0).int().argmax(dim=1)
    widest = int((filters > 0).sum(dim=1).max())
    padded = F.pad(filters, (0, widest))
    bins = begins[:, None] + torch.arange(widest)
    return begins, padded.gather(1, bins)


def _log_spaced_kernels(
    *, sample_rate: int, num_bands: int, window_length: int, n_fft: int
) -> Tensor:
    """Real, then imaginary parts of the Fourier kernels of nnAudio's STFT: (2 * bands, window)."""
    from nnAudio.utils import create_fourier_kernels

    sines, cosines, *_ = create_fourier_kernels(
        n_fft,
        win_length=window_length,
        freq_bins=num_bands,
        freq_scale="log",
        fmin=_RELEASED_F_MIN,
        fmax=_RELEASED_F_MAX,
        sr=sample_rate,
        verbose=False,
    )
    start = (n_fft - window_length) // 2  # the window is centred
    kernels = torch.cat([torch.from_numpy(cosines), -torch.from_numpy(sines)]).squeeze(1)
    return kernels[:, start : start + window_length].contiguous()


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
