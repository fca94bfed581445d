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


def look_until(watch: HangWatch, clock: Clock, now: float) -> list[Trial]:
    """Look every 20 s, as a driver does that is not standing still; what the last look finds."""
    while clock.now < now - 20:
        clock.now += 20
        assert watch.silent() == []
    clock.now = now
    return watch.silent()


def test_a_trial_that_falls_silent_hangs(
    watch: HangWatch, clock: Clock, trial: Trial, tmp_path: Path
) -> None:
    watch.begin(trial)
    beat(tmp_path, trial)
    assert watch.silent() == []
    assert look_until(watch, clock, 10) == []
    assert look_until(watch, clock, 10.1) == [trial]
    assert watch.patience_seconds(trial) == 10


def test_the_first_sign_of_an_attempt_may_take_half_an_hour(
    watch: HangWatch, clock: Clock, trial: Trial
) -> None:
    watch.begin(trial)
    assert look_until(watch, clock, 1800) == []
    assert look_until(watch, clock, 1800.1) == [trial]
    assert watch.patience_seconds(trial) == 1800


def test_a_longer_timeout_holds_for_the_first_sign_too(
    tmp_path: Path, clock: Clock, trial: Trial
) -> None:
    watch = HangWatch(tmp_path, timeout_seconds=3600, clock=clock)
    watch.begin(trial)
    assert look_until(watch, clock, 3600) == []
    assert look_until(watch, clock, 3600.1) == [trial]


def test_silence_while_the_driver_itself_stood_still_is_forgiven(
    watch: HangWatch, clock: Clock, trial: Trial, tmp_path: Path
) -> None:
    watch.begin(trial)
    beat(tmp_path, trial)
    assert watch.silent() == []
    clock.now = 5000  # the machine was paused, and the trial's with it
    assert watch.silent() == []
    assert look_until(watch, clock, 5010) == []
    assert look_until(watch, clock, 5010.1) == [trial]


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
    assert look_until(watch, clock, 1800) == []
    assert look_until(watch, clock, 1800.1) == [trial]


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
