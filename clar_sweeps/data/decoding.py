"""Sound files to clips: decode, mix to mono, resample, pad or clip, int16."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.errors import DataError

SAMPLE_RATE = 16_000
_INT16_SCALE = 32_768.0


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
        DataError: the file is missing, corrupt, empty, not finite, or wrongly sampled.
    """
    waveform, sample_rate = _read_mono(path)
    if required_sample_rate is not None and sample_rate != required_sample_rate:
        raise DataError(
            f"clip {path}: sample_rate is {sample_rate} Hz, expected {required_sample_rate}; "
            "resample the file or restore it from the dataset's archive"
        )
    if not len(waveform):
        raise DataError(
            f"clip {path}: holds 0 samples, expected at least 1; "
            "delete the file or restore it from the dataset's archive"
        )
    if not np.isfinite(waveform).all():
        position = int(np.argmin(np.isfinite(waveform)))
        raise DataError(
            f"clip {path}: sample {position} is {waveform[position]}, expected finite numbers; "
            "delete the file or restore it from the dataset's archive"
        )
    if sample_rate != SAMPLE_RATE:
        import soxr

        waveform = soxr.resample(waveform, sample_rate, SAMPLE_RATE)
    return _to_int16(_fit_right(waveform, clip_length))


def _read_mono(path: Path) -> tuple[NDArray[np.float32], int]:
    import soundfile

    try:
        channels, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = " ".join(str(getattr(error, "error_string", error)).split())
        raise DataError(
            f"clip {path}: cannot be decoded ({reason.rstrip('.')}); "
            "delete the file or restore it from the dataset's archive"
        ) from error
    return channels.mean(axis=1), int(sample_rate)


def _fit_right(waveform: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    if len(waveform) >= length:
        return waveform[:length]
    return np.pad(waveform, (0, length - len(waveform)))


def _to_int16(waveform: NDArray[np.float32]) -> NDArray[np.int16]:
    # Resampling overshoots at full scale, so clip before the cast would wrap around.
    return np.asarray(np.clip(np.rint(waveform * _INT16_SCALE), -32_768, 32_767), dtype=np.int16)
