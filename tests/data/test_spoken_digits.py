"""Spoken digits: layout, splits, repeatability, and a worker that fails."""

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clar_sweeps.data import spoken_digits
from clar_sweeps.data.decoding import decode_clip
from clar_sweeps.data.speech_commands_layout import DIGITS, list_clips
from clar_sweeps.data.spoken_digits_speakers import (
    CONDITIONS,
    FEMALE_VARIANTS,
    LEVELS,
    MALE_VARIANTS,
    MAX_SPEAKERS,
    sample_speakers,
)
from clar_sweeps.data.waveforms import build_cache
from clar_sweeps.errors import DataError, DependencyError


def manifest_of(folder: Path) -> dict[str, object]:
    manifest: dict[str, object] = json.loads((folder / spoken_digits.MANIFEST).read_text())
    return manifest


def test_default_set_has_36_12_12_speakers() -> None:
    speakers = sample_speakers(num_speakers=60, condition="medium", seed=0)
    assert Counter(s.split for s in speakers) == {"train": 36, "valid": 12, "test": 12}
    assert len({s.speaker_id for s in speakers}) == 60
    assert all(len(bytes.fromhex(s.speaker_id)) == 4 for s in speakers)


@pytest.mark.parametrize("num_speakers", [3, 5, 60, MAX_SPEAKERS])
def test_no_voice_and_no_accent_is_in_two_splits(num_speakers: int) -> None:
    speakers = sample_speakers(num_speakers=num_speakers, condition="hard", seed=1)
    assert len({s.variant for s in speakers}) == num_speakers
    splits_of: dict[str, set[str]] = {}
    for speaker in speakers:
        splits_of.setdefault(speaker.accent, set()).add(speaker.split)
    assert all(len(splits) == 1 for splits in splits_of.values())


def test_every_fifth_voice_is_female() -> None:
    speakers = sample_speakers(num_speakers=60, condition="medium", seed=0)
    female = [s.split for s in speakers if s.variant in FEMALE_VARIANTS]
    assert Counter(female) == {"train": 7, "valid": 2, "test": 3}
    assert not set(FEMALE_VARIANTS) & set(MALE_VARIANTS)


@pytest.mark.parametrize("num_speakers", [2, MAX_SPEAKERS + 1])
def test_number_of_speakers_has_limits(num_speakers: int) -> None:
    with pytest.raises(ValueError, match=f"num_speakers: {num_speakers} is not in 3.."):
        sample_speakers(num_speakers=num_speakers, condition="medium", seed=0)


def test_conditions_share_their_people() -> None:
    clean, hard = (
        sample_speakers(num_speakers=10, condition=condition, seed=0)
        for condition in ("clean", "hard")
    )
    for easy, difficult in zip(clean, hard, strict=True):
        assert (easy.voice, easy.pitch) == (difficult.voice, difficult.pitch)
        assert easy.snr_db > difficult.snr_db


def test_conditions_grow_harder_in_every_respect() -> None:
    levels = [LEVELS[condition] for condition in CONDITIONS]
    for easier, harder in pairwise(levels):
        assert easier.snr_db > harder.snr_db
        assert easier.vocal_tract_spread < harder.vocal_tract_spread
        assert easier.direct_to_reverberant_db > harder.direct_to_reverberant_db
        assert easier.high_cut_hz > harder.high_cut_hz


def test_layout_is_that_of_speech_commands(small_digits: Path) -> None:
    clips = list_clips(small_digits).clips
    assert len(clips) == 5 * 10 * 2
    assert set(Counter(clip.class_name for clip in clips).values()) == {10}
    assert Counter(clip.split for clip in clips) == {"train": 60, "valid": 20, "test": 20}
    assert all((small_digits / name).is_dir() for name in DIGITS)


def test_clips_are_audible_and_all_different(small_digits: Path) -> None:
    clips = np.stack(
        [decode_clip(clip.path, clip_length=16_000) for clip in list_clips(small_digits).clips]
    )
    peaks = np.abs(clips.astype(np.int32)).max(axis=1)
    assert peaks.min() > 1_000
    assert np.mean(peaks >= 32_767) < 0.05
    assert len({clip.tobytes() for clip in clips}) == len(clips)


