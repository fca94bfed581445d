"""What the driver of a run tells of itself, and who is kept out by it."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from clar_sweeps import records, run_folder
from clar_sweeps.errors import RunLockedError
from clar_sweeps.records import Driver
from clar_sweeps.run_folder.presence import Presence
from clar_sweeps.sweep import Recovery, Resources, Sweep

ELSEWHERE = Driver("elsewhere", 7, 0.0, 0.0, 0, (), 0, False)


@pytest.fixture
def sweep() -> Sweep:
    resources, recovery = Resources.model_validate({}), Recovery.model_validate({})
    return Sweep("small", "", (), (), (), resources, recovery)


def test_the_driver_is_told_while_it_lives_and_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clar_sweeps.run_folder.presence.SECONDS_BETWEEN", 0.0)
    with Presence(tmp_path):
        first = records.read_driver(tmp_path)
        assert first is not None
        assert (first.host, first.pid) == (socket.gethostname(), os.getpid())
        deadline = time.monotonic() + 20
        while records.read_driver(tmp_path) == first:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert records.read_driver(tmp_path) is None


def test_a_driver_elsewhere_that_gives_signs_keeps_others_out_without_a_lock(
    sweep: Sweep, tmp_path: Path
) -> None:
    records.write_driver(tmp_path, ELSEWHERE)
    later = threading.Timer(0.5, records.write_driver, (tmp_path, ELSEWHERE._replace(at=5.0)))
    later.start()
    with (
        pytest.raises(RunLockedError, match="process 7 on elsewhere works in it"),
        run_folder.opened(tmp_path, sweep),
    ):
        pass
    later.join()


def test_what_a_driver_that_was_killed_elsewhere_left_keeps_nobody_out(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clar_sweeps.run_folder.holding.SECONDS_BETWEEN", 0.2)
    records.write_driver(tmp_path, ELSEWHERE)
    with run_folder.opened(tmp_path, sweep):
        driver = records.read_driver(tmp_path)
        assert driver is not None
        assert driver.pid == os.getpid()
