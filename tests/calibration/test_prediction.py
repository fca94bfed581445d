"""From times of parts to trials and runs: sums and simulations with known answers."""

import pytest
from tiny import tiny_config

from clar_sweeps.calibration.crew import Measured
from clar_sweeps.calibration.kinds import kinds_of
from clar_sweeps.calibration.parts import Evaluation, Makeup, Operation, Steps
from clar_sweeps.calibration.prediction import Circumstances, predict, seconds_of, wall_seconds
from clar_sweeps.calibration.timing import Times
from clar_sweeps.config import Trial, make_trial

STEPS, EVALUATION = Steps(tiny_config(epochs=1)), Evaluation(tiny_config(epochs=0))
PITCH, FADE = (Operation(tiny_config(augment=[name])) for name in ("PS", "FD"))
TIMES = {
    STEPS: Times(0.5, build_seconds=0.25, save_seconds=0.125, checkpoint_bytes=1000),
    EVALUATION: Times(3.0, build_seconds=0.75),
    PITCH: Times(0.1),
    FADE: Times(0.01),
}
TRAINED = Makeup(
    steps=STEPS,
    evaluation=EVALUATION,
    operations=(PITCH, FADE),
    num_steps=40,
    num_views=2,
    num_evaluations=2,
    num_checkpoints=4,
    augmented_batches=0.0,
    record_bytes=50,
)
UNTRAINED = TRAINED._replace(
    steps=None, operations=(), num_steps=0, num_evaluations=1, num_checkpoints=0
)
NO_START = Measured(TIMES, import_seconds=0.0, warm_up_seconds=0.0)
LOCALLY = Circumstances(slots=1, with_ray=False, shares_processes=True)


def trial(**fields: object) -> Trial:
    return make_trial(tiny_config(**fields))


def test_a_trial_is_the_sum_of_its_parts() -> None:
    # Built, 40 steps of two views, 2 evaluations, 4 checkpoints.
    expected = 0.25 + 40 * (0.5 + 2 * 0.11) + 2 * 3.0 + 4 * 0.125
    assert seconds_of(TRAINED, TIMES) == pytest.approx(expected)


def test_an_untrained_encoder_is_built_and_evaluated() -> None:
    assert seconds_of(UNTRAINED, TIMES) == pytest.approx(0.75 + 3.0)


def test_what_is_done_twice_costs_twice() -> None:
    more_steps = seconds_of(TRAINED._replace(num_steps=80), TIMES)
    assert more_steps - seconds_of(TRAINED, TIMES) == pytest.approx(40 * 0.72)
    one_view = seconds_of(TRAINED._replace(num_views=1), TIMES)
    assert seconds_of(TRAINED, TIMES) - one_view == pytest.approx(40 * 0.11)
    augmented = seconds_of(TRAINED._replace(augmented_batches=10.0), TIMES)
    assert augmented - seconds_of(TRAINED, TIMES) == pytest.approx(1.1)


@pytest.mark.parametrize(("slots", "expected"), [(1, 60.0), (2, 40.0), (3, 30.0), (8, 30.0)])
def test_a_free_slot_takes_the_next_trial(slots: int, expected: float) -> None:
    # On two slots the first ends at 10, the second at 20, the third, begun at 10, at 40.
    circumstances = LOCALLY._replace(slots=slots)
    between = [seconds - 0.1 for seconds in (10.0, 20.0, 30.0)]
    assert wall_seconds(between, NO_START, circumstances) == pytest.approx(expected)


def test_processes_that_are_shared_start_once_a_slot_and_others_once_a_trial() -> None:
    measured = NO_START._replace(import_seconds=4.0)
    trials = [10.0 - 0.1] * 6
    shared = wall_seconds(trials, measured, LOCALLY._replace(slots=2))
    own = wall_seconds(trials, measured, LOCALLY._replace(slots=2, shares_processes=False))
    assert shared == pytest.approx(3 * 10.0 + 4.0)
    assert own == pytest.approx(3 * 14.0)


def test_ray_takes_its_time_once() -> None:
    measured = NO_START._replace(import_seconds=2.0)
    locally = wall_seconds([5.0, 5.0], measured, LOCALLY)
    with_ray = wall_seconds([5.0, 5.0], measured, LOCALLY._replace(with_ray=True))
    assert 2.0 < with_ray - locally < 20.0


def test_a_run_costs_its_kinds_and_what_was_trained_before_costs_no_time_again() -> None:
    trials = [trial(epochs=0), trial(augment=["PS", "FD"]), trial(augment=["FD", "PS"])]
    makeups = {each.id: TRAINED if each.config.epochs else UNTRAINED for each in trials}
    whole = dict.fromkeys(makeups, 1.0)
    cost = predict(trials, makeups, NO_START, LOCALLY, left=whole)
    assert [(kind.kind, list(kind.trials)) for kind in cost.kinds] == [
        ("untrained encoder", [trials[0].id]),
        ("all trials", [trials[1].id, trials[2].id]),
    ]
    assert cost.slot_seconds == pytest.approx(3.75 + 2 * seconds_of(TRAINED, TIMES))
    assert cost.wall_seconds == pytest.approx(cost.slot_seconds + 3 * 0.1)
    # Two checkpoints stay, one is the one before the last of the trial in training.
    assert cost.disk_bytes == 3 * 1000 + 3 * 50
    begun = predict(trials, makeups, NO_START, LOCALLY, left=whole | {trials[1].id: 0.5})
    assert begun.slot_seconds == cost.slot_seconds
    assert begun.wall_seconds == pytest.approx(
        cost.slot_seconds + 0.3 - seconds_of(TRAINED, TIMES) / 2
    )


def test_the_first_trial_of_a_process_warms_it_up() -> None:
    trials = [trial(seed=seed) for seed in range(3)]
    makeups = {each.id: TRAINED for each in trials}
    measured = NO_START._replace(warm_up_seconds=2.0)
    warm = seconds_of(TRAINED, TIMES)

    def seconds(circumstances: Circumstances) -> list[float]:
        whole = dict.fromkeys(makeups, 1.0)
        cost = predict(trials, makeups, measured, circumstances, left=whole)
        return [cost.seconds[each.id] - warm for each in trials]

    assert seconds(LOCALLY._replace(slots=2)) == pytest.approx([2.0, 2.0, 0.0])
    assert seconds(LOCALLY._replace(shares_processes=False)) == pytest.approx([2.0] * 3)


def test_kinds_are_told_apart_by_what_differs_and_costs() -> None:
    trials = [
        trial(augment=["PS", "FD"]),
        trial(augment=["TM", "PS"], width=4),
        trial(augment=["FD", "TM"], width=4, seed=1),
        trial(epochs=0, width=4),
    ]
    assert list(kinds_of(trials).values()) == [
        "width 2, PS",
        "width 4, PS",
        "width 4, other operations",
        "untrained encoder",
    ]


def test_kinds_of_labelled_shares_say_method_and_share() -> None:
    trials = [
        trial(method="supervised", label_fraction=0.01),
        trial(method="clar", label_fraction=1.0),
        trial(),
    ]
    assert list(kinds_of(trials).values()) == [
        "supervised, 1 % of labels",
        "clar, 100 % of labels",
        "simclr",
    ]
