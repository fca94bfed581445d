"""Decoding side by side: the same bytes, bounded memory, all faults told."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from clar_sweeps.data import writing
from clar_sweeps.data.decoding import decode_clip
from clar_sweeps.data.writing import write_samples
from clar_sweeps.errors import DataError


def write_clips(folder: Path, *, num_clips: int) -> list[Path]:
    """Clip i holds the value i."""
    paths = [folder / f"{index:04d}.wav" for index in range(num_clips)]
    for index, path in enumerate(paths):
        soundfile.write(path, np.full(10, index, dtype=np.int16), 16_000)
    return paths


def write(folder: Path, clips: list[Path]) -> str:
    return write_samples(folder / "samples.npy", clips, clip_length=10, required_sample_rate=16_000)


@pytest.mark.parametrize("num_clips", [1, 15, 16, 17, 200])
def test_rows_are_the_clips_in_their_order(tmp_path: Path, num_clips: int) -> None:
    clips = write_clips(tmp_path, num_clips=num_clips)
    checksum = write(tmp_path, clips)
    samples = np.load(tmp_path / "samples.npy")
    expected = np.stack([decode_clip(path, clip_length=10) for path in clips])
    assert np.array_equal(samples, expected)
    assert samples.dtype == np.int16
    assert checksum == hashlib.sha256(expected.tobytes()).hexdigest()


def test_bad_clips_are_counted_and_three_are_named(tmp_path: Path) -> None:
    clips = write_clips(tmp_path, num_clips=100)
    for index in (3, 40, 41, 77, 99):
        clips[index].write_bytes(b"no sound")
    soundfile.write(clips[40], np.zeros(10), 8_000)
    with pytest.raises(DataError) as caught:
        write(tmp_path, clips)
    message = str(caught.value)
    assert message.startswith("5 of 100 clips cannot be used, the first 3: ")
    assert f"{clips[3]} cannot be decoded (Format not recognised); " in message
    assert f"{clips[40]} sample_rate is 8000 Hz, expected 16000; {clips[41]} cannot" in message
    assert "0077.wav" not in message
    assert message.endswith("; delete the files or restore them from the dataset's archive")
    assert "\n" not in message


def test_too_little_disk_is_refused_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"GB are free, expected 20000000000\.0 GB for the decoded"):
        write_samples(
            tmp_path / "samples.npy",
            [tmp_path / "absent.wav"],
            clip_length=10**19,
            required_sample_rate=None,
        )


def test_no_more_is_decoded_than_a_few_blocks_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = write_clips(tmp_path, num_clips=1) * 2_000
    decoded: list[Path] = []

    def counted(path: Path, **arguments: int) -> object:
        decoded.append(path)
        return decode_clip(path, **arguments)

    monkeypatch.setattr(writing, "decode_clip", counted)
    ahead = []
    write_samples(
        tmp_path / "samples.npy",
        clips,
        clip_length=10,
        required_sample_rate=16_000,
        progress=lambda _, done, total: ahead.append(len(decoded) - done),
    )
    assert len(decoded) == 2_000
    assert max(ahead) <= 8 * 4 * 16


def test_memory_does_not_grow_with_the_number_of_clips(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", np.ones(64_000, dtype=np.int16), 16_000)
    program = """
import resource, sys
from pathlib import Path
from clar_sweeps.data.writing import write_samples

folder, num_clips = Path(sys.argv[1]), int(sys.argv[2])
write_samples(
    folder / "samples.npy",
    [folder / "clip.wav"] * num_clips,
    clip_length=64_000,
    required_sample_rate=None,
)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

    def peak_megabytes(num_clips: int) -> float:
        command = [sys.executable, "-c", program, str(tmp_path), str(num_clips)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(answer.stdout) / 1_000

    # 3,000 clips are 384 MB.
    assert peak_megabytes(3_000) < peak_megabytes(600) + 60
