"""One sound file to one clip, and every way in which a file can be unusable."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from clar_sweeps.data.decoding import decode_clip
from clar_sweeps.errors import DataError


def tone(frequency: float, *, sample_rate: int, seconds: float) -> NDArray[np.float64]:
    time = np.arange(round(sample_rate * seconds)) / sample_rate
    return np.asarray(0.5 * np.sin(2 * np.pi * frequency * time))


def error_of(path: Path, *, required_sample_rate: int | None = None) -> str:
    with pytest.raises(DataError) as caught:
        decode_clip(path, clip_length=16_000, required_sample_rate=required_sample_rate)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_16_khz_mono_16_bit_comes_back_bit_for_bit(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-32_768, 32_768, 16_000).astype(np.int16)
    samples[:2] = -32_768, 32_767
    soundfile.write(tmp_path / "clip.wav", samples, 16_000, subtype="PCM_16")
    assert np.array_equal(decode_clip(tmp_path / "clip.wav", clip_length=16_000), samples)


def test_short_clip_is_padded_on_the_right(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", np.array([1, 2, 3], dtype=np.int16), 16_000)
    assert decode_clip(tmp_path / "clip.wav", clip_length=5).tolist() == [1, 2, 3, 0, 0]


def test_long_clip_is_clipped_on_the_right(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", np.array([1, 2, 3], dtype=np.int16), 16_000)
    assert decode_clip(tmp_path / "clip.wav", clip_length=2).tolist() == [1, 2]


def test_stereo_is_mixed_to_the_mean(tmp_path: Path) -> None:
    stereo = np.array([[100, 300], [-200, 0]], dtype=np.int16)
    soundfile.write(tmp_path / "clip.wav", stereo, 16_000)
    assert decode_clip(tmp_path / "clip.wav", clip_length=2).tolist() == [200, -100]


@pytest.mark.parametrize("sample_rate", [8_000, 44_100])
def test_other_rates_are_resampled_to_the_same_tone(tmp_path: Path, sample_rate: int) -> None:
    soundfile.write(tmp_path / "clip.wav", tone(440, sample_rate=sample_rate, seconds=1), 44_100)
    soundfile.write(
        tmp_path / "clip.wav", tone(440, sample_rate=sample_rate, seconds=1), sample_rate
    )
    clip = decode_clip(tmp_path / "clip.wav", clip_length=16_000) / 32_768
    expected = tone(440, sample_rate=16_000, seconds=1)
    assert np.abs(clip - expected)[500:-500].max() < 1e-3


def test_full_scale_does_not_wrap_around_after_resampling(tmp_path: Path) -> None:
    square = np.sign(tone(100, sample_rate=8_000, seconds=0.1) + 1e-9)
    soundfile.write(tmp_path / "clip.wav", square, 8_000, subtype="FLOAT")
    clip = decode_clip(tmp_path / "clip.wav", clip_length=1_600)
    assert np.sign(clip[20:60]).min() == 1


def test_wrong_rate_is_refused_where_one_is_required(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", np.zeros(100), 44_100)
    message = error_of(tmp_path / "clip.wav", required_sample_rate=16_000)
    assert "sample_rate is 44100 Hz, expected 16000; resample the file" in message


def test_empty_file_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", np.zeros(0), 16_000)
    assert "holds 0 samples, expected at least 1; delete" in error_of(tmp_path / "clip.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_clip_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    samples = np.zeros(100, dtype=np.float32)
    samples[7] = value
    soundfile.write(tmp_path / "clip.wav", samples, 16_000, subtype="FLOAT")
    message = error_of(tmp_path / "clip.wav")
    assert f"sample 7 is {value}, expected finite numbers; delete" in message


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all" * 100])
def test_corrupt_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip.wav").write_bytes(content)
    assert "cannot be decoded" in error_of(tmp_path / "clip.wav")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be decoded" in error_of(tmp_path / "clip.wav")


def test_wav_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.ones(1_000, dtype=np.int16), 16_000)
    decode_clip(path, clip_length=16_000)
    os.truncate(path, path.stat().st_size - 1)
    assert "holds 1999 bytes of sound, expected the 2000 of its header" in error_of(path)


def test_wav_with_a_length_that_its_writer_did_not_know_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.arange(1_000, dtype=np.int16), 16_000)
    content = bytearray(path.read_bytes())
    for at in (4, content.index(b"data") + 4):
        content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert decode_clip(path, clip_length=1_000).tolist() == list(range(1_000))


@pytest.mark.parametrize("name", ["clip.ogg", "clip.flac", "clip.aiff"])
def test_other_formats_that_were_cut_short_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, tone(440, sample_rate=44_100, seconds=5), 44_100)
    decode_clip(path, clip_length=16_000)
    for fraction in (0.99, 0.5):
        os.truncate(path, int(fraction * path.stat().st_size))
        message = error_of(path)
        assert "Ogg page" in message or "cannot be decoded" in message or "holds" in message


def test_ogg_that_ends_behind_a_whole_page_that_is_not_the_last_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.ogg"
    soundfile.write(path, tone(440, sample_rate=44_100, seconds=5), 44_100)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"OggS")])
    assert "ends before the last page of its Ogg stream, expected that page" in error_of(path)


def test_real_recordings_count_as_whole(real_recordings: Path) -> None:
    paths = [
        *sorted((real_recordings / "esc10" / "audio").glob("*.ogg"))[:20],
        *sorted(real_recordings.glob("*_sample/*/*.wav"))[:100],
        *sorted(real_recordings.glob("*_sample/*/audio/*.wav"))[:20],
    ]
    assert len(paths) == 140
    for path in paths:
        decode_clip(path, clip_length=16_000)
