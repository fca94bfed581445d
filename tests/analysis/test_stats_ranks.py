import numpy as np
import pytest
from scipy.stats import kendalltau

from analysis.stats import kendall_tau, rank_path


def test_kendalls_tau_is_that_of_scipy_with_and_without_ties() -> None:
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(size=(5, 12)), generator.integers(0, 5, (5, 12))])
    others = np.concatenate([generator.normal(size=(5, 12)), generator.integers(0, 4, (5, 12))])
    expected = [kendalltau(*pair).statistic for pair in zip(values, others, strict=True)]
    np.testing.assert_allclose(kendall_tau(values, others), expected, rtol=1e-12)


def test_kendalls_tau_leaves_out_what_one_row_lacks() -> None:
    values, others = np.array([3.0, 1.0, np.nan, 2.0]), np.array([3.0, np.nan, 9.0, 1.0])
    assert kendall_tau(values, others) == 1


def test_kendalls_tau_needs_two_cells_that_differ() -> None:
    assert np.isnan(kendall_tau(np.array([0.5]), np.array([0.5])))
    assert np.isnan(kendall_tau(np.array([0.5, 0.5]), np.array([0.4, 0.6])))


def test_a_ranking_is_stable_from_where_it_stays() -> None:
    last = [0.1, 0.2, 0.3]
    path = [[0.3, 0.2, 0.1], last, [0.2, 0.1, 0.3], last, last]
    found = rank_path(np.array(path)[:, None], np.array(path)[:, None])
    np.testing.assert_allclose(found.taus[:, 0], [-1, 1, 1 / 3, 1, 1])
    assert found.stable_from == 3
    assert found.chosen.tolist() == [0, 2, 2, 2, 2]
    assert np.isnan(found.mean.half_width).all()
    lax = rank_path(np.array(path)[:, None], np.array(path)[:, None], threshold=0.3)
    assert lax.stable_from == 1


def test_taus_are_averaged_over_seeds() -> None:
    last = np.array([[0.1, 0.2, 0.3], [0.3, 0.1, 0.2]])
    first = np.array([[0.1, 0.2, 0.3], [0.1, 0.3, 0.2]])
    found = rank_path(np.stack([first, last]), np.stack([first, last]))
    np.testing.assert_allclose(found.taus, [[1, -1], [1, 1]])
    assert found.mean.mean.tolist() == [0, 1]
    assert found.mean.n.tolist() == [2, 2]


def test_a_trial_without_the_last_epoch_takes_no_part() -> None:
    values = np.array([[[0.9, 0.1, 0.2]], [[np.nan, 0.1, 0.2]]])
    found = rank_path(values, values)
    np.testing.assert_allclose(found.taus[:, 0], [1, 1])
    assert found.chosen.tolist() == [2, 2]


def test_the_mean_of_tau_is_near_zero_for_unrelated_rankings() -> None:
    generator = np.random.default_rng(3)
    found = kendall_tau(generator.normal(size=(2_000, 10)), generator.normal(size=(2_000, 10)))
    # Its variance without ties: 2 (2 n + 5) / (9 n (n - 1)).
    assert abs(found.mean()) < 0.02
    assert found.var() == pytest.approx(2 * 25 / (9 * 10 * 9), rel=0.1)
