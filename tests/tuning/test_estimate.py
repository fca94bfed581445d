"""What is learnt from finished epochs, and what follows for the rest."""

import pytest

from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.tuning.estimate import Estimate, seconds_left


def trial(**fields: object) -> Trial:
    return make_trial(TrialConfig.model_validate({"augment": ("FD",), **fields}))


def test_nothing_is_expected_before_something_is_known() -> None:
    assert Estimate().seconds_of(trial(), epochs=3) is None


def test_pace_is_total_time_over_total_epochs() -> None:
    estimate = Estimate()
    estimate.learn(trial(seed=0), seconds=30.0, epochs=2)
    estimate.learn(trial(seed=1), seconds=10.0, epochs=2)
    assert estimate.seconds_of(trial(seed=2), epochs=5) == pytest.approx(50.0)


def test_kinds_are_learnt_apart_and_an_unknown_kind_takes_the_mean() -> None:
    estimate = Estimate()
    estimate.learn(trial(width=64), seconds=9.0, epochs=1)
    estimate.learn(trial(width=16), seconds=1.0, epochs=1)
    assert estimate.seconds_of(trial(width=64), epochs=2) == pytest.approx(18.0)
    assert estimate.seconds_of(trial(width=32), epochs=2) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("running", "waiting", "slots", "expected"),
    [
        ([], [], 2, 0.0),
        ([4.0], [10.0, 10.0], 1, 24.0),
        ([4.0, 6.0], [10.0, 10.0], 2, 15.0),
        ([], [10.0], 8, 10.0),
        ([4.0], [None], 2, None),
    ],
)
def test_work_is_shared_by_the_slots_but_no_trial_is_split(
    running: list[float | None], waiting: list[float | None], slots: int, expected: float | None
) -> None:
    assert seconds_left(running, waiting, slots=slots) == expected
