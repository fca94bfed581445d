"""When a trial counts as hanging."""

from pathlib import Path

import pytest

from clar_sweeps import records
from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.tuning.hang import HangWatch


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    trial = make_trial(TrialConfig.model_validate({"augment": ("FD",)}))
    records.trial_folder(tmp_path, trial).mkdir(parents=True)
    return trial


@pytest.fixture
def watch(tmp_path: Path, clock: Clock) -> HangWatch:
    return HangWatch(tmp_path, timeout_seconds=10, clock=clock)


def beat(run: Path, trial: Trial, **fields: object) -> None:
    live = records.begin_live()._replace(**fields)  # type: ignore[arg-type]
    records.write_live(records.trial_folder(run, trial), live)


def test_a_trial_that_never_speaks_hangs(watch: HangWatch, clock: Clock, trial: Trial) -> None:
    watch.begin(trial)
    clock.now = 10
    assert watch.silent() == []
    clock.now = 10.1
    assert watch.silent() == [trial]


def test_each_sign_of_life_starts_the_time_anew(
    watch: HangWatch, clock: Clock, trial: Trial, tmp_path: Path
) -> None:
    watch.begin(trial)
    for step in range(4):
        clock.now += 9
        beat(tmp_path, trial, step=step)
        assert watch.silent() == []
    clock.now += 10.1
    assert watch.silent() == [trial]


def test_what_an_earlier_process_left_is_no_sign_of_life(
    watch: HangWatch, clock: Clock, trial: Trial, tmp_path: Path
) -> None:
    beat(tmp_path, trial, step=7)
    watch.begin(trial)
    clock.now = 10.1
    assert watch.silent() == [trial]


@pytest.mark.parametrize("hours", [-5, 5])
def test_the_clock_of_another_machine_does_not_matter(
    watch: HangWatch, clock: Clock, trial: Trial, tmp_path: Path, hours: float
) -> None:
    watch.begin(trial)
    clock.now = 5
    beat(tmp_path, trial, at=records.begin_live().at + 3600 * hours)
    assert watch.silent() == []
    clock.now = 14
    assert watch.silent() == []
    clock.now = 15.1
    assert watch.silent() == [trial]


def test_a_trial_that_has_ended_does_not_hang(watch: HangWatch, clock: Clock, trial: Trial) -> None:
    watch.begin(trial)
    watch.end(trial)
    clock.now = 100
    assert watch.silent() == []
