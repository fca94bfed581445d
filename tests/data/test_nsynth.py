"""NSynth: one cache, two sets of classes; names, examples.json and audio/ agree."""

import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from archive_server import ArchiveServer

from clar_sweeps import data
from clar_sweeps.data.nsynth import FAMILIES, family_of, list_clips, pitch_of
from clar_sweeps.errors import DataError

NOTES = {
    "train": ["bass_synthetic_000-036-025", "synth_lead_synthetic_001-060-127"],
    "valid": ["vocal_acoustic_002-108-050"],
    "test": ["vocal_acoustic_002-021-050"],
}


def entry_of(note: str) -> dict[str, Any]:
    instrument, pitch, velocity = note.split("-")
    family = instrument.rsplit("_", 2)[0]
    return {
        "note_str": note,
        "instrument_str": instrument,
        "instrument_family_str": family,
        "instrument_family": FAMILIES.index(family),
        "pitch": int(pitch),
        "velocity": int(velocity),
        "sample_rate": 16_000,
        "qualities": [0] * 10,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four notes in the official layout."""
    for split, notes in NOTES.items():
        audio = tmp_path / "nsynth" / f"nsynth-{split}" / "audio"
        audio.mkdir(parents=True)
        for note in notes:
            tone = np.full(64_000, int(note.split("-")[1]), dtype=np.int16)
            soundfile.write(audio / f"{note}.wav", tone, 16_000)
        examples = {note: entry_of(note) for note in notes}
        (audio.parent / "examples.json").write_text(json.dumps(examples))
    return tmp_path / "nsynth"


@pytest.fixture
def real_nsynth(real_recordings: Path, tmp_path: Path) -> Path:
    """The real notes, spread over three splits by instrument."""
    test = real_recordings / "nsynth_sample" / "nsynth-test"
    examples = json.loads((test / "examples.json").read_text())
    for index, split in enumerate(("train", "valid", "test")):
        part = tmp_path / "real" / f"nsynth-{split}"
        (part / "audio").mkdir(parents=True)
        chosen = {name: one for name, one in examples.items() if one["instrument"] % 3 == index}
        for name in chosen:
            shutil.copy(test / "audio" / f"{name}.wav", part / "audio")
        (part / "examples.json").write_text(json.dumps(chosen))
    return tmp_path / "real"


def change(folder: Path, note: str, **fields: object) -> None:
    """Change the entry of a training note."""
    index = folder / "nsynth-train" / "examples.json"
    examples = json.loads(index.read_text())
    examples[note] |= fields
    index.write_text(json.dumps(examples))


def test_families_and_pitches_follow_from_the_name() -> None:
    assert family_of("synth_lead_synthetic_001-060-127") == "synth_lead"
    assert family_of("bass_electronic_018-022-100") == "bass"
    assert pitch_of("bass_electronic_018-022-100") == "022"
    for wrong in ("drum_acoustic_001-060-127", "bass_acoustic_001-128-127", "bass-060-127"):
        with pytest.raises(DataError, match=f"'{wrong}', expected FAMILY_SOURCE_III-PPP-VVV"):
            pitch_of(wrong)


def test_one_cache_serves_families_and_pitches(cache: Path, folder: Path) -> None:
    families = data.prepare("nsynth11", source=folder)
    assert data.is_prepared("nsynth128")
    pitches = data.load("nsynth128")
    assert data.cache_folder("nsynth11") == data.cache_folder("nsynth128") == cache / "nsynth-v1"
    assert families.samples.shape == (4, 64_000)
    assert families.class_names == FAMILIES
    assert len(FAMILIES) == 11
    assert list(FAMILIES) == sorted(FAMILIES)
    assert [families.class_names[label] for label in families.labels] == [
        *("bass", "synth_lead", "vocal", "vocal")
    ]
    assert pitches.class_names == tuple(f"{pitch:03d}" for pitch in range(128))
    assert pitches.labels.tolist() == [36, 60, 108, 21] == pitches.samples[:, 0].tolist()
    assert families.splits == pitches.splits == ("train", "train", "valid", "test")
    assert families.speakers[1] == "synth_lead_synthetic_001"
    assert families.digest != pitches.digest
    assert data.verify("nsynth11").digest == families.digest


@pytest.mark.parametrize(
    ("absent", "named"),
    [(["valid"], "nsynth-valid"), (["train", "valid"], "nsynth-train, nsynth-")],
)
def test_absent_splits_are_named(folder: Path, absent: list[str], named: str) -> None:
    for split in absent:
        shutil.rmtree(folder / f"nsynth-{split}")
    with pytest.raises(DataError, match=f"nsynth: no {named}.* in .*, expected all of nsynth-tr"):
        list_clips(folder)


@pytest.mark.parametrize(
    "fields",
    [{"pitch": 37}, {"instrument_family_str": "brass"}, {"instrument_str": "bass_synthetic_001"}],
)
def test_an_entry_that_disagrees_with_its_name_is_refused(
    folder: Path, fields: dict[str, object]
) -> None:
    note = NOTES["train"][0]
    change(folder, note, **fields)
    with pytest.raises(DataError, match=rf"examples\.json: '{note}' has pitch, family and instrum"):
        list_clips(folder)


def test_a_missing_note_is_named(folder: Path) -> None:
    (folder / "nsynth-train" / "audio" / f"{NOTES['train'][1]}.wav").unlink()
    with pytest.raises(DataError, match=r"1 of 2 notes of examples\.json are missing, the first i"):
        list_clips(folder)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_an_instrument_of_training_in_another_split_is_refused(folder: Path, split: str) -> None:
    note = "bass_synthetic_000-037-025"
    part = folder / f"nsynth-{split}"
    shutil.copy(part / "audio" / f"{NOTES[split][0]}.wav", part / "audio" / f"{note}.wav")
    (part / "examples.json").write_text(json.dumps({note: entry_of(note)}))
    with pytest.raises(DataError, match=f"bass_synthetic_000 is in train and in {split}, expected"):
        list_clips(folder)


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "{", '{"a": 1}'])
def test_an_index_that_is_none_is_refused(folder: Path, text: str | None) -> None:
    index = folder / "nsynth-valid" / "examples.json"
    index.unlink()
    if text is not None:
        index.write_text(text)
    with pytest.raises(
        DataError, match=r"examples\.json: (cannot be read|holds no notes|note is n)"
    ):
        list_clips(folder)


def test_real_notes_are_prepared(cache: Path, real_nsynth: Path) -> None:
    families = data.prepare("nsynth11", source=real_nsynth)
    assert families.samples.shape == (60, 64_000)
    assert len(set(families.labels.tolist())) == 10, "the test set has no synth_lead"
    pitches = data.prepare("nsynth128", source=real_nsynth)
    assert set(pitches.labels.tolist()) == {60}
    note = soundfile.read(
        real_nsynth / "nsynth-train" / "audio" / f"{families.clip_names[0]}.wav", dtype="int16"
    )[0]
    assert np.array_equal(families.samples[0], note)


def test_the_real_sample_alone_lacks_two_splits(cache: Path, real_recordings: Path) -> None:
    with pytest.raises(
        DataError, match=r"nsynth: no nsynth-train, nsynth-valid in .*nsynth_sample"
    ):
        data.prepare("nsynth11", source=real_recordings / "nsynth_sample")


def write_archives(folder: Path, target: Path) -> None:
    """As the official ones: three, each with its split on top."""
    target.mkdir()
    for split in ("train", "valid", "test"):
        with tarfile.open(target / f"nsynth-{split}.jsonwav.tar.gz", "w:gz") as file:
            file.add(folder / f"nsynth-{split}", f"nsynth-{split}")


def know_checksums(archives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the archives in a folder for the official ones."""
    source = data.DATASETS["nsynth11"]
    official = tuple(
        archive._replace(checksum=f"md5:{hashlib.md5(content).hexdigest()}")
        for archive in source.archives
        for content in [(archives / archive.file_name).read_bytes()]
    )
    monkeypatch.setitem(data.DATASETS, "nsynth11", source._replace(archives=official))


def test_a_folder_of_the_three_archives_is_enough(
    cache: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = data.prepare("nsynth11", source=folder).digest
    shutil.rmtree(cache)
    write_archives(folder, tmp_path / "archives")
    with pytest.raises(DataError, match=r"train\.jsonwav\.tar\.gz: md5 of .* expected fde6665a"):
        data.prepare("nsynth11", source=tmp_path / "archives")
    know_checksums(tmp_path / "archives", monkeypatch)
    assert data.prepare("nsynth11", source=tmp_path / "archives").digest == given
    assert len(list((tmp_path / "archives").iterdir())) == 3
    assert list((cache / "downloads").iterdir()) == []


def test_three_archives_are_downloaded_and_what_is_whole_is_not_asked_for_again(
    cache: Path,
    folder: Path,
    tmp_path: Path,
    server: ArchiveServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_archives(folder, tmp_path / "archives")
    addresses = []
    for archive in data.DATASETS["nsynth128"].archives:
        content = (tmp_path / "archives" / archive.file_name).read_bytes()
        server.files[f"/{archive.file_name}"] = content
        addresses.append(
            archive._replace(
                url=server.url(f"/{archive.file_name}"),
                checksum=f"md5:{hashlib.md5(content).hexdigest()}",
                num_bytes=len(content),
                unpacked_bytes=0,
            )
        )
    source = data.DATASETS["nsynth128"]._replace(archives=tuple(addresses), num_clips=4)
    monkeypatch.setitem(data.DATASETS, "nsynth128", source)
    monkeypatch.delenv(data.DATA_VARIABLE, raising=False)
    server.faults.extend([None, "404"])
    with pytest.raises(DataError, match=r"nsynth-valid\.jsonwav\.tar\.gz: status 404 Not Found"):
        data.prepare("nsynth128")
    assert data.prepare("nsynth128").labels.tolist() == [36, 60, 108, 21]
    asked = [one.path.split("-")[1].split(".")[0] for one in server.asked]
    assert asked == ["train", "valid", "valid", "test"]
