"""Datasets by name: prepare, load, verify, and the folders that the environment names."""

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from clar_sweeps import data
from clar_sweeps.data import spoken_digits
from clar_sweeps.data.waveforms import SAMPLES_FILE
from clar_sweeps.errors import DataError

NAMES = [
    *("spoken-digits", "instrument-notes", "fsdd", "sc10", "sc35"),
    *("nsynth11", "nsynth128", "esc10", "esc50", "folder"),
]


def test_keys_are_the_names_of_the_sources() -> None:
    assert list(data.DATASETS) == NAMES
    assert [source.name for source in data.DATASETS.values()] == NAMES


def test_class_counts_are_those_of_the_paper() -> None:
    counts = {name: source.num_classes for name, source in data.DATASETS.items()}
    paper = {"sc10": 10, "sc35": 35, "nsynth11": 11, "nsynth128": 128, "esc10": 10, "esc50": 50}
    assert {name: counts[name] for name in paper} == paper


def test_import_leaves_out_what_is_slow_to_import() -> None:
    program = "import sys, clar_sweeps.data; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    heavy = {"torch", "scipy", "librosa", "soundfile", "soxr", "pandas", "espeakng_loader"}
    assert not heavy & set(done.stdout.split())


def test_load_refuses_before_prepare_and_agrees_after(cache: Path, tiny_fsdd: Path) -> None:
    assert not data.is_prepared("fsdd")
    with pytest.raises(DataError, match=r"not prepared; run 'clar-sweep data prepare fsdd'$"):
        data.load("fsdd")
    prepared = data.prepare("fsdd")
    assert data.is_prepared("fsdd")
    assert data.load("fsdd").digest == prepared.digest
    assert data.verify("fsdd").digest == prepared.digest


def test_prepared_set_needs_its_files_no_longer(
    cache: Path, tiny_fsdd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = data.prepare("fsdd").digest
    for path in tiny_fsdd.iterdir():
        path.unlink()
    tiny_fsdd.rmdir()
    assert data.prepare("fsdd").digest == digest
    monkeypatch.delenv(data.DATA_VARIABLE)
    assert data.prepare("fsdd").digest == digest


def test_verify_names_the_remedy_for_a_changed_sample(cache: Path, tiny_fsdd: Path) -> None:
    data.prepare("fsdd")
    samples = data.cache_folder("fsdd") / SAMPLES_FILE
    samples.write_bytes(samples.read_bytes()[:-1] + b"\x11")
    with pytest.raises(
        DataError, match=r"delete the folder and run 'clar-sweep data prepare fsdd'"
    ):
        data.verify("fsdd")


def test_spoken_digits_are_prepared_with_their_condition(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("espeakng_loader")
    small = partial(spoken_digits.list_clips, num_speakers=3, num_takes=1)
    monkeypatch.setattr(spoken_digits, "list_clips", small)
    phases: list[str] = []
    clean = data.prepare(
        "spoken-digits", condition="clean", progress=lambda phase, *_: phases.append(phase)
    )
    assert set(phases) == {"speak", "decode"}
    assert clean.samples.shape == (30, 16_000)
    assert clean.class_names[0] == "eight"
    assert data.is_prepared("spoken-digits", condition="clean")
    assert not data.is_prepared("spoken-digits")
    assert (data.cache_folder("spoken-digits", condition="clean") / "clips" / "zero").is_dir()


def test_default_condition_is_medium(cache: Path) -> None:
    default = data.cache_folder("spoken-digits")
    assert default == data.cache_folder("spoken-digits", condition="medium")
    with pytest.raises(DataError, match=r"run 'clar-sweep data prepare spoken-digits'$"):
        data.load("spoken-digits")
    with pytest.raises(DataError, match=r"prepare spoken-digits --condition hard'$"):
        data.load("spoken-digits", condition="hard")


def test_unknown_dataset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DataError, match="dataset: 'mnist' is not one of 'spoken-digits', 'instr"):
        data.load("mnist")


def test_unknown_condition_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DataError, match="'loud' of spoken-digits is not one of 'clean', 'field'"):
        data.prepare("spoken-digits", condition="loud")


