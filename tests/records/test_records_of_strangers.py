import json
import os
from math import inf, nan
from pathlib import Path

import pytest

from clar_sweeps import records
from clar_sweeps.errors import RecordError

DEEP = "[" * 100_000
ABSURD = [None, [], {}, "1", -1, 10**400, nan, inf, True, 1.5e300]


def driver(**changes: object) -> records.Driver:
    sound = records.Driver("host", 1, 2.0, 3.0, 4, ("trials/FD_s0_0ab",), 5, False)
    return sound._replace(**changes)  # type: ignore[arg-type]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    live, failure = records.begin_live(epoch=3)._replace(loss=0.5), sample_failure()
    records.write_live(tmp_path, live)
    records.write_driver(tmp_path, driver())
    records.append_failure(tmp_path, failure)
    assert records.read_live(tmp_path) == live
    assert records.read_driver(tmp_path) == driver()
    assert records.read_failures(tmp_path) == [failure]
    records.end_live(tmp_path)
    records.end_driver(tmp_path)
    assert records.read_live(tmp_path) is None
    assert records.read_driver(tmp_path) is None


def sample_failure() -> records.Failure:
    try:
        raise ValueError("one\ntwo")
    except ValueError as error:
        return records.describe_failure(error, kind="ValueError", log=Path("a"), provenance={})


@pytest.mark.parametrize("value", ABSURD, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("field", ["host", "pid", "at", "phase", "step", "memory_bytes"])
def test_a_sign_of_life_that_cannot_be_is_none(tmp_path: Path, field: str, value: object) -> None:
    plain = records.begin_live()._asdict() | {field: value}
    (tmp_path / "live.json").write_text(json.dumps(plain))
    live = records.read_live(tmp_path)
    assert live is None or (field, value) == ("host", "1")


@pytest.mark.parametrize("value", [[], "1", 10**400, nan, inf], ids=lambda value: repr(value)[:20])
def test_a_loss_that_cannot_be_is_none(tmp_path: Path, value: object) -> None:
    (tmp_path / "live.json").write_text(
        json.dumps(records.begin_live()._asdict() | {"loss": value})
    )
    assert records.read_live(tmp_path) is None


@pytest.mark.parametrize(
    "folder",
    ["/etc", "../x", "trials/..", "trials/.", "trials/a/../..", "trials/a/b", "trials/a\n", "a/b"],
)
def test_no_trial_under_way_lies_outside_of_the_run_folder(tmp_path: Path, folder: str) -> None:
    records.write_driver(tmp_path, driver(running=(folder,)))
    assert records.read_driver(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", DEEP, "1" * 10_000, "\0", "\ud800"])
def test_files_that_are_no_records_are_none(tmp_path: Path, content: str) -> None:
    for name in ("live.json", "run.json", "failures.jsonl", "history.jsonl", "config.json"):
        (tmp_path / name).write_text(content, errors="surrogatepass")
    assert records.read_live(tmp_path) is None
    assert records.read_driver(tmp_path) is None
    assert records.read_failures(tmp_path) == []
    assert records.read_history(tmp_path) == []
    with pytest.raises(RecordError):
        records.read_record(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    for name in ("live.json", "run.json", "failures.jsonl", "stack.txt"):
        path = tmp_path / name
        match kind:
            case "pipe":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/zero")
            case "folder":
                path.mkdir()
            case "loop":
                path.symlink_to(path)
    assert records.read_live(tmp_path) is None
    assert records.read_driver(tmp_path) is None
    assert records.read_stack(tmp_path) == ""
    with pytest.raises(RecordError, match=r"failures\.jsonl: "):
        records.read_failures(tmp_path)


def test_lines_of_failures_that_cannot_be_are_left_out(tmp_path: Path) -> None:
    sound = sample_failure()
    for value in ABSURD:
        line = json.dumps(sound._asdict() | {"at": value, "provenance": []})
        with (tmp_path / "failures.jsonl").open("a") as file:
            file.write(f"{line}\n")
    records.append_failure(tmp_path, sound)
    assert records.read_failures(tmp_path) == [sound]


def test_a_traceback_is_kept_by_its_last_lines(tmp_path: Path) -> None:
    def recurse(depth: int) -> None:
        if depth == 0:
            raise ValueError("x" * 10_000)
        recurse(depth - 1)

    try:
        recurse(50)
    except ValueError as error:
        failure = records.describe_failure(error, kind="a", log=tmp_path, provenance={})
    lines = failure.traceback.splitlines()
    assert len(lines) <= 20
    assert lines[-1].startswith("ValueError: xxx")
    assert max(map(len, lines)) <= 2000
    assert len(failure.message) == 2000
