"""A run folder of a stranger's, with links in it, and disks that keep no locks."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from clar_sweeps import records
from clar_sweeps.cli.logs import log_to
from clar_sweeps.errors import RecordError


def take_lock(folder: Path) -> None:
    with records.locked(folder, timeout_seconds=0.0):
        pass


WRITERS: dict[str, Callable[[Path], object]] = {
    "history.jsonl": lambda folder: records.append_history(folder, {"epoch": 1}),
    "stop.json": records.request_stop,
    "run.log": log_to,
    ".lock": take_lock,
}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "precious"
    path.write_text("mine")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    return path


@pytest.mark.parametrize("name", WRITERS)
def test_no_link_is_written_through(folder: Path, target: Path, name: str) -> None:
    (folder / name).symlink_to(target)
    with pytest.raises(RecordError, match=f"{name}: is a link; remove it and run again"):
        WRITERS[name](folder)
    assert target.read_text() == "mine"


def test_a_sign_of_life_takes_the_place_of_a_link(folder: Path, target: Path) -> None:
    (folder / "live.json").symlink_to(target)
    records.write_live(folder, records.begin_live())
    assert target.read_text() == "mine"
    assert records.read_live(folder) is not None


def test_only_what_a_writer_left_aside_is_removed(folder: Path) -> None:
    for name in (".run.json.ab12_xyz", ".checkpoint.pt.01234567", ".bashrc", ".config.local.bak"):
        (folder / name).touch()
    records.remove_leftovers(folder)
    assert sorted(path.name for path in folder.iterdir()) == [".bashrc", ".config.local.bak"]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_a_disk_without_locks_is_told_in_a_line(
    folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(file: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with (
        pytest.raises(RecordError, match=r"\.lock: the file system knows no file locks \(.*; give"),
        records.locked(folder, timeout_seconds=0.0),
    ):
        pass
