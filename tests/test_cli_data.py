"""`clar-sweep data`: what is listed, told before work, prepared and verified."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console
from typer.testing import CliRunner, Result

from clar_sweeps import data
from clar_sweeps.cli import app
from clar_sweeps.cli.data import data_progress
from clar_sweeps.data import space


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches of this test's own, and no recordings but those that it makes."""
    monkeypatch.setenv(data.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(data.DATA_VARIABLE, raising=False)


@pytest.fixture
def fsdd(tmp_path: Path) -> Path:
    """Ten digits by three speakers in FSDD's layout."""
    recordings = tmp_path / "digits" / "recordings"
    recordings.mkdir(parents=True)
    for speaker in ("anna", "lucas", "theo"):
        for digit in range(10):
            path = recordings / f"{digit}_{speaker}_0.wav"
            soundfile.write(path, np.full(800, 1 + digit, dtype=np.int16), 8_000)
    return recordings.parent


def clar_sweep(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, arguments)], catch_exceptions=False)


def lines_of(result: Result, name: str) -> list[str]:
    """What `data list` says of one dataset."""
    lines = result.stdout.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(f"{name}: "))
    end = start + 1
    while end < len(lines) and lines[end].startswith("    "):
        end += 1
    return [line.strip() for line in lines[start:end]]


def test_list_tells_licence_download_and_state_of_every_dataset() -> None:
    result = clar_sweep("list")
    assert result.exit_code == 0
    for name, source in data.DATASETS.items():
        first, second = lines_of(result, name)
        assert first == f"{name}: {source.description}"
        assert second.startswith(f"licence: {source.licence}; download: ")
        assert second.endswith("prepared: no")
    assert "download: none" in lines_of(result, "spoken-digits")[1]
    assert "download: 25.2 GB" in lines_of(result, "nsynth128")[1]
    assert "download: 1.5 GB" in lines_of(result, "sc10")[1]


def test_list_tells_where_what_is_prepared_lies(fsdd: Path) -> None:
    clar_sweep("prepare", "fsdd", "--source", fsdd)
    lines = lines_of(clar_sweep("list"), "fsdd")
    assert lines[1].endswith("prepared: yes")
    assert lines[2:] == [str(data.cache_folder("fsdd"))]


def test_prepare_tells_disk_and_phases_on_stderr_and_the_result_on_stdout(fsdd: Path) -> None:
    result = clar_sweep("prepare", "fsdd", "--source", fsdd)
    assert result.exit_code == 0
    assert result.stdout == (
        "fsdd: 30 clips of 1 s in 10 classes (train 10, valid 10, test 10) in "
        f"{data.cache_folder('fsdd')}\n"
    )
    first, *_, last = result.stderr.splitlines()
    assert first.startswith("fsdd: disk 1 MB, of which 1 MB stay; ")
    assert first.endswith(" GB are free")
    assert last == "fsdd: decode"


def test_prepare_again_says_the_same_and_does_nothing(fsdd: Path) -> None:
    first = clar_sweep("prepare", "fsdd", "--source", fsdd)
    again = clar_sweep("prepare", "fsdd")
    assert again.stdout == first.stdout
    assert again.stderr == ""


def test_prepare_takes_an_archive(fsdd: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "fsdd.tar.gz", "w:gz") as file:
        file.add(fsdd, "free-spoken-digit-dataset-1.0.10")
    result = clar_sweep("prepare", "fsdd", "--source", tmp_path / "fsdd.tar.gz")
    assert result.exit_code == 0
    assert "fsdd: unpack fsdd.tar.gz" in result.stderr


