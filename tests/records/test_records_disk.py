import errno
import os
from pathlib import Path

import pytest
from small_disk import run_on_small_disk

from clar_sweeps.errors import DiskFullError
from clar_sweeps.records.disk import naming

FULL = """
import json, os, sys
from pathlib import Path
from clar_sweeps import records
from clar_sweeps.config import TrialConfig, make_trial
from clar_sweeps.errors import DiskFullError

folder = Path(sys.argv[1])
trial = make_trial(TrialConfig(augment=("FD",), epochs=20))
records.write_json(folder / "plan.json", {"old": 1})
records.append_history(folder, {"epoch": 1})
row = {"epoch": 2, "text": "x" * 5000}
ballast = (folder / "ballast").open("wb")
try:
    while True:
        ballast.write(b"0" * 4096)
        ballast.flush()
except OSError:
    pass

def refused(write, *arguments, **others):
    try:
        write(*arguments, **others)
    except DiskFullError as error:
        print(error)
    else:
        print("it fitted")

closing = {"state": "done", "metrics": {}, "cost": {}, "provenance": {}}
refused(records.write_json, folder / "plan.json", {"new": 1})
refused(records.append_history, folder, row)
refused(records.write_config, folder, trial)
refused(records.write_summary, folder, trial, **closing)
refused(records.write_live, folder, records.begin_live())
refused(records.write_atomically, folder / "c.pt", b"1" * 9000)
records.request_stop(folder)
assert records.stop_requested(folder)
os.remove(folder / "stop.json")
assert sorted(os.listdir(folder)) == ["ballast", "history.jsonl", "plan.json"]
assert records.read_json(folder / "plan.json") == {"old": 1}
assert (folder / "history.jsonl").read_text() == '{"epoch": 1}\\n'
os.truncate(folder / "ballast", 4096)
records.append_history(folder, row)
records.write_summary(folder, trial, **closing)
assert records.read_history(folder) == [{"epoch": 1}, row]
"""


def test_on_a_full_disk_every_earlier_file_stays_whole_and_the_message_counts(
    tmp_path: Path,
) -> None:
    answer = run_on_small_disk(FULL, tmp_path, options="size=64k")
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert len(lines) == 6
    for line, file in zip(
        lines,
        ("plan.json", "history.jsonl", "config.json", "summary.json", "live.json", "c.pt"),
        strict=True,
    ):
        assert line.startswith(f"{tmp_path / file}: the disk at {tmp_path} is full ("), line
    assert lines[-1] == (
        f"{tmp_path / 'c.pt'}: the disk at {tmp_path} is full (9.0 kB are needed, 0 bytes are "
        "free, 9.0 kB are missing); free some space and give the same command again: what is "
        "done stays"
    )


INODES = """
import sys
from pathlib import Path
from clar_sweeps import records
from clar_sweeps.errors import DiskFullError

folder = Path(sys.argv[1])
try:
    for number in range(99):
        (folder / str(number)).touch()
except OSError:
    pass

def locked():
    with records.locked(folder / "trial", timeout_seconds=0):
        pass

for write in (lambda: records.write_json(folder / "a.json", {}), locked):
    try:
        write()
    except DiskFullError as error:
        print(error)
"""


def test_a_disk_without_inodes_is_told_from_a_full_one(tmp_path: Path) -> None:
    answer = run_on_small_disk(INODES, tmp_path, options="size=1m,nr_inodes=20")
    assert answer.returncode == 0, answer.stderr
    for line, file in zip(answer.stdout.splitlines(), ("a.json", "trial/.lock"), strict=True):
        assert line.startswith(f"{tmp_path / file}: the disk at {tmp_path} takes no more files")
        assert "all of its 20 inodes are in use" in line
        assert "; delete some files and give the same command again" in line


def test_a_used_up_quota_is_told_from_a_full_disk(tmp_path: Path) -> None:
    with (
        pytest.raises(DiskFullError, match=r"your quota on the disk at .* leaves no room for it"),
        naming(tmp_path / "a", needed=5000),
    ):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def test_room_that_has_come_meanwhile_is_not_called_missing(tmp_path: Path) -> None:
    with (
        pytest.raises(DiskFullError, match=r"was full \(10 bytes were needed; by now .* are free"),
        naming(tmp_path / "a", needed=10),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_disk_is_the_one_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/shm")
    with pytest.raises(DiskFullError) as error, naming(tmp_path / "link" / "a", needed=1):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "the disk at /dev/shm " in str(error.value)
