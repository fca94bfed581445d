"""SC-10 and SC-35: which words, which version, which splits; from real recordings where named."""

import hashlib
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from archive_server import ArchiveServer

from clar_sweeps import data
from clar_sweeps.data import speech_commands, speech_commands_layout
from clar_sweeps.data.speech_commands import WORDS_V1, WORDS_V2, list_sc10, list_sc35
from clar_sweeps.data.speech_commands_layout import DIGITS, split_of_speaker
from clar_sweeps.errors import DataError

V1, V2 = "speech_commands_v0.01_sample", "speech_commands_v0.02_sample"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All words of version 0.02, three speakers each, without lists."""
    for word in WORDS_V2:
        (tmp_path / word).mkdir()
        for speaker in ("00f0204f", "0137b3f4", "01b4757a"):
            path = tmp_path / word / f"{speaker}_nohash_0.wav"
            soundfile.write(path, np.ones(100) / 2, 16_000)
    return tmp_path


def lists_of(folder: Path) -> dict[str, str]:
    """Split of each recording that an official list names."""
    named = {}
    for split, file_name in (
        ("valid", speech_commands_layout.VALIDATION_LIST),
        ("test", speech_commands_layout.TESTING_LIST),
    ):
        named |= dict.fromkeys((folder / file_name).read_text().split(), split)
    return named


def test_words_are_thirty_and_thirty_five() -> None:
    assert len(set(WORDS_V1)) == len(WORDS_V1) == 30
    assert len(set(WORDS_V2)) == len(WORDS_V2) == 35


@pytest.mark.parametrize(
    ("speaker", "split"),
    # Of the official lists of both versions.
    [("a69b9b3e", "valid"), ("0c40e715", "test"), ("004ae714", "train")],
)
def test_a_speakers_split_is_that_of_the_official_lists(speaker: str, split: str) -> None:
    assert split_of_speaker(speaker) == split


@pytest.mark.parametrize("sample", [V1, V2])
def test_the_hash_agrees_with_all_official_lists(real_recordings: Path, sample: str) -> None:
    named = lists_of(real_recordings / sample)
    assert len(named) > 13_000
    for name, split in named.items():
        assert split_of_speaker(name.split("/")[1].split("_nohash_")[0]) == split
    for clip in speech_commands_layout.list_clips(real_recordings / sample).clips:
        assert split_of_speaker(clip.speaker) == named.get(clip.name, "train")


def test_official_lists_of_the_digits_have_the_numbers_of_the_paper(real_recordings: Path) -> None:
    named = lists_of(real_recordings / V1)
    digits = Counter(split for name, split in named.items() if name.split("/")[0] in DIGITS)
    assert digits == {"valid": 2_494, "test": 2_552}


def test_splits_are_the_same_without_lists(folder: Path) -> None:
    found = {clip.speaker: clip.split for clip in list_sc35(folder).clips}
    assert found == {name: split_of_speaker(name) for name in found}


def test_sc35_takes_all_words_and_names_one_that_is_missing(folder: Path) -> None:
    assert {clip.class_name for clip in list_sc35(folder).clips} == set(WORDS_V2)
    for path in (folder / "visual").iterdir():
        path.unlink()
    (folder / "visual").rmdir()
    with pytest.raises(DataError, match="no folder 'visual', expected one a word; unpack"):
        list_sc35(folder)


def test_sc10_refuses_the_later_version(folder: Path) -> None:
    with pytest.raises(DataError, match=r"sc10: .* has a folder 'backward', as version 0\.02, exp"):
        list_sc10(folder)


def test_sc10_takes_the_digits_of_the_earlier_version(real_recordings: Path, cache: Path) -> None:
    sc10 = data.prepare("sc10", source=real_recordings / V1)
    assert sc10.samples.shape == (100, 16_000)
    assert sc10.class_names == tuple(sorted(DIGITS))
    assert np.bincount(sc10.labels).tolist() == [10] * 10
    named = lists_of(real_recordings / V1)
    splits = [named.get(name, "train") for name in sc10.clip_names]
    assert list(sc10.splits) == splits


def test_sc35_takes_all_words_of_the_later_version(real_recordings: Path, cache: Path) -> None:
    sc35 = data.prepare("sc35", source=real_recordings)
    assert sc35.samples.shape == (77, 16_000)
    assert sc35.class_names == WORDS_V2
    with pytest.raises(
        DataError, match=r"sc35: no recordings in .*v0\.01_sample, expected WORD/SPE"
    ):
        data.prepare("sc35", source=real_recordings / V1)


def test_sc10_is_downloaded_from_an_archive_in_official_layout(
    real_recordings: Path,
    cache: Path,
    tmp_path: Path,
    server: ArchiveServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = tmp_path / "archive.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as file:
        for word in sorted((real_recordings / V1).iterdir()):
            # As in the official one: no folder on top.
            file.add(word, f"./{word.name}")
    content = archive.read_bytes()
    server.files["/speech_commands_v0.01.tar.gz"] = content
    sha256 = hashlib.sha256(content).hexdigest()
    address = speech_commands.ARCHIVE_V1._replace(
        url=server.url("/speech_commands_v0.01.tar.gz"), checksum=f"sha256:{sha256}"
    )
    source = data.DATASETS["sc10"]._replace(archives=(address,))
    monkeypatch.setitem(data.DATASETS, "sc10", source)
    monkeypatch.delenv(data.DATA_VARIABLE, raising=False)
    downloaded = data.prepare("sc10").digest
    given = data.prepare("sc10", source=real_recordings / V1).digest
    assert downloaded == given
