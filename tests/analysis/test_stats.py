import math

import pytest

from analysis.stats import estimate, paired_difference


def test_estimate_of_three_values_is_the_textbook_interval() -> None:
    # t(0.975, 2) = 4.302653; standard error 0.02 / sqrt(3).
    result = estimate([0.60, 0.62, 0.64])
    assert result.mean == pytest.approx(0.62)
    assert result.std == pytest.approx(0.02)
    assert result.half_width == pytest.approx(4.302653 * 0.02 / math.sqrt(3), rel=1e-6)
    assert result.n == 3


def test_one_value_has_a_mean_and_no_interval() -> None:
    result = estimate([0.6])
    assert result.mean == 0.6
    assert math.isnan(result.std)
    assert math.isnan(result.half_width)
    assert result.n == 1


def test_no_value_has_no_mean() -> None:
    result = estimate([])
    assert math.isnan(result.mean)
    assert result.n == 0


def test_estimate_refuses_an_absent_value() -> None:
    with pytest.raises(ValueError, match="leave out what is not finite"):
        estimate([0.6, math.nan])


def test_paired_difference_takes_the_seeds_that_both_have() -> None:
    result = paired_difference({0: 0.5, 1: 0.7, 2: 0.9}, {1: 0.6, 2: 0.7, 3: 0.1})
    assert result.mean == pytest.approx(0.15)
    assert result.n == 2


def test_paired_difference_ignores_what_seeds_share() -> None:
    result = paired_difference({0: 0.3, 1: 0.9}, {0: 0.2, 1: 0.8})
    assert result.mean == pytest.approx(0.1)
    assert result.half_width == pytest.approx(0, abs=1e-12)
