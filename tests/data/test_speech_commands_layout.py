"""Speech Commands layout: words, speakers and the two lists."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from clar_sweeps.data.speech_commands_layout import list_clips
from clar_sweeps.data.waveforms import build_cache
from clar_sweeps.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ["no/aa_nohash_0.wav", "no/bb_nohash_0.wav", "yes/aa_nohash_1.wav"]
    for name in [*names, "yes/cc_nohash_0.wav", "_background_noise_/hiss.wav"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.ones(100) / 2, 16_000)
    (tmp_path / "validation_list.txt").write_text("no/bb_nohash_0.wav\nno/absent_nohash_0.wav\n")
    (tmp_path / "testing_list.txt").write_text("yes/cc_nohash_0.wav\n")
    return tmp_path


def test_lists_decide_the_split_and_the_rest_trains(folder: Path) -> None:
    found = {
        clip.name: (clip.class_name, clip.speaker, clip.split) for clip in list_clips(folder)[0]
    }
    assert found == {
        "no/aa_nohash_0.wav": ("no", "aa", "train"),
        "no/bb_nohash_0.wav": ("no", "bb", "valid"),
        "yes/aa_nohash_1.wav": ("yes", "aa", "train"),
        "yes/cc_nohash_0.wav": ("yes", "cc", "test"),
    }


def test_words_choose_the_classes(folder: Path) -> None:
    assert {clip.class_name for clip in list_clips(folder, words=["yes"]).clips} == {"yes"}


def test_missing_word_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="no folder 'zero', expected one a word; unpack"):
        list_clips(folder, words=["yes", "zero"])


def test_missing_list_is_refused(folder: Path) -> None:
    (folder / "testing_list.txt").unlink()
    with pytest.raises(DataError, match=r"testing_list\.txt: cannot be read"):
        list_clips(folder)


def test_recording_in_both_lists_is_refused(folder: Path) -> None:
    (folder / "testing_list.txt").write_text("no/bb_nohash_0.wav\n")
    with pytest.raises(DataError, match=r"bb_nohash_0\.wav' is in validation_list\.txt and in"):
        list_clips(folder)


def test_speaker_in_two_splits_is_refused(folder: Path) -> None:
    (folder / "testing_list.txt").write_text("yes/aa_nohash_1.wav\n")
    with pytest.raises(DataError, match="speaker aa is in train and in test"):
        list_clips(folder)


def test_name_without_speaker_is_refused(folder: Path) -> None:
    soundfile.write(folder / "no" / "stray.wav", np.ones(10), 16_000)
    with pytest.raises(DataError, match=r"'stray\.wav', expected SPEAKER_nohash_TAKE\.wav"):
        list_clips(folder)


def test_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    for name in ("validation_list.txt", "testing_list.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(DataError, match="no recordings found, expected WORD/SPEAKER_nohash_TAKE"):
        list_clips(tmp_path)


def test_wrong_rate_is_refused_with_the_clip_named(folder: Path, tmp_path: Path) -> None:
    soundfile.write(folder / "no" / "aa_nohash_0.wav", np.ones(100) / 2, 44_100)
    with pytest.raises(DataError, match=r"aa_nohash_0\.wav: sample_rate is 44100 Hz, expected 160"):
        build_cache(tmp_path / "cache", lambda _: list_clips(folder), remedy="")


def test_real_speech_commands_are_read(real_recordings: Path, tmp_path: Path) -> None:
    sample = real_recordings / "speech_commands_v0.01_sample"
    waveforms = build_cache(tmp_path / "cache", lambda _: list_clips(sample), remedy="")
    assert waveforms.samples.shape == (300, 16_000)
    assert set(Counter(waveforms.labels.tolist()).values()) == {10}
    assert waveforms.class_names[:3] == ("bed", "bird", "cat")
    assert {clip.split for clip in list_clips(sample).clips} <= {"train", "valid", "test"}
    assert len(set(waveforms.speakers)) == 41
