"""Free Spoken Digit Dataset: speakers are held out, whatever the tag has."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from clar_sweeps import data
from clar_sweeps.data.fsdd import list_clips, split_speakers
from clar_sweeps.errors import DataError


def test_lucas_is_the_test_and_theo_the_validation_speaker() -> None:
    speakers = {"george", "jackson", "lucas", "nicolas", "theo", "yweweler"}
    split_of = split_speakers(speakers)
    assert {name for name in speakers if split_of[name] == "train"} == speakers - {"lucas", "theo"}
    assert (split_of["lucas"], split_of["theo"]) == ("test", "valid")


def test_three_speakers_of_an_older_tag_are_one_a_split() -> None:
    expected = {"theo": "test", "nicolas": "valid", "jackson": "train"}
    assert split_speakers({"jackson", "nicolas", "theo"}) == expected


def test_speakers_without_the_preferred_two_are_taken_from_the_end() -> None:
    expected = {"a": "train", "b": "train", "c": "valid", "d": "test"}
    assert split_speakers({"a", "b", "c", "d"}) == expected


def test_two_speakers_are_too_few() -> None:
    with pytest.raises(DataError, match=r"2 speakers \(a, b\), expected at least 3"):
        split_speakers({"a", "b"})


def test_labels_are_those_of_the_words(tiny_fsdd: Path) -> None:
    classes = {clip.name[0]: clip.class_name for clip in list_clips(tiny_fsdd.parent).clips}
    assert classes["0"] == "zero"
    assert classes["9"] == "nine"


def test_name_of_another_form_is_refused(tiny_fsdd: Path) -> None:
    soundfile.write(tiny_fsdd / "stray.wav", np.ones(10), 8_000)
    with pytest.raises(DataError, match=r"'stray\.wav', expected DIGIT_SPEAKER_INDEX\.wav; rename"):
        list_clips(tiny_fsdd.parent)


def test_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no recordings in .*, expected recordings/DIGIT_SPEAKER"):
        list_clips(tmp_path)


def test_real_recordings_are_prepared(
    real_recordings: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(data.DATA_VARIABLE, str(real_recordings))
    fsdd = data.prepare("fsdd")
    assert fsdd.samples.shape == (3_000, 16_000)
    assert [len(fsdd.indices(split)) for split in data.SPLITS] == [2_000, 500, 500]
    assert np.bincount(fsdd.labels).tolist() == [300] * 10
    assert fsdd.class_names[fsdd.labels[fsdd.clip_names.index("7_theo_3.wav")]] == "seven"
    # Resampled from 8 kHz: next to nothing above 4 kHz.
    power = np.abs(np.fft.rfft(fsdd.samples[:50])) ** 2
    assert power[:, 8_400:].sum() < 1e-3 * power.sum()


def test_a_preparation_that_fails_leaves_the_cache_that_was_there(
    cache: Path, tiny_fsdd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = data.prepare("fsdd").digest
    (tiny_fsdd / "0_anna_1.wav").write_text("no sound")
    with pytest.raises(DataError, match=r"0_anna_1\.wav: cannot be decoded"):
        data.prepare("fsdd")
    assert data.load("fsdd").digest == before
    (tiny_fsdd / "0_anna_1.wav").unlink()
    (tiny_fsdd / "1_anna_0.wav").unlink()
    assert data.prepare("fsdd").digest != before
