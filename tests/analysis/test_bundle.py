import io
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from written_run import Run

from analysis import bundle
from analysis.bundle import opened, write_bundle
from analysis.frames import load_run
from clar_sweeps.cli import app
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError

ROOT = Path(__file__).parents[2]
PLAN = "run/plan.json"
MakeTrial = Callable[..., Trial]


def report(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)], catch_exceptions=False)


def report_elsewhere(*arguments: str | Path, place: Path) -> None:
    """Report in a process of its own: other folder, other locale, other time zone."""
    place.mkdir()
    settings = {"LC_ALL": "C", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kolkata", "PYTHONHASHSEED": "7"}
    subprocess.run(
        [sys.executable, "-c", "from clar_sweeps.cli import main; main()", "report", *arguments],
        cwd=place, check=True, capture_output=True,
        env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def entries(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as packed:
        return packed.namelist()


@pytest.fixture
def no_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for what lies aside, which must be empty in the end."""
    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    yield aside
    assert not list(aside.iterdir())


@pytest.fixture
def partial(ragged: Run, make: MakeTrial) -> Run:
    """A run in all states, with a damaged record and one that belongs to no planned trial."""
    (ragged.folder(make("PS")) / "summary.json").write_text("{")
    stray = ragged.path / "trials" / "stray"
    stray.mkdir()
    (stray / "config.json").write_text("no JSON")
    ragged.untrained(make("PS"), test=0.4)
    stamp = "2026-01-01 10:00:00,000 17 INFO clar_sweeps.trainer.trial:"
    name = make("FD", "TM").name
    (ragged.path / "run.log").write_text(f"{stamp} {name} epoch 3/6 loss 2.0000\n")
    return ragged


def test_the_report_of_a_bundle_is_that_of_the_run_byte_for_byte(
    partial: Run, tmp_path: Path
) -> None:
    report_elsewhere(partial.path, place=tmp_path / "here")
    packed = tmp_path / "packed" / "records.zip"
    write_bundle(partial.path, packed)
    report_elsewhere(packed, "--out", "made anew", place=tmp_path / "there")
    first, second = contents(partial.path / "report"), contents(tmp_path / "there" / "made anew")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert sum(name.startswith("trials/") for name in first) > 3
    assert any(b"epoch 3/6 loss 2.0000" in content for content in first.values())
    page = first["index.html"].decode()
    assert "summary.json: is not readable JSON" in page
    assert str(tmp_path) not in page


def test_the_command_writes_report_and_bundle_of_the_same_records(
    partial: Run, tmp_path: Path, no_leftovers: Path
) -> None:
    result = report(partial.path, "--bundle", tmp_path / "run.zip")
    assert result.exit_code == 0
    assert f"report: {partial.path / 'report' / 'index.html'}" in result.stdout
    assert f"bundle: {tmp_path / 'run.zip'} (" in result.stdout
    assert report(tmp_path / "run.zip").exit_code == 0
    assert contents(tmp_path / "run-report") == contents(partial.path / "report")


def test_a_bundle_holds_the_records_and_nothing_else(square: Run, make: MakeTrial) -> None:
    folder = square.folder(make("FD"))
    for name in ("checkpoint.pt", "live.json", "stop.json", ".lock", "notes.txt"):
        (folder / name).write_text("not for a bundle")
    (folder / "labelled.json").write_text("{}")
    (folder / "failures.jsonl").write_text("")
    (square.path / "run.log").write_text("a log")
    written = write_bundle(square.path, square.path.parent)
    assert written.path == square.path.parent / "run.zip"
    names = entries(written.path)
    assert len(names) == written.num_files == 2 + 4 * 3 + 2 + 2
    assert {name.rpartition("/")[2] for name in names} == {
        "plan.json", "run.log", "config.json", "summary.json", "history.jsonl", "labelled.json",
        "failures.jsonl",
    }  # fmt: skip


def test_equal_records_give_equal_bytes(square: Run, tmp_path: Path) -> None:
    one = write_bundle(square.path, tmp_path / "one.zip").path.read_bytes()
    for path in square.path.rglob("*"):
        os.utime(path, (2e9, 2e9))
    assert write_bundle(square.path, tmp_path / "two.zip").path.read_bytes() == one


def test_records_come_back_as_they_were(partial: Run, tmp_path: Path, no_leftovers: Path) -> None:
    write_bundle(partial.path, tmp_path / "run.zip")
    with opened(tmp_path / "run.zip") as run:
        assert run.name == "run"
        frames = load_run(run)
    before = load_run(partial.path)
    assert frames.trials.equals(before.trials)
    assert frames.history.equals(before.history)
    assert frames.unreadable == before.unreadable


def test_what_cannot_be_packed_is_told(square: Run, make: MakeTrial, tmp_path: Path) -> None:
    os.mkfifo(square.folder(make("FD")) / "failures.jsonl")
    with pytest.raises(RecordError, match=r"failures\.jsonl: is not a file; remove it"):
        write_bundle(square.path, tmp_path / "run.zip")
    assert not (tmp_path / "run.zip").exists()


def test_a_folder_of_a_name_that_no_bundle_can_hold_is_told(square: Run, tmp_path: Path) -> None:
    stray = square.path / "trials" / "a\\b"
    stray.mkdir()
    (stray / "config.json").write_text("{}")
    with pytest.raises(RecordError, match="has signs in its name that no bundle can hold"):
        write_bundle(square.path, tmp_path / "run.zip")


def packed(path: Path, *names: str, mode: int = stat.S_IFREG | 0o644, text: str = "{}") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, text)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "run/trials/../../evil/config.json",
        "../plan.json",
        "/etc/plan.json",
        "run/trials/../config.json",
        "run/trials/./config.json",
        "run//FD/config.json",
        "run/trials/FD/checkpoint.pt",
        "run/trials/FD/deep/config.json",
        "run/trials/FD/",
        "run/other/FD/config.json",
        "other/trials/FD/config.json",
        "other/plan.json",
        "run/trials/a\\b/config.json",
        "run/trials/\x1b[31m/config.json",
        "run/trials/" + "x" * 256 + "/config.json",
        "C:/run/plan.json",
    ],
)
def test_an_entry_that_is_no_record_is_refused(
    tmp_path: Path, no_leftovers: Path, name: str
) -> None:
    path = packed(tmp_path / "bad.zip", PLAN, name)
    result = report(path)
    assert result.exit_code == 2
    assert "is no record of a run; bundle the run again" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "\x1b" not in result.stderr


def test_a_compression_that_no_bundle_has_is_refused(tmp_path: Path, no_leftovers: Path) -> None:
    path = tmp_path / "lzma.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as file:
        file.writestr(PLAN, "{}")
    with pytest.raises(RecordError, match="is no record of a run"), opened(path):
        pass


def test_links_and_repeated_names_are_refused(tmp_path: Path, no_leftovers: Path) -> None:
    link = packed(tmp_path / "link.zip", PLAN, mode=stat.S_IFLNK | 0o777, text="/etc/passwd")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = packed(tmp_path / "twice.zip", PLAN, PLAN)
    for path in (link, twice):
        with pytest.raises(RecordError, match="is no record of a run"), opened(path):
            pass


def test_a_bundle_beyond_the_limits_is_refused_before_anything_is_written(
    tmp_path: Path, no_leftovers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = packed(tmp_path / "bomb.zip", PLAN, text=" " * 100_000)
    assert bomb.stat().st_size < 1_000
    monkeypatch.setattr(bundle, "MOST_BYTES", 50_000)
    rule = "holds more than 1,000,000 files and 50,000 bytes"
    with pytest.raises(RecordError, match=rule), opened(bomb):
        pass


def test_no_entry_gives_more_than_it_says(tmp_path: Path, no_leftovers: Path) -> None:
    content = bytearray(packed(tmp_path / "liar.zip", PLAN, text=" " * 100_000).read_bytes())
    size = (100_000).to_bytes(4, "little")
    liar = bytes(content).replace(size, (10).to_bytes(4, "little"))
    assert liar != bytes(content)
    (tmp_path / "liar.zip").write_bytes(liar)
    with (
        pytest.raises(RecordError, match="is not a bundle of a run"),
        opened(tmp_path / "liar.zip"),
    ):
        pass


def test_what_is_no_bundle_is_told_in_a_line(square: Run, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "empty.zip").write_bytes(packed(tmp_path / "none.zip").read_bytes())
    for name, rule in (
        ("text.zip", "is not a bundle of a run (File is not a zip file); make one with"),
        ("empty.zip", "has no plan.json; bundle the run again"),
        ("absent.zip", "is neither a run folder nor a bundle of one; check the path"),
    ):
        result = report(tmp_path / name)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"{tmp_path / name}: {rule}")
        assert len(result.stderr.splitlines()) == 1


def test_a_damaged_bundle_is_told_whatever_is_damaged(
    square: Run, tmp_path: Path, no_leftovers: Path
) -> None:
    whole = write_bundle(square.path, tmp_path / "run.zip").path.read_bytes()
    path = tmp_path / "damaged.zip"
    told = set()
    for place in range(0, len(whole), 97):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(bytes(damaged))
        try:
            with opened(path) as run:
                told.add((run / "plan.json").read_text()[:1])
        except RecordError as error:
            told.add(str(error).partition(": ")[0])
    assert told == {"{", str(path)}  # some bytes carry nothing, such as dates


def test_a_fault_within_names_the_bundle_and_leaves_nothing(
    tmp_path: Path, no_leftovers: Path
) -> None:
    path = packed(tmp_path / "run.zip", PLAN, text="no JSON")
    result = report(path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{path}/plan.json: is not readable JSON")


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("--bundle", "x.zip"), "--bundle: is for one report; name the run as well"),
        (("a", "b", "--bundle", "x.zip"), "--bundle: is for one run"),
        (("a.zip", "--bundle", "x.zip"), "--bundle: a.zip is no run folder"),
    ],
)
def test_a_bundle_is_of_one_run_folder(arguments: tuple[str, ...], rule: str) -> None:
    result = report(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(rule)


def test_a_bundle_is_small(square: Run, tmp_path: Path) -> None:
    written = write_bundle(square.path, tmp_path / "run.zip")
    raw = sum(path.stat().st_size for path in square.path.rglob("*.json*"))
    assert written.num_bytes < raw / 1.5
    with zipfile.ZipFile(io.BytesIO(written.path.read_bytes())) as file:
        assert file.testzip() is None
