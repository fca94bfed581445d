"""Vocal tract, room, noise and microphone for the spoken digits. numpy and soxr only."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
CLIP_LENGTH = SAMPLE_RATE
ROOM_LENGTH = 6_400
# At least CLIP_LENGTH + ROOM_LENGTH, so that the convolution does not wrap; a product of 2, 3, 5.
N_FFT = 22_500
_FREQUENCIES = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
_TRIM_BELOW_PEAK = 10 ** (-45 / 20)
_FADE_SECONDS = 0.004

Array = NDArray[np.float32]
Spectrum = NDArray[np.complexfloating]
NoiseType = Literal["white", "pink", "brown", "speech", "hum"]
NOISE_TYPES: tuple[NoiseType, ...] = get_args(NoiseType)


class Microphone(NamedTuple):
    """Band of a microphone: -3 dB at both cut-offs, 12 dB and 24 dB an octave beyond."""

    low_cut_hz: float
    high_cut_hz: float


def trim_silence(waveform: Array) -> Array:
    """Drop what is more than 45 dB below the peak at both ends; fade in and out over 4 ms."""
    loud = np.flatnonzero(np.abs(waveform) > _TRIM_BELOW_PEAK * np.abs(waveform).max())
    trimmed = waveform[loud[0] : loud[-1] + 1].copy()
    num_fade = min(int(_FADE_SECONDS * SAMPLE_RATE), len(trimmed) // 2)
    if num_fade:
        ramp = np.linspace(0, 1, num_fade, dtype=np.float32)
        trimmed[:num_fade] *= ramp
        trimmed[-num_fade:] *= ramp[::-1]
    return trimmed


def resample_as_vocal_tract(waveform: Array, *, sample_rate: int, factor: float) -> Array:
    """Resample to 16 kHz as if it had been recorded at `factor` times its rate.

    All formants move by `factor`, as with a vocal tract 1 / factor as long; pitch and tempo
    move along.
    """
    import soxr

    resampled: Array = soxr.resample(waveform, sample_rate * factor, SAMPLE_RATE)
    return resampled


def sample_room(
    *, direct_to_reverberant_db: float, rt60_seconds: float, generator: np.random.Generator
) -> Array:
    """Draw an impulse response: the direct sound, then Gaussian noise that decays.

    Args:
        direct_to_reverberant_db: Energy of the direct sound over that of the tail.
        rt60_seconds: Time in which the tail decays by 60 dB.
        generator: Draws the tail.

    Returns:
        (ROOM_LENGTH,), 1 at position 0.
    """
    time = np.arange(ROOM_LENGTH) / SAMPLE_RATE
    tail = generator.standard_normal(ROOM_LENGTH) * 10 ** (-3 * time / rt60_seconds)
    tail[: int(0.002 * SAMPLE_RATE)] = 0
    tail *= 10 ** (-direct_to_reverberant_db / 20) / np.linalg.norm(tail)
    tail[0] = 1
    return np.asarray(tail, dtype=np.float32)


def sample_noise(noise_type: NoiseType, *, num_clips: int, generator: np.random.Generator) -> Array:
    """Draw stationary noise of one colour.

    Returns:
        (num_clips, N_FFT), root mean square 1 a row.
    """
    shape = _noise_shape(noise_type)
    white = generator.standard_normal((num_clips, N_FFT), dtype=np.float32)
    noise = _filter(white, shape)
    rms = np.sqrt(np.mean(noise**2, axis=1, keepdims=True))
    return np.asarray(noise / rms, dtype=np.float32)


def record(
    *, speech: Array, room: Array, noise: Array, microphone: Microphone, snr_db: Array, rms: Array
) -> NDArray[np.int16]:
    """Sound speech in a room, add noise, and pick both up with a microphone.

    Args:
        speech: (clips, CLIP_LENGTH) dry.
        room: (ROOM_LENGTH,) impulse response.
        noise: (clips, N_FFT), root mean square 1.
        microphone: Its band.
        snr_db: (clips,) loudest 0.1 s of the reverberant speech over the noise.
        rms: (clips,) level of that loudest 0.1 s in the recording, full scale 1.

    Returns:
        (clips, CLIP_LENGTH) int16.
    """
    wet = _filter(speech, np.fft.rfft(room, N_FFT))
    loudness = _loudest_rms(wet[:, :CLIP_LENGTH])
    gain = np.asarray(loudness * 10 ** (-snr_db / 20), dtype=np.float32)
    noisy: Array = wet + noise * gain[:, None]
    heard = _filter(noisy, _response(microphone))[:, :CLIP_LENGTH]
    heard = heard * np.divide(rms, _loudest_rms(heard))[:, None]  # (clips, CLIP_LENGTH)
    return np.asarray(np.clip(np.rint(heard * 32_768), -32_768, 32_767), dtype=np.int16)


def _filter(waveforms: Array, response: Array | Spectrum) -> Array:
    """Multiply the spectrum of waveforms of at most N_FFT samples by a response."""
    spectrum = np.fft.rfft(waveforms, N_FFT) * response
    return np.asarray(np.fft.irfft(spectrum, N_FFT), dtype=np.float32)


def _loudest_rms(waveforms: Array) -> Array:
    blocks = waveforms.reshape(len(waveforms), -1, 1_600)
    return np.asarray(np.sqrt(np.mean(blocks**2, axis=2)).max(axis=1), dtype=np.float32)


def _noise_shape(noise_type: NoiseType) -> Array:
    """Amplitude of the noise at each frequency, up to a factor."""
    frequencies = np.maximum(_FREQUENCIES, 40)
    shapes = {
        "white": np.ones_like(frequencies),
        "pink": frequencies**-0.5,
        "brown": 1 / frequencies,
        # Long-term average of speech: flat to 500 Hz, then 9 dB an octave down.
        "speech": np.minimum(1, (frequencies / 500) ** -1.5),
        "hum": frequencies**-0.5 * (1 + 30 * (np.abs((frequencies + 25) % 50 - 25) < 1)),
    }
    return np.asarray(shapes[noise_type], dtype=np.float32)


def _response(microphone: Microphone) -> Array:
    frequencies = np.maximum(_FREQUENCIES, 1)
    low = 1 / np.sqrt(1 + (microphone.low_cut_hz / frequencies) ** 4)
    high = 1 / np.sqrt(1 + (frequencies / microphone.high_cut_hz) ** 8)
    return np.asarray(low * high, dtype=np.float32)
