"""Ctrl-C and SIGTERM in the process that drives a run; whole runs are in test_disturbed_runs.py."""

import signal
from pathlib import Path

import pytest

from clar_sweeps.tuning.events import Broadcast
from clar_sweeps.tuning.interrupts import stopping_by_signal
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.slots import Machine, Slots


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_before_anything_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    schedule = Schedule(
        [], tmp_path, slots=Slots(1, 0, 1, Machine(1, 0)), max_retries=0, listener=Broadcast([])
    )
    when_told: list[bool] = []
    monkeypatch.setattr(schedule, "note", lambda text: when_told.append(schedule.stopping))
    with stopping_by_signal(schedule):
        signal.raise_signal(sent)
    assert (when_told, schedule.signal) == ([True], sent)