def test_manifest_describes_the_set(small_digits: Path) -> None:
    manifest = manifest_of(small_digits)
    assert manifest["arguments"] == {"condition": "medium", "speakers": 5, "takes": 2, "seed": 0}
    assert manifest["num_clips"] == 100
    versions = manifest["versions"]
    assert isinstance(versions, dict)
    assert versions["espeak-ng"][0].isdigit()


def test_cache_has_the_checksum_of_the_manifest(small_digits: Path, tmp_path: Path) -> None:
    build_cache(tmp_path / "cache", lambda _: list_clips(small_digits), remedy="")
    metadata = json.loads((tmp_path / "cache" / "metadata.json").read_text())
    assert metadata["samples_sha256"] == manifest_of(small_digits)["pcm_sha256"]


def test_listing_expects_the_checksum_of_the_manifest(tmp_path: Path, small_digits: Path) -> None:
    listing = spoken_digits.list_clips(
        tmp_path / "digits", condition="medium", num_speakers=5, num_takes=2
    )
    # Made once more in another process: the same samples.
    assert listing.expected_sha256 == manifest_of(small_digits)["pcm_sha256"]


def test_other_seed_gives_other_clips(tmp_path: Path, small_digits: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    spoken_digits.generate(
        tmp_path / "digits",
        condition="medium",
        num_speakers=3,
        num_takes=1,
        seed=1,
        progress=lambda *now: seen.append(now),
    )
    assert seen == [("speak", 10, 30), ("speak", 20, 30), ("speak", 30, 30)]
    assert manifest_of(tmp_path / "digits")["pcm_sha256"] != manifest_of(small_digits)["pcm_sha256"]


def test_data_path_over_160_bytes_gives_the_same_set(tmp_path: Path, small_digits: Path) -> None:
    espeakng_loader = pytest.importorskip("espeakng_loader")
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    shutil.copytree(espeakng_loader.get_data_path(), deep / "espeak-ng-data")
    assert len(bytes(deep)) > 160
    spoken_digits.generate(
        tmp_path / "digits",
        condition="medium",
        num_speakers=5,
        num_takes=2,
        espeak_data=deep / "espeak-ng-data",
    )
    expected = manifest_of(small_digits)["pcm_sha256"]
    assert manifest_of(tmp_path / "digits")["pcm_sha256"] == expected


def test_missing_package_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(DependencyError) as caught:
        spoken_digits.generate(tmp_path, condition="medium")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("""run 'pip install "clar-sweeps[demo]"'""")


def test_worker_without_its_data_is_reported_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    with pytest.raises(DataError) as caught:
        spoken_digits.generate(
            tmp_path / "digits", condition="medium", espeak_data=tmp_path / "nothing"
        )
    message = str(caught.value)
    assert "\n" not in message
    assert "with exit code 1 (espeak-ng: does not accept" in message


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (
            "import sys; print('a\\nlast words', file=sys.stderr); sys.exit(3)",
            "exit code 3 (last w",
        ),
        ("import os; os.kill(os.getpid(), 11)", "by signal SIGSEGV (no message)"),
    ],
)
def test_worker_that_dies_is_reported_in_one_line(program: str, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        spoken_digits._run_worker([sys.executable, "-c", program], None)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_failing_progress_ends_the_worker(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")

    def interrupt(phase: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spoken_digits.generate(tmp_path / "digits", condition="clean", progress=interrupt)
    assert not (tmp_path / "digits" / spoken_digits.MANIFEST).exists()


def test_voice_with_breath_is_the_same_at_another_time() -> None:
    pytest.importorskip("espeakng_loader")
    program = """
import hashlib
from clar_sweeps.data.espeak import Espeak

spoken = Espeak().speak("six", voice="en-us+f3", rate=160, pitch=50, pitch_range=50)
print(hashlib.sha256(spoken.tobytes()).hexdigest())
"""
    hashes = []
    for _ in range(2):
        command = [sys.executable, "-c", program]
        hashes.append(subprocess.run(command, capture_output=True, check=True).stdout)
        # The engine's own seed is the clock in seconds.
        time.sleep(1.1)
    assert hashes[0] == hashes[1]
