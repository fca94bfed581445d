"""What is learnt from finished trials, and what follows for the rest."""

import math
import random

import pytest

from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.watching.estimate import Estimate, Left, Task, kind_of


def trial(**fields: object) -> Trial:
    config = {"augment": ("FD",), "epochs": 4, "warmup_epochs": 0.0, **fields}
    return make_trial(TrialConfig.model_validate(config))


def left(
    estimate: Estimate, running: list[tuple[Trial, float]], waiting: list[Trial], slots: int
) -> Left | None:
    now = [Task(kind_of(each), epochs) for each, epochs in running]
    later = [Task(kind_of(each), each.config.epochs) for each in waiting]
    return estimate.left(now, later, slots=slots)


def test_nothing_is_told_before_something_is_known() -> None:
    assert left(Estimate(), [], [trial()], slots=1) is None
    assert left(Estimate(), [], [], slots=1) == Left(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("running", "waiting", "slots", "expected"),
    [
        ([1.0], 0, 1, 10.0),
        ([1.0], 2, 1, 90.0),
        ([1.0, 3.0], 1, 2, 50.0),
        ([], 1, 8, 40.0),
        ([], 3, 2, 80.0),  # two at once, then the third: no trial is split
    ],
)
def test_slots_work_through_the_list_in_order(
    running: list[float], waiting: int, slots: int, expected: float
) -> None:
    estimate = Estimate()
    estimate.learn(trial(seed=9), seconds=40.0, epochs=4)
    found = left(
        estimate,
        [(trial(seed=seed), epochs) for seed, epochs in enumerate(running)],
        [trial(seed=seed) for seed in range(waiting)],
        slots,
    )
    assert found is not None
    assert found.seconds == pytest.approx(expected)
    assert found.low < found.seconds < found.high


def test_kinds_are_learnt_apart_and_an_unknown_one_is_uncertain() -> None:
    estimate = Estimate()
    estimate.learn(trial(width=64), seconds=36.0, epochs=4)
    estimate.learn(trial(augment=("PS",)), seconds=64.0, epochs=4)
    known = left(estimate, [], [trial(width=64, seed=1)], slots=1)
    costly = left(estimate, [], [trial(augment=("PS", "FD"))], slots=1)
    unknown = left(estimate, [], [trial(width=32)], slots=1)
    assert known
    assert costly
    assert unknown
    assert known.seconds == pytest.approx(36.0)
    assert costly.seconds == pytest.approx(64.0)
    assert unknown.seconds == pytest.approx(48.0)  # the geometric mean
    assert unknown.high / unknown.low > 1.5 * known.high / known.low


def test_a_trial_counts_once_by_what_was_learnt_last() -> None:
    estimate = Estimate()
    estimate.learn(trial(), seconds=99.0, epochs=1)
    estimate.learn(trial(), seconds=40.0, epochs=4)
    again = left(estimate, [], [trial(seed=1)], slots=1)
    assert again is not None
    assert again.seconds == pytest.approx(40.0)
    estimate.forget(trial())
    assert left(estimate, [], [trial(seed=1)], slots=1) is None


def test_four_in_five_sweeps_end_within_the_spread_and_it_narrows() -> None:
    draws = random.Random(0)
    chains = [("FD",), ("PS",), ("TST",), ("PS", "TST"), ("TSR",), ("FD", "PS")]
    trials = [
        trial(augment=chain, width=width, seed=seed)
        for seed in range(4)
        for chain in chains
        for width in (8, 16)
    ]
    inside = {3: 0, 12: 0, 40: 0}
    spreads: dict[int, list[float]] = {3: [], 12: [], 40: []}
    rounds = 200
    for _ in range(rounds):
        paces = {kind_of(each): math.exp(draws.gauss(2.0, 0.4)) for each in trials}
        times = [4 * paces[kind_of(each)] * math.exp(draws.gauss(0.0, 0.1)) for each in trials]
        estimate = Estimate()
        for num, (each, seconds) in enumerate(zip(trials, times, strict=True), start=1):
            estimate.learn(each, seconds=seconds, epochs=4)
            if num in inside:
                found = left(estimate, [], trials[num:], slots=1)
                assert found is not None
                inside[num] += found.low <= sum(times[num:]) <= found.high
                spreads[num].append(found.high / found.low)
    shares = {num: count / rounds for num, count in inside.items()}
    assert all(0.7 < share < 0.97 for share in shares.values()), shares
    typical = {num: sorted(found)[rounds // 2] for num, found in spreads.items()}
    assert typical[3] > 1.5
    assert typical[12] < 1.25


def test_a_prediction_tells_before_anything_has_run() -> None:
    estimate = Estimate()
    estimate.predict(trial(), seconds=40.0)
    found = left(estimate, [], [trial(), trial(seed=1)], slots=1)
    assert found is not None
    assert found.seconds == pytest.approx(80.0)
    assert found.high / found.low < 1.6


def test_what_was_seen_corrects_what_was_predicted() -> None:
    estimate = Estimate()
    estimate.predict(trial(), seconds=40.0)
    estimate.predict(trial(width=32), seconds=80.0)
    estimate.learn(trial(), seconds=50.0, epochs=4)
    found = left(estimate, [], [trial(seed=1), trial(width=32)], slots=1)
    assert found is not None
    assert found.seconds == pytest.approx(50.0 + 100.0)