def test_prepare_takes_own_recordings_of_a_length(tmp_path: Path) -> None:
    for label in ("bell", "horn"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for index in range(10):
            path = tmp_path / "mine" / label / f"{index}.wav"
            soundfile.write(path, np.full(16_000, 1 + index, dtype=np.int16), 16_000)
    arguments = ("--folder", "mine", "--source", tmp_path / "mine", "--clip-seconds", "0.5")
    prepared = clar_sweep("prepare", "folder", *arguments)
    assert prepared.exit_code == 0
    assert prepared.stderr.startswith("folder: disk 0 MB, of which 0 MB stay; ")
    waveforms = data.load("folder", folder="mine")
    assert waveforms.samples.shape == (20, 8_000)
    train, valid, test = (waveforms.splits.count(split) for split in data.SPLITS)
    assert prepared.stdout == (
        f"folder mine: 20 clips of 0.5 s in 2 classes (train {train}, valid {valid}, test {test}) "
        f"in {data.cache_folder('folder', folder='mine')}\n"
    )
    lines = lines_of(clar_sweep("list"), "folder")
    assert lines[1].endswith("prepared: mine")
    assert lines[2:] == [str(data.cache_folder("folder", folder="mine"))]
    assert clar_sweep("verify", "folder", "--folder", "mine").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["prepare", "mnist"], "dataset: 'mnist' is not one of 'spoken-digits'"),
        (
            ["prepare", "folder"],
            "--folder: is required with dataset folder; name your recordings",
        ),
        (["prepare", "folder", "--folder", "a/b"], "folder: 'a/b' is not the name of a folder bel"),
        (["prepare", "sc10", "--source", "/nothing"], "sc10: --source /nothing is not there"),
        (["prepare", "sc10", "--condition", "hard"], "condition: 'hard' is given, but sc10 has"),
        (["prepare", "sc10", "--clip-seconds", "2"], "clip_seconds: 2 is given, but clips of sc10"),
        (["prepare", "fsdd", "--clip-seconds", "2"], "clip_seconds: 2 is given, but clips of fsdd"),
        (
            ["prepare", "folder", "--folder", "a", "--clip-seconds", "nan"],
            "clip_seconds: nan is not a positive length up to 600 s; correct it",
        ),
        (
            ["prepare", "folder", "--folder", "a", "--clip-seconds", "1e300"],
            "clip_seconds: 1e+300 is not a positive length up to 600 s; correct it",
        ),
        (["verify", "sc35"], "cache "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(arguments: list[str], line: str) -> None:
    result = clar_sweep(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith(line)
    assert sum(text.startswith(line) for text in result.stderr.splitlines()) == 1


def test_too_little_disk_is_told_before_any_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "free_bytes", lambda: 10**10)
    result = clar_sweep("prepare", "nsynth11")
    assert result.exit_code == 2
    first, last = result.stderr.splitlines()
    assert first.startswith("nsynth11: download 25.2 GB, disk 78.5 GB, of which 39.2 GB stay; ")
    assert "10.0 GB are free, expected 78.5 GB for nsynth11; free some space, or set" in last


def test_verify_finds_a_changed_byte(fsdd: Path) -> None:
    clar_sweep("prepare", "fsdd", "--source", fsdd)
    assert clar_sweep("verify", "fsdd").stdout.endswith("fsdd-v1, unchanged\n")
    path = data.load("fsdd").samples_path
    path.write_bytes(path.read_bytes()[:-1] + b"\x11")
    result = clar_sweep("verify", "fsdd")
    assert result.exit_code == 2
    assert "delete the folder and run 'clar-sweep data prepare fsdd'" in result.stderr


def test_bars_show_bytes_of_a_download_and_counts_of_clips() -> None:
    console = Console(force_terminal=True, width=120, record=True)
    with data_progress(console, "sc10") as progress:
        progress("download words.tar.gz", 500_000_000, 1_500_000_000)
        progress("decode", 100, 23_666)
        progress("download without.length", 1_000, 0)
        for _ in range(3):
            progress("decode", 200, 23_666)
    # What is shown last, before the bars are cleared away.
    shown = console.export_text(styles=False)
    assert "sc10: download words.tar.gz" in shown
    assert "0.5/1.5 GB" in shown
    assert "200/23666" in shown


def test_data_commands_import_neither_torch_nor_ray(fsdd: Path) -> None:
    code = (
        "import json, sys; from clar_sweeps.cli import app\n"
        "try: app()\n"
        "finally: print(json.dumps(sorted({'torch', 'ray'} & sys.modules.keys())), file=sys.stderr)"
    )
    for arguments in (["list"], ["prepare", "fsdd", "--source", str(fsdd)], ["verify", "fsdd"]):
        command = [sys.executable, "-c", code, "data", *arguments]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert finished.returncode == 0, finished.stderr
        assert json.loads(finished.stderr.splitlines()[-1]) == []


def test_plan_tells_own_recordings_that_are_at_hand_from_those_that_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path))
    for label in ("lark", "wren"):
        (tmp_path / "birds" / label).mkdir(parents=True)
        for index in range(3):
            path = tmp_path / "birds" / label / f"{index}.wav"
            soundfile.write(path, np.ones(160_000, dtype=np.int16), 16_000)
    study = tmp_path / "study.yaml"
    study.write_text(
        "name: birds\nfixed: {dataset: folder, augment: [FD]}\n"
        "axes: {folder: [birds, frogs]}\nseeds: [0]\n"
    )
    result = CliRunner().invoke(app, ["plan", str(study)], catch_exceptions=False)
    told = [line for line in result.stdout.splitlines() if "not prepared" in line]
    assert told == [
        "folder birds: not prepared; disk 2 MB",
        "folder frogs: not prepared; not found yet",
    ], result.output


def test_plan_tells_what_is_not_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAR_SWEEPS_CACHE", str(tmp_path))
    monkeypatch.delenv("CLAR_SWEEPS_DATA", raising=False)
    study = Path(__file__).parents[1] / "sweeps" / "input_study.yaml"
    result = CliRunner().invoke(app, ["plan", str(study)], catch_exceptions=False)
    told = [line for line in result.stdout.splitlines() if "not prepared" in line]
    # Six datasets, two of which share a cache.
    assert [line.partition(":")[0] for line in told] == [
        "esc10",
        "esc50",
        "sc10",
        "sc35",
        "nsynth11",
    ]
    assert told[-1] == "nsynth11: not prepared; download 25.2 GB, disk 78.5 GB"
