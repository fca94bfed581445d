"""The gauges of a run, from a snapshot of it; `test_ports.py` asks Prometheus for them."""

from pathlib import Path

import pytest
from sweep_desk import TINY

from clar_sweeps.records import begin_live
from clar_sweeps.sweep import load_sweep
from clar_sweeps.tuning.metrics import GAUGES, STATES, Value, values_of
from clar_sweeps.watching.estimate import Left
from clar_sweeps.watching.snapshot import Running, Snapshot, Standing

AXES = """
  augment: [FD]
axes:
  temperature: [0.1, 0.2, 0.3, 0.4]
"""


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Four trials: done, failed, running after an epoch of an earlier run, and not begun."""
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY + AXES)
    sweep = load_sweep(file)
    done, failed, running, missing = sweep.trials
    live = begin_live()._replace(epoch=3, loss=1.5, memory_bytes=2**30)
    return Snapshot(
        run=tmp_path,
        sweep=sweep,
        panels=(),
        standings={
            done.id: Standing("done"),
            failed.id: Standing("failed"),
            running.id: Standing("unfinished", epoch=1),
            missing.id: Standing("missing"),
            sweep.baselines[0].id: Standing("missing"),
        },
        counts={"done": 1, "failed": 1, "unfinished": 1, "missing": 1},
        running=(
            Running(running, live, silent_seconds=0.0, stopping=False),
            Running(sweep.baselines[0], None, silent_seconds=0.0, stopping=False),
        ),
        failed=(failed,),
        driver=None,
        driver_silent_seconds=0.0,
        driver_is_us=True,
        driver_is_gone=False,
        stopping=False,
        stopping_seconds=None,
        elapsed_seconds=None,
        left=Left(60.0, 50.0, 80.0),
    )


def test_each_trial_counts_in_one_state(snapshot: Snapshot) -> None:
    states = {
        value.labels["state"]: value.value
        for value in values_of(snapshot)
        if value.gauge == "clar_sweep_trials"
    }
    assert tuple(states) == STATES
    assert states == {
        "done": 1,
        "failed": 1,
        "running": 1,
        "missing": 1,
        "unfinished": 0,
        "diverged": 0,
    }


def test_a_running_trial_shows_what_it_has_told(snapshot: Snapshot) -> None:
    name = snapshot.running[0].trial.name
    of_trials = [value for value in values_of(snapshot) if "trial" in value.labels]
    labels = {"sweep": "tiny", "trial": name}
    # No top-1 before the first evaluation, and nothing of a process that has not begun.
    assert of_trials == [
        Value("clar_trial_epoch", 3.0, labels),
        Value("clar_trial_loss", 1.5, labels),
        Value("clar_trial_memory_bytes", float(2**30), labels),
    ]


def test_baselines_take_slots(snapshot: Snapshot) -> None:
    values = {value.gauge: value.value for value in values_of(snapshot)}
    assert values["clar_sweep_slots_in_use"] == 2
    assert values["clar_sweep_seconds_left"] == 60


def test_labels_are_those_that_the_gauges_were_made_with(snapshot: Snapshot) -> None:
    for value in values_of(snapshot):
        assert tuple(value.labels) == GAUGES[value.gauge][1]
