"""ESC-10 and ESC-50: folds, validation by recordings, sound files of either kind."""

import csv
import io
import random
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from archive_server import ArchiveServer

from clar_sweeps import data
from clar_sweeps.data import esc
from clar_sweeps.data.esc import Row, choose_validation, list_esc10, list_esc50
from clar_sweeps.errors import DataError

HEADER = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """50 classes, ten of ESC-10, two clips a class and fold; some clips share a recording."""
    audio = tmp_path / "ESC-50-master" / "audio"
    audio.mkdir(parents=True)
    sound = io.BytesIO()
    soundfile.write(sound, np.ones(44, dtype=np.int16), 44_100, format="WAV")
    lines = []
    for target in range(50):
        for fold in range(1, 6):
            for take in "AB":
                recording = f"{fold}{target:02d}{'A' if target % 2 else take}"
                name = f"{fold}-{recording}-{take}-{target}.wav"
                (audio / name).write_bytes(sound.getvalue())
                is_esc10 = str(target % 5 == 0)
                lines.append([name, fold, target, f"class{target:02d}", is_esc10, recording, take])
    write_index(audio.parent, lines)
    return audio.parent


def write_index(folder: Path, lines: list[list[object]]) -> None:
    (folder / "meta").mkdir(exist_ok=True)
    with (folder / esc.INDEX).open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *lines])


def rows_of(folder: Path) -> list[Row]:
    with (folder / esc.INDEX).open() as file:
        return [
            Row(line["filename"], int(line["fold"]), line["category"], line["src_file"])
            for line in csv.DictReader(file)
        ]


def test_fold_5_tests_and_a_fifth_of_the_others_validates(folder: Path) -> None:
    clips = list_esc50(folder).clips
    assert {clip.name[0] for clip in clips if clip.split == "test"} == {"5"}
    counts = Counter((clip.class_name, clip.split) for clip in clips)
    for target in range(50):
        # Eight clips in folds 1-4: a fifth is 1.6, rounded 2.
        expected = {"train": 6, "valid": 2, "test": 2}
        assert {split: counts[f"class{target:02d}", split] for split in expected} == expected


def test_no_recording_is_in_two_splits(folder: Path) -> None:
    split_of = {}
    for clip in list_esc50(folder).clips:
        assert split_of.setdefault(clip.speaker, clip.split) == clip.split


def test_validation_does_not_depend_on_the_order_of_the_rows(folder: Path) -> None:
    rows = [row for row in rows_of(folder) if row.fold != 5]
    chosen = choose_validation(rows)
    random.Random(0).shuffle(rows)
    assert choose_validation(rows) == chosen


def test_a_recording_of_two_classes_goes_as_a_whole() -> None:
    rows = [Row(f"{i}{name}", 1, name, str(i)) for i in range(100) for name in ("rain", "wind")]
    assert len(choose_validation(rows)) == 20


def test_esc10_takes_the_rows_that_are_marked(folder: Path) -> None:
    listing = list_esc10(folder)
    assert len(listing.clips) == 100
    assert {clip.class_name for clip in listing.clips} == {f"class{t:02d}" for t in range(0, 50, 5)}
    assert listing.clip_length == 80_000


def test_too_few_classes_are_refused(folder: Path) -> None:
    with (folder / esc.INDEX).open() as file:
        _, *lines = csv.reader(file)
    write_index(folder, [list(line) for line in lines if line[4] == "True"])
    assert len(list_esc10(folder).clips) == 100
    with pytest.raises(DataError, match=r"esc50\.csv: 10 classes of esc50, expected 50; unpack"):
        list_esc50(folder)


def test_a_recording_in_fold_5_and_another_is_refused(folder: Path) -> None:
    with (folder / esc.INDEX).open() as file:
        _, *lines = csv.reader(file)
    lines[0][5] = lines[-1][5]
    write_index(folder, [list(line) for line in lines])
    with pytest.raises(DataError, match=r"recording 549A is in fold 5 and in another, expected in"):
        list_esc50(folder)


def test_missing_clips_are_counted(folder: Path) -> None:
    for name in ("1-100A-A-0.wav", "1-100B-B-0.wav"):
        (folder / "audio" / name).unlink()
    with pytest.raises(DataError, match=r"2 of 500 clips of .* are missing, the first is 1-100A-A"):
        list_esc50(folder)


@pytest.mark.parametrize("text", ["", "filename,fold\n1,2\n", ",".join(HEADER) + "\na,x,0,b,c,d,e"])
def test_an_index_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / esc.INDEX).write_text(text)
    with pytest.raises(DataError, match=r"esc50\.csv: (line 2 lacks a value|0 classes of esc50)"):
        list_esc50(folder)
    (folder / esc.INDEX).unlink()
    with pytest.raises(DataError, match=r"esc50\.csv: cannot be read .* expected the index of ESC"):
        list_esc50(folder)


def test_real_esc10_is_prepared_from_a_zip(
    real_recordings: Path, cache: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "ESC-10.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((real_recordings / "esc10").rglob("*.*")):
            file.write(path, Path("ESC-10-master") / path.relative_to(real_recordings / "esc10"))
    esc10 = data.prepare("esc10", source=archive)
    assert esc10.samples.shape == (400, 80_000)
    assert esc10.class_names == (
        *("chainsaw", "clock_tick", "crackling_fire", "crying_baby", "dog", "helicopter"),
        *("rain", "rooster", "sea_waves", "sneezing"),
    )
    assert [len(esc10.indices(split)) for split in data.SPLITS] == [261, 59, 80]
    # A fifth of 32 is 6; of one class the recordings that are left have more clips than fit.
    assert sorted(np.bincount(esc10.labels[esc10.indices("valid")])) == [5] + [6] * 9
    assert set(np.bincount(esc10.labels[esc10.indices("test")])) == {8}
    recordings = {
        split: {esc10.speakers[clip] for clip in esc10.indices(split)} for split in data.SPLITS
    }
    assert not recordings["train"] & recordings["valid"]
    assert not recordings["test"] & (recordings["train"] | recordings["valid"])


@pytest.mark.parametrize(("in_index", "on_disk"), [(".wav", ".ogg"), (".ogg", ".wav")])
def test_sound_files_of_another_kind_than_the_index_says_are_found(
    folder: Path, in_index: str, on_disk: str
) -> None:
    index = folder / esc.INDEX
    index.write_text(index.read_text().replace(".wav", in_index))
    for path in (folder / "audio").iterdir():
        path.rename(path.with_suffix(on_disk))
    clips = list_esc50(folder).clips
    assert len(clips) == 500
    assert {clip.path.suffix for clip in clips} == {on_disk}


def test_esc10_and_esc50_are_downloaded_from_a_zip_of_the_branch(
    folder: Path,
    cache: Path,
    tmp_path: Path,
    server: ArchiveServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    archive = shutil.make_archive(str(tmp_path / "master"), "zip", tmp_path, folder.name)
    server.files["/master.zip"] = Path(archive).read_bytes()
    address = esc.ARCHIVE._replace(url=server.url("/master.zip"))
    for name in ("esc10", "esc50"):
        source = data.DATASETS[name]._replace(archives=(address,))
        monkeypatch.setitem(data.DATASETS, name, source)
    monkeypatch.delenv(data.DATA_VARIABLE, raising=False)
    assert data.prepare("esc50").samples.shape == (500, 80_000)
    assert data.prepare("esc10").samples.shape == (100, 80_000)
    # The branch has moved since the checksum was taken, and that is only worth a warning.
    assert "its branch has moved on" in caplog.text
