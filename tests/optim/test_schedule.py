import math

import numpy as np
import pytest
from oracles.bolts_schedule import bolts_learning_rates

from clar_sweeps.optim import learning_rate_at, released_learning_rate_at


def test_learning_rate_of_a_short_run_by_hand() -> None:
    rates = [learning_rate_at(step, base=1.0, warmup_steps=3, total_steps=7) for step in range(8)]
    cosine = [0.5 * (1 + math.cos(math.pi * quarter / 4)) for quarter in range(4)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, *cosine, 0.0])


def test_learning_rate_rises_by_equal_amounts_then_falls() -> None:
    rates = [
        learning_rate_at(step, base=2.0, warmup_steps=19, total_steps=100) for step in range(101)
    ]
    rises = np.diff(rates[:20])
    np.testing.assert_allclose(rises, 2.0 / 20)
    assert rates[0] == pytest.approx(2.0 / 20)
    assert rates[19] == 2.0
    assert all(np.diff(rates[19:]) < 0)
    assert rates[99] > 0
    assert rates[100] == 0
    # The cosine is symmetric about its middle.
    np.testing.assert_allclose(np.add(rates[19:], rates[:18:-1]), 2.0)


def test_learning_rate_without_warmup_starts_at_base() -> None:
    assert learning_rate_at(0, base=0.4, warmup_steps=0, total_steps=5) == 0.4


def test_learning_rate_of_a_run_shorter_than_its_warmup_only_rises() -> None:
    rates = [learning_rate_at(step, base=1.0, warmup_steps=4, total_steps=4) for step in range(5)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.0])


@pytest.mark.parametrize(
    ("step", "warmup_steps", "message"),
    [
        (0, 6, "warmup_steps is 6, expected 0 to total_steps = 5"),
        (0, -1, "warmup_steps is -1, expected 0 to total_steps = 5"),
        (6, 2, "step is 6, expected 0 to total_steps = 5"),
        (-1, 2, "step is -1, expected 0 to total_steps = 5"),
    ],
)
def test_learning_rate_names_a_bad_argument(step: int, warmup_steps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learning_rate_at(step, base=1.0, warmup_steps=warmup_steps, total_steps=5)


@pytest.mark.parametrize(("warmup_steps", "total_steps"), [(10, 50), (1, 7), (2, 3)])
def test_released_learning_rate_equals_bolts_recursion_and_creeps_up_again(
    warmup_steps: int, total_steps: int
) -> None:
    expected = bolts_learning_rates(
        total_steps + 3, base=0.7, warmup_steps=warmup_steps, total_steps=total_steps
    )
    rates = [
        released_learning_rate_at(
            step, base=0.7, warmup_steps=warmup_steps, total_steps=total_steps
        )
        for step in range(total_steps + 3)
    ]
    assert rates == pytest.approx(expected, abs=1e-9)
    assert rates[0] == 0.0
    assert rates[total_steps] == 0.0
    assert rates[total_steps + 1] > 0


def test_released_learning_rate_of_a_short_run_by_hand() -> None:
    rates = [
        released_learning_rate_at(step, base=1.0, warmup_steps=3, total_steps=7)
        for step in range(9)
    ]
    cosine = [0.5 * (1 + math.cos(math.pi * quarter / 4)) for quarter in range(6)]
    assert rates == pytest.approx([0.0, 0.5, 1.0, *cosine])


def test_released_learning_rate_without_a_cosine_stays_at_base() -> None:
    rates = [
        released_learning_rate_at(step, base=0.4, warmup_steps=3, total_steps=3)
        for step in range(6)
    ]
    assert rates == pytest.approx([0.0, 0.2, 0.4, 0.4, 0.4, 0.4])


def test_released_learning_rate_names_a_bad_argument() -> None:
    with pytest.raises(ValueError, match="warmup_steps is 6, expected 0 to total_steps = 5"):
        released_learning_rate_at(0, base=1.0, warmup_steps=6, total_steps=5)
    with pytest.raises(ValueError, match="step is -1, expected at least 0"):
        released_learning_rate_at(-1, base=1.0, warmup_steps=2, total_steps=5)
