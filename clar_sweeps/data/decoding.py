"""Sound files to clips: decode, mix to mono, resample, pad or clip, int16."""

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.data.wholeness import missing_part
from clar_sweeps.errors import DataError

SAMPLE_RATE = 16_000
_INT16_SCALE = 32_768.0
_RESTORE = "delete the file or restore it from the dataset's archive"

Sample = TypeVar("Sample", bound=np.generic)


class ClipError(DataError):
    """One clip cannot be used.

    Attributes:
        path: Of the clip.
        reason: What is wrong, without place and remedy.
    """

    def __init__(self, path: Path, reason: str, remedy: str = _RESTORE) -> None:
        super().__init__(f"clip {path}: {reason}; {remedy}")
        self.path = path
        self.reason = reason


def decode_clip(
    path: Path, *, clip_length: int, required_sample_rate: int | None = None
) -> NDArray[np.int16]:
    """Read one sound file as a 16 kHz mono clip.

    A 16 kHz mono 16-bit file comes back bit for bit.

    Args:
        path: Any format that libsndfile reads.
        clip_length: Samples at 16 kHz; a shorter clip is padded and a longer one clipped,
            both on the right.
        required_sample_rate: Hz that the file must have; None resamples what it has.

    Returns:
        (clip_length,) int16.

    Raises:
        ClipError: the file is missing, corrupt, cut short, empty, not finite, or wrongly sampled.
    """
    waveform, sample_rate = _read(path)
    if required_sample_rate is not None and sample_rate != required_sample_rate:
        raise ClipError(
            path,
            f"sample_rate is {sample_rate} Hz, expected {required_sample_rate}",
            "resample the file or restore it from the dataset's archive",
        )
    if not len(waveform):
        raise ClipError(path, "holds 0 samples, expected at least 1")
    if waveform.dtype == np.int16:
        if sample_rate == SAMPLE_RATE and waveform.ndim == 1:
            return _fit_right(waveform, clip_length)
        waveform = waveform.astype(np.float32) / _INT16_SCALE
    mono = _mono(waveform)
    if not np.isfinite(mono).all():
        position = int(np.argmin(np.isfinite(mono)))
        raise ClipError(path, f"sample {position} is {mono[position]}, expected finite numbers")
    if sample_rate != SAMPLE_RATE:
        import soxr

        mono = soxr.resample(mono, sample_rate, SAMPLE_RATE)
    return _to_int16(_fit_right(mono, clip_length))


def _read(path: Path) -> tuple[NDArray[Any], int]:
    """Samples, (time,) or (time, channels), as int16 where the file holds 16 bits, else float32."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            dtype = "int16" if file.subtype == "PCM_16" else "float32"
            samples: NDArray[Any] = file.read(dtype=dtype)
            sample_rate, promised = int(file.samplerate), int(file.frames)
        missing = missing_part(path, frames=len(samples), promised_frames=promised)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = " ".join(str(getattr(error, "error_string", error)).split()).rstrip(".")
        raise ClipError(
            path, f"cannot be decoded ({reason or 'libsndfile gives no reason'})"
        ) from error
    if missing:
        raise ClipError(path, missing)
    return samples, sample_rate


def _mono(waveform: NDArray[Any]) -> NDArray[np.float32]:
    channels = np.asarray(waveform, dtype=np.float32)
    return channels if channels.ndim == 1 else np.asarray(channels.mean(axis=1))


def _fit_right(waveform: NDArray[Sample], length: int) -> NDArray[Sample]:
    if len(waveform) >= length:
        return waveform[:length]
    return np.pad(waveform, (0, length - len(waveform)))


def _to_int16(waveform: NDArray[np.float32]) -> NDArray[np.int16]:
    # Resampling overshoots at full scale, so clip before the cast would wrap around.
    return np.asarray(np.clip(np.rint(waveform * _INT16_SCALE), -32_768, 32_767), dtype=np.int16)