def test_condition_of_a_dataset_without_any_is_refused() -> None:
    with pytest.raises(DataError, match="condition: 'hard' is given, but fsdd has none; leave it"):
        data.prepare("fsdd", condition="hard")


def test_a_folder_without_a_name_or_with_a_path_is_refused(cache: Path) -> None:
    with pytest.raises(DataError, match="--folder: is required with dataset folder; name your"):
        data.load("folder")
    for name in ("", "../mine", "a/b", ".hidden"):
        with pytest.raises(DataError, match=r"is not the name of a folder below CLAR_SWEEPS_DATA"):
            data.cache_folder("folder", folder=name)


def test_a_folder_of_another_dataset_is_refused() -> None:
    with pytest.raises(DataError, match="folder: 'mine' is given, but fsdd has none; leave it"):
        data.cache_folder("fsdd", folder="mine")


def test_clip_seconds_of_a_dataset_with_its_own_are_refused(cache: Path) -> None:
    with pytest.raises(DataError, match="clip_seconds: 2 is given, but clips of fsdd have 1 s"):
        data.prepare("fsdd", clip_seconds=2.0)


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0", "1e-09", "1e+300", "601"])
def test_clip_seconds_that_no_clip_has_are_refused(
    cache: Path, tmp_path: Path, seconds: str
) -> None:
    message = re.escape(f"clip_seconds: {seconds} is not a positive length up to 600 s; correct")
    for call in (data.needs, data.prepare):
        with pytest.raises(DataError, match=message):
            call("folder", folder="mine", source=tmp_path, clip_seconds=float(seconds))


def test_a_source_of_a_dataset_that_is_made_here_is_refused(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="spoken-digits is made on this machine; leave it out"):
        data.prepare("spoken-digits", source=tmp_path)


def test_own_recordings_without_a_place_are_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(data.DATA_VARIABLE, raising=False)
    assert data.data_root() is None
    with pytest.raises(DataError, match="CLAR_SWEEPS_DATA is not set, expected a folder that hol"):
        data.prepare("folder", folder="mine")
    monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match=f"CLAR_SWEEPS_DATA is {tmp_path}, expected a folder that"):
        data.prepare("folder", folder="mine")


def test_cache_root_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(data.CACHE_VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert data.cache_root() == tmp_path / ".cache" / "clar-sweeps"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data.cache_root() == tmp_path / "xdg" / "clar-sweeps"
    monkeypatch.setenv(data.CACHE_VARIABLE, str(tmp_path / "own"))
    assert data.cache_root() == tmp_path / "own"


def test_ten_processes_at_once_make_one_cache(cache: Path, tiny_fsdd: Path) -> None:
    program = """
import os, sys
from clar_sweeps import data
from clar_sweeps.data import fsdd

listed = fsdd.list_clips

def counted(folder):
    os.write(2, b"made\\n")
    return listed(folder)

fsdd.list_clips = counted
print(data.prepare("fsdd").digest)
"""
    command = [sys.executable, "-c", program]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(10)
    ]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 10
    assert "".join(stderr for _, stderr in outputs).count("made\n") == 1
    assert {stdout for stdout, _ in outputs} == {f"{data.load('fsdd').digest}\n"}


def test_a_cache_that_is_made_again_keeps_the_length_of_its_clips(
    cache: Path, tmp_path: Path
) -> None:
    place = tmp_path / "birds"
    for name in ("owl", "tit"):
        (place / name).mkdir(parents=True)
        for take in range(4):
            sound = np.full(8000, 0.1 * (take + 1))
            soundfile.write(place / name / f"{take}.wav", sound, 16_000)
    prepare = partial(data.prepare, "folder", folder="birds", source=place)
    before = prepare(clip_seconds=0.3)
    soundfile.write(place / "owl" / "0.wav", np.full(8001, 0.5), 16_000)
    after = prepare()
    assert after.digest != before.digest
    assert after.samples.shape == before.samples.shape == (8, 4800)
