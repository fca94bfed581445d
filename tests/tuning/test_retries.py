"""How often an interrupted trial is taken up again."""

from pathlib import Path

import pytest

from clar_sweeps.records import DIVERGED, OUT_OF_MEMORY, Failure
from clar_sweeps.tuning.deaths import describe_death
from clar_sweeps.tuning.retries import (
    HUNG,
    NODE_LOST,
    PROCESS_DIED,
    Breaker,
    Retries,
    tells_most,
)


def failure(kind: str, message: str = "") -> Failure:
    return describe_death(kind, message, trace="", log=Path("run.log"))


@pytest.mark.parametrize("kind", [PROCESS_DIED, HUNG, "ValueError", OUT_OF_MEMORY])
def test_a_trial_is_taken_up_again_as_often_as_is_allowed(kind: str) -> None:
    retries = Retries(2)
    judged = [retries.judge("a", kind, epoch=epoch) for epoch in (0, 5, 9)]
    assert [verdict.again for verdict in judged] == [True, True, False]
    assert [verdict.num for verdict in judged] == [1, 2, 3]
    assert all(verdict.counts for verdict in judged)


def test_no_retries_means_none() -> None:
    assert not Retries(0).judge("a", HUNG, epoch=0).again


def test_trials_are_counted_apart() -> None:
    retries = Retries(1)
    for trial in ("a", "b"):
        assert retries.judge(trial, HUNG, epoch=0).again
    assert not retries.judge("a", HUNG, epoch=0).again


def test_want_of_memory_does_not_count_where_room_was_made() -> None:
    retries = Retries(0)
    assert retries.judge("a", OUT_OF_MEMORY, epoch=0, has_more_room=True).again
    assert not retries.judge("a", OUT_OF_MEMORY, epoch=0).again
    # Room helps against nothing else.
    assert not retries.judge("b", "ValueError", epoch=0, has_more_room=True).again


def test_a_lost_node_does_not_count_while_the_trial_gets_on() -> None:
    retries = Retries(0)
    judged = [retries.judge("a", NODE_LOST, epoch=epoch) for epoch in (3, 7)]
    assert [(verdict.again, verdict.counts) for verdict in judged] == [(True, False)] * 2


def test_a_trial_that_loses_node_after_node_at_one_place_is_given_up() -> None:
    retries = Retries(1)
    judged = [retries.judge("a", NODE_LOST, epoch=3) for _ in range(3)]
    assert [verdict.again for verdict in judged] == [True, True, False]
    assert [verdict.counts for verdict in judged] == [False, True, True]


def test_a_trial_that_diverges_as_before_is_given_up_with_retries_left() -> None:
    retries = Retries(9)
    assert retries.judge("a", DIVERGED, epoch=3).again
    assert retries.judge("a", DIVERGED, epoch=3).again  # elsewhere, as on a GPU
    assert not retries.judge("a", DIVERGED, epoch=3, is_repeated=True).again
    # Processes die of what is around them, at whatever place.
    assert retries.judge("b", PROCESS_DIED, epoch=3, is_repeated=True).again


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ([PROCESS_DIED], 0),
        ([DIVERGED, PROCESS_DIED, HUNG], 0),
        ([DIVERGED, NODE_LOST, DIVERGED, PROCESS_DIED], 2),
        ([DIVERGED, PROCESS_DIED, "ValueError"], 2),
    ],
)
def test_a_trial_that_diverged_is_given_up_for_that_however_often_it_was_killed(
    kinds: list[str], told: int
) -> None:
    failures = [failure(kind) for kind in kinds]
    assert tells_most(failures) is failures[told]


def test_five_trials_in_a_row_that_trained_nothing_are_enough() -> None:
    breaker = Breaker()
    kinds = (PROCESS_DIED, "TrialFailed", HUNG, NODE_LOST, "ImportError")
    told = [breaker.gave_up(name, kind) for name, kind in zip("abcde", kinds, strict=True)]
    assert told == [False] * 4 + [True]


def test_a_trial_that_is_done_or_that_trained_begins_the_row_anew() -> None:
    breaker = Breaker()
    for name in "abcd":
        breaker.gave_up(name, PROCESS_DIED)
    breaker.ended_well()
    assert not breaker.gave_up("e", PROCESS_DIED)
    breaker.trained("f")
    assert breaker.num == 1  # still in training, elsewhere: the machine of the others may be bad
    breaker.gave_up("f", PROCESS_DIED)
    assert breaker.num == 0


@pytest.mark.parametrize("kind", [DIVERGED, OUT_OF_MEMORY])
def test_cells_that_cannot_be_trained_do_not_end_the_others(kind: str) -> None:
    breaker = Breaker()
    assert not any(breaker.gave_up(str(num), kind) for num in range(50))
