"""A user's own recordings: both forms, drawn splits, and faults told together."""

import logging
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from clar_sweeps.data.folder import list_clips
from clar_sweeps.data.folder_splits import SPLIT_NAMES, Recording, fill_splits
from clar_sweeps.data.waveforms import Split, build_cache
from clar_sweeps.errors import DataError


def record(path: Path, *, seconds: float = 0.1, sample_rate: int = 16_000) -> Path:
    """Write a tone; the ending of the name says in which format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * time), sample_rate)
    return path


def record_classes(folder: Path, counts: dict[str, int]) -> Path:
    for class_name, count in counts.items():
        for index in range(count):
            record(folder / class_name / f"{index}.wav")
    return folder


def write_manifest(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def recording(
    name: str, class_name: str, *, split: Split | None = None, speaker: str | None = None
) -> Recording:
    return Recording(f"clip {name}", Path(name), name, class_name, split, speaker)


def splits_of(recordings: Sequence[Recording]) -> dict[str, Split]:
    return {clip.name: clip.split for clip in fill_splits(list(recordings), place=Path("own"))}


def drawn(count: int, classes: str = "ab") -> list[Recording]:
    return [recording(f"{name}/{i}", name) for name in classes for i in range(count)]


def test_folder_a_class_is_listed_by_name(tmp_path: Path) -> None:
    record_classes(tmp_path, {"dog": 10, "cat": 10})
    record(tmp_path / "dog" / "big ones" / "grüße.FLAC", sample_rate=44_100)
    listing = list_clips(tmp_path)
    assert Counter(clip.class_name for clip in listing.clips) == {"dog": 11, "cat": 10}
    names = [clip.name for clip in listing.clips]
    assert names == sorted(names)
    assert "dog/big ones/grüße.FLAC" in names
    assert all(clip.speaker == clip.name for clip in listing.clips)
    assert {clip.split for clip in listing.clips} == {"train", "valid", "test"}
    assert listing.required_sample_rate is None


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64"])
def test_whatever_libsndfile_reads_becomes_a_cache(tmp_path: Path, ending: str) -> None:
    for name in ("a", "b"):
        for index in range(3):
            record(tmp_path / "own" / name / f"{index}.{ending}", sample_rate=48_000)
    waveforms = build_cache(
        tmp_path / "cache", lambda _: list_clips(tmp_path / "own", clip_seconds=0.1), remedy=""
    )
    assert waveforms.samples.shape == (6, 1_600)
    assert np.abs(waveforms.samples).max(axis=1).min() > 10_000
    assert waveforms.class_names == ("a", "b")


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("Training", "dev", "testing")])
def test_folders_of_splits_are_taken_as_given(tmp_path: Path, names: tuple[str, ...]) -> None:
    for split in names:
        record_classes(tmp_path / split, {"yes": 1, "no": 2})
    clips = list_clips(tmp_path).clips
    for clip in clips:
        assert clip.split == SPLIT_NAMES[clip.name.split("/")[0].lower()]
        assert clip.class_name == clip.name.split("/")[1]
    assert Counter(clip.split for clip in clips) == {"train": 3, "valid": 3, "test": 3}


def test_validation_that_is_not_there_is_drawn_from_train(tmp_path: Path) -> None:
    record_classes(tmp_path / "train", {"yes": 20, "no": 20})
    record_classes(tmp_path / "test", {"yes": 3, "no": 3})
    clips = list_clips(tmp_path).clips
    assert {clip.name.split("/")[0] for clip in clips if clip.split == "test"} == {"test"}
    assert sum(clip.split == "test" for clip in clips) == 6
    assert {clip.class_name for clip in clips if clip.split == "valid"} == {"yes", "no"}


def test_class_may_be_called_test(tmp_path: Path) -> None:
    record_classes(tmp_path, {"test": 3, "bus": 3})
    assert {clip.class_name for clip in list_clips(tmp_path).clips} == {"test", "bus"}


def test_split_beside_a_class_is_refused(tmp_path: Path) -> None:
    record_classes(tmp_path / "test", {"yes": 3, "no": 3})
    record_classes(tmp_path, {"bus": 3})
    with pytest.raises(DataError, match=r"'test' is a split that holds classes, 'bus' is none"):
        list_clips(tmp_path)


def test_hidden_and_other_files_are_passed_over_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record_classes(tmp_path, {"a": 3, "b": 3})
    record(tmp_path / "loose.wav")
    for name in (".hidden.wav", "._0.wav", "notes.txt"):
        (tmp_path / "a" / name).write_text("no sound")
    record(tmp_path / ".trash" / "old.wav")
    record(tmp_path / "__MACOSX" / "a" / "0.wav")
    with caplog.at_level(logging.INFO):
        assert len(list_clips(tmp_path).clips) == 6
    assert f"{tmp_path}: passed over 2 files, hidden" in caplog.text
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert warnings == [
        f"{tmp_path}: passed over 1 files because of their kind (.txt)",
        f"{tmp_path}: passed over 1 recordings that lie in no class folder",
    ]


def test_up_to_three_kinds_of_files_are_named_the_most_frequent_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record_classes(tmp_path, {"a": 3, "b": 3})
    for name in ("0.m4a", "1.M4A", "2.m4a", "0.wma", "1.wma", "README", "last.zip"):
        (tmp_path / "a" / name).touch()
    list_clips(tmp_path)
    assert "passed over 7 files because of their kind (.m4a, .wma, " in caplog.text
    assert caplog.text.rstrip().endswith(", …)")


def test_recordings_that_lose_their_end_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record_classes(tmp_path, {"a": 3, "b": 3})
    record(tmp_path / "a" / "long.wav", seconds=0.75)
    list_clips(tmp_path, clip_seconds=0.75)
    assert "lose their end" not in caplog.text
    list_clips(tmp_path, clip_seconds=0.5)
    assert (
        f"{tmp_path}: 1 of 7 recordings are longer than the clips of 0.5 s and lose their end; "
        "the longest has 0.75 s" in caplog.messages
    )


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    record_classes(tmp_path / "elsewhere", {"a": 3})
    record_classes(tmp_path / "own", {"b": 3})
    (tmp_path / "own" / "a").symlink_to(tmp_path / "elsewhere" / "a")
    (tmp_path / "own" / "b" / "up").symlink_to(tmp_path / "own")
    assert Counter(c.class_name for c in list_clips(tmp_path / "own").clips) == {"a": 3, "b": 3}


def test_manifest_gives_label_split_and_speaker(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    record(own / "x, y.wav")
    record(own / "ü.wav")
    record(other / "z.wav")
    write_manifest(
        own,
        "Split,PATH,Label,Speaker,remark",
        'train,"x, y.wav",yes,anna,',
        "VAL,ü.wav,no,bert,loud",
        f"testing,{other / 'z.wav'},no,cleo,",
        "",
        "train,../other/../own/./ü2.wav,no,,",
        encoding="utf-8-sig",
    )
    record(own / "ü2.wav")
    clips = {clip.path.name: clip for clip in list_clips(own).clips}
    assert clips["x, y.wav"][2:] == ("yes", "anna", "train")
    assert clips["ü.wav"][2:] == ("no", "bert", "valid")
    assert clips["z.wav"][2:] == ("no", "cleo", "test")
    assert clips["ü2.wav"].speaker == clips["ü2.wav"].name == "../other/../own/./ü2.wav"
    assert list_clips(own / "manifest.csv") == list_clips(own)


def test_manifest_may_have_no_more_than_two_columns(tmp_path: Path) -> None:
    record_classes(tmp_path, {"a": 3, "b": 3})
    lines = [f"{name}/{i}.wav,class {name}" for name in "ab" for i in range(3)]
    listing = list_clips(write_manifest(tmp_path, "path,label", *lines))
    assert Counter(clip.class_name for clip in listing.clips) == {"class a": 3, "class b": 3}
    assert {clip.split for clip in listing.clips} == {"train", "valid", "test"}


def test_faults_of_a_manifest_are_told_together(tmp_path: Path) -> None:
    record(tmp_path / "good.wav")
    record(tmp_path / "empty.wav", seconds=0)
    (tmp_path / "text.wav").write_text("no sound")
    manifest = write_manifest(
        tmp_path,
        "path,label,split",
        "good.wav,a,train",
        "missing.wav,a,train",
        "good.wav,a,test",
        "good.wav,,tset",
        "good.wav,a",
        "empty.wav,b,train",
        "text.wav,b,",
    )
    with pytest.raises(DataError) as caught:
        list_clips(tmp_path)
    lines = str(caught.value).splitlines()
    expected = {
        3: "path 'missing.wav' is no file in ",
        4: "path 'good.wav' is in line 2 too; delete one of the two",
        6: "2 cells, expected 3 as in the header; quote cells that hold a comma",
        7: "path 'empty.wav': holds 0 samples, expected a sound file; restore or delete it",
        8: "path 'text.wav': cannot be decoded (",
    }
    assert len(lines) == 7
    for number, text in expected.items():
        assert any(line.startswith(f"{manifest}:{number}: {text}") for line in lines)
    assert f"{manifest}:5: label is empty, expected a label; fill it in or delete the line" in lines
    assert (
        f"{manifest}:5: split 'tset' is not one of train, valid, test; correct or empty it" in lines
    )


def test_more_than_ten_faults_are_counted(tmp_path: Path) -> None:
    write_manifest(tmp_path, "path,label", *(f"{i}.wav,a" for i in range(13)))
    with pytest.raises(DataError) as caught:
        list_clips(tmp_path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 3 more"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"path;label\na.wav;b\n", r"csv:1: column 'path' is there 0 times among 'path;label'"),
        (b"path,label,Label\n", r"column 'label' is there 2 times among"),
        (b"", r"column 'path' is there 0 times"),
        (b"path,label\n\xff.wav,a\n", r"byte 11 is not UTF-8, expected .*; save it as such"),
        (b'path,label\n"a.wav,a\n', r"is no CSV \(unexpected end of data\).*; close the quotes"),
    ],
)
def test_manifest_that_cannot_be_read_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "manifest.csv").write_bytes(text)
    with pytest.raises(DataError, match=message) as caught:
        list_clips(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing: no such folder, expected CLASS/\*\.wav"):
        list_clips(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"own\.csv: cannot be read \(No such file"):
        list_clips(tmp_path / "own.csv")


def test_fewer_than_two_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no recordings, expected at least 2 classes; the l"):
        list_clips(tmp_path)
    record_classes(tmp_path, {"only": 5})
    message = r"5 recordings of 1 classes \['only'\], expected at least 2 classes; the layout is"
    with pytest.raises(DataError, match=message):
        list_clips(tmp_path)


@pytest.mark.parametrize("splits", [("",), ("train", "test")])
def test_recordings_in_no_class_folder_are_counted(tmp_path: Path, splits: tuple[str, ...]) -> None:
    for split in splits:
        for index in range(10 // len(splits)):
            record(tmp_path / split / f"{index}.wav")
    message = "10 recordings lie in no class folder, expected CLASS/.+; put each into a folder that"
    with pytest.raises(DataError, match=message):
        list_clips(tmp_path)


def test_recordings_that_cannot_be_read_are_told_together(tmp_path: Path) -> None:
    record_classes(tmp_path, {"a": 3, "b": 3})
    record(tmp_path / "a" / "empty.wav", seconds=0)
    (tmp_path / "b" / "text.ogg").write_text("no sound")
    with pytest.raises(DataError) as caught:
        list_clips(tmp_path)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"clip {tmp_path}/a/empty.wav: holds 0 samples, expected")
    assert second.startswith(f"clip {tmp_path}/b/text.ogg: cannot be decoded (")


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        # One of twenty may be longer.
        ([*[0.31] * 19, 3.0], 0.4),
        ([*[0.31] * 18, 1.1, 3.0], 1.1),
        ([0.02] * 6, 0.1),
        ([11.0] * 6, 10.0),
    ],
)
def test_clips_are_as_long_as_most_recordings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, durations: list[float], expected: float
) -> None:
    for index, seconds in enumerate(durations):
        record(tmp_path / "ab"[index % 2] / f"{index}.wav", seconds=seconds, sample_rate=8_000)
    with caplog.at_level(logging.INFO):
        assert list_clips(tmp_path).clip_length == round(16_000 * expected)
    longer = sum(seconds > expected for seconds in durations)
    assert f"clips are {expected} s; {longer} of {len(durations)} recordings" in caplog.text


def test_length_of_clips_can_be_given(tmp_path: Path) -> None:
    record_classes(tmp_path, {"a": 3, "b": 3})
    assert list_clips(tmp_path, clip_seconds=2.5).clip_length == 40_000
    for faulty in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match=f"clip_seconds: {faulty:g} is not a positive length"):
            list_clips(tmp_path, clip_seconds=faulty)


def test_shares_of_drawn_splits_are_80_10_10() -> None:
    counts = Counter(splits_of(drawn(2_000)).values())
    shares = [counts[split] / 4_000 for split in ("train", "valid", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_recordings_more_move_no_other() -> None:
    before = splits_of(drawn(100))
    after = splits_of([*drawn(150), *drawn(10, "c")])
    assert before.items() <= after.items()


def test_three_recordings_of_a_class_are_enough() -> None:
    for classes in ("ab", "cd", "ef", "gh"):
        found = splits_of(drawn(3, classes))
        for name in classes:
            assert {found[f"{name}/{i}"] for i in range(3)} == {"train", "valid", "test"}


def test_classes_with_two_recordings_are_named() -> None:
    with pytest.raises(DataError) as caught:
        splits_of([*drawn(10), *drawn(2, "cd")])
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(
        "own: class 'c' has 2 speakers or recordings, too few to draw train, valid, test, expected"
    )
    assert lines[1].startswith("own: class 'd' has 2 ")


@pytest.mark.parametrize("num_speakers", [3, 4, 5, 8, 30])
def test_speakers_are_not_torn_apart(num_speakers: int) -> None:
    recordings = [
        recording(f"{name}/{who}/{take}", name, speaker=f"speaker {who}")
        for name in "abc"
        for who in range(num_speakers)
        for take in range(4)
    ]
    clips = fill_splits(recordings, place=Path("own"))
    splits: dict[str, set[str]] = {}
    for clip in clips:
        splits.setdefault(clip.speaker, set()).add(clip.split)
    assert len(splits) == num_speakers
    assert {len(found) for found in splits.values()} == {1}
    held = {(clip.split, clip.class_name) for clip in clips}
    assert len(held) == 9


def test_names_composed_otherwise_have_the_same_split() -> None:
    names = [f"a/größe {i}" for i in range(40)] + [f"b/{i}" for i in range(40)]
    composed = splits_of([recording(name, name[0]) for name in names])
    decomposed = splits_of(
        [recording(unicodedata.normalize("NFD", name), name[0]) for name in names]
    )
    assert list(composed.values()).count("train") > 40
    for name in names:
        assert decomposed[unicodedata.normalize("NFD", name)] == composed[name]


def test_recording_follows_its_speaker_into_a_given_split() -> None:
    given = [
        recording(f"{name}/{split}", name, split=split, speaker=f"of {split}")
        for name in "ab"
        for split in ("train", "valid", "test")
    ]
    more = [recording(f"a/{i}", "a", speaker="of test") for i in range(20)]
    found = splits_of([*given, *more])
    assert {found[one.name] for one in more} == {"test"}


def test_nothing_is_drawn_for_a_test_split_that_is_given() -> None:
    given = [recording(f"{name}/given", name, split="test") for name in "ab"]
    counts = Counter(splits_of([*given, *drawn(100)]).values())
    assert counts["test"] == 2
    assert counts["valid"] > 10
    both = [recording(f"{name}/valid", name, split="valid") for name in "ab"]
    counts = Counter(splits_of([*given, *both, *drawn(100)]).values())
    assert counts == {"train": 200, "valid": 2, "test": 2}


def test_speaker_in_two_given_splits_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    given: dict[Split, str] = {"train": "anna", "valid": "bert", "test": "anna"}
    recordings = [
        recording(f"{name}/{split}", name, split=split, speaker=who)
        for name in "ab"
        for split, who in given.items()
    ]
    assert len(splits_of(recordings)) == 6
    assert "1 of 2 speakers are in two splits or more (anna first)" in caplog.text


def test_class_that_is_not_in_train_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    splits: tuple[Split, ...] = ("train", "valid", "test")
    recordings = [recording(f"a/{split}", "a", split=split) for split in splits]
    with pytest.raises(DataError, match="class 'b' has no recording in split train"):
        splits_of([*recordings, recording("b/0", "b", split="test")])
    splits_of([*recordings, recording("b/0", "b", split="train")])
    assert "own: test lacks 1 classes: ['b']" in caplog.text


def test_splits_without_train_are_refused() -> None:
    with pytest.raises(DataError, match="no recording is in split train, expected some"):
        splits_of([recording("a/0", "a", split="test"), recording("b/0", "b", split="valid")])
