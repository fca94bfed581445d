"""The command `gallery`: its files, and its faults in one line each."""

import subprocess
import sys
import wave
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clar_sweeps.cli import app
from clar_sweeps.data import Waveforms


def gallery(*arguments: str) -> Result:
    command = ["gallery", *arguments]
    return CliRunner().invoke(app, command, catch_exceptions=False)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


CLEAN = ("--dataset", "spoken-digits", "--condition", "clean")


def test_figure_sounds_and_page_are_written_and_named(digits: Waveforms) -> None:
    result = gallery(*CLEAN)
    assert result.exit_code == 0
    names = ["clean", "PS", "FD", "WN", "MN", "TM", "TS", "TST"]
    files = [
        "gallery/index.html",
        "gallery/gallery_spoken-digits.png",
        "gallery/gallery_spoken-digits.svg",
        *(f"gallery/gallery_spoken-digits_{name}.wav" for name in names),
    ]
    assert result.stdout.splitlines() == files
    assert sorted(map(str, Path("gallery").iterdir())) == sorted(files)
    assert sum(Path(file).stat().st_size for file in files) < 4e6
    with wave.open(files[-1]) as sound:
        assert sound.getnframes() == digits.samples.shape[1]


def test_the_page_tells_a_command_that_gives_the_same_files(digits: Waveforms) -> None:
    clip = digits.clip_names[5]
    options = (*CLEAN, "--augment", "TS, FD,TS", "--profile", "released", "--seed", "4")
    assert gallery(*options, "--clip", clip, "--out", "once").exit_code == 0
    page = Path("once/index.html").read_text()
    told = (
        "clar-sweep gallery --dataset spoken-digits --condition clean --augment TS,FD "
        f"--profile released --clip {clip} --seed 4"
    )
    assert f"<pre>{told}</pre>" in page
    assert gallery(*told.split()[2:], "--out", "again").exit_code == 0
    once, again = (
        {file.name: file.read_bytes() for file in Path(folder).iterdir()}
        for folder in ("once", "again")
    )
    assert once == again


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "spoken-digit"], "did you mean spoken-digits?"),
        ([*CLEAN[:2], "--condition", "claen"], "did you mean clean?"),
        ([*CLEAN, "--augment", "FD,tst"], "--augment: 'tst' is not one of "),
        ([*CLEAN, "--augment", ""], "--augment: '' is not one of "),
        ([*CLEAN, "--profile", "papr"], "--profile: 'papr' is not one of paper, released"),
        ([*CLEAN, "--seed", "-1"], "--seed: -1 is not at least 0; raise it"),
        ([*CLEAN, "--clip", "eigt"], "clip: 'eigt' is not in the dataset; names look like "),
        ([*CLEAN, "--folder", "mine"], "--folder: 'mine', but spoken-digits has none; leave it"),
        (["--dataset", "fsdd", "--condition", "hard"], "--condition: 'hard', but fsdd has none"),
        (["--dataset", "folder"], "--folder: is required with dataset folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_fault_is_one_line_and_nothing_is_written(
    digits: Waveforms, arguments: list[str], message: str
) -> None:
    result = gallery(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert not result.stdout
    assert not list(Path().iterdir())


def test_all_faults_are_told_at_once(digits: Waveforms) -> None:
    result = gallery("--dataset", "fsd", "--augment", "FD,XX", "--seed", "-3")
    starts = [line.partition(":")[0] for line in result.stderr.splitlines()]
    assert sorted(starts) == ["--augment", "--dataset", "--seed"]


def test_faults_and_help_need_no_torch() -> None:
    code = (
        "import sys; from clar_sweeps.cli import app\n"
        "try: app()\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "gallery", "--dataset", "fsd"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 2
    assert finished.stderr.splitlines()[-1] == "False"
