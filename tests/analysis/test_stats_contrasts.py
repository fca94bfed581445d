import numpy as np
import pytest
from scipy import stats as scipy_stats

from analysis.stats import contrasts, estimate, estimates, holm


def test_estimates_are_those_of_each_column() -> None:
    values = np.random.default_rng(0).normal(size=(5, 2, 3))
    values[0, 0, 0] = values[1:, 1, 2] = values[:, 1, 0] = np.nan
    found = estimates(values)
    for place in np.ndindex(2, 3):
        column = values[(slice(None), *place)]
        expected = estimate(column[np.isfinite(column)].tolist())
        np.testing.assert_allclose([field[place] for field in found], expected, rtol=1e-12)
    assert found.n.tolist() == [[4, 5, 5], [0, 5, 1]]


def test_p_values_are_those_of_paired_t_tests() -> None:
    generator = np.random.default_rng(1)
    values, others = generator.normal(size=(2, 6, 4))
    expected = scipy_stats.ttest_rel(values, others)
    found = contrasts(values - others)
    np.testing.assert_allclose(found.p, expected.pvalue, rtol=1e-12)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(found.mean + found.half_width, interval.high, rtol=1e-12)


def test_holm_of_four_p_values_is_the_one_by_hand() -> None:
    # 0.005 * 4, 0.01 * 3, then 0.03 * 2, and 0.04 * 1 raised to what comes before it.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_holm_keeps_shape_and_passes_over_what_is_not_tested() -> None:
    corrected = holm(np.array([[0.02, np.nan], [0.9, 0.8]]))
    np.testing.assert_allclose(corrected, [[0.06, np.nan], [1.0, 1.0]])
    assert holm(np.array([])).tolist() == []


def test_one_seed_has_differences_and_no_test() -> None:
    found = contrasts(np.array([[0.1, -0.2]]))
    np.testing.assert_allclose(found.mean, [0.1, -0.2])
    assert found.n.tolist() == [1, 1]
    for field in (found.half_width, found.p, found.p_holm):
        assert np.isnan(field).all()


def test_no_spread_between_seeds_is_no_certainty() -> None:
    found = contrasts(np.array([[0.1, 0.1], [0.1, 0.2], [0.1, 0.3]]))
    assert np.isnan(found.p[0])
    # Alone in its family.
    assert found.p_holm[1] == found.p[1] == pytest.approx(0.0742, abs=1e-4)


@pytest.mark.parametrize(("num_seeds", "step"), [(2, 0.0), (3, 0.0), (10, 0.0), (3, 1 / 300)])
def test_holm_keeps_the_family_wise_error(num_seeds: int, step: float) -> None:
    # 36 equal cells, also when metrics come in steps of one clip of 300. Uncorrected, half to
    # three quarters of the matrices have a false difference.
    generator = np.random.default_rng(2)
    values = generator.normal(0.6, 0.02, size=(2_000, num_seeds, 36))
    values = np.round(values / step) * step if step else values
    differences = values - generator.normal(0.6, 0.02, size=(2_000, num_seeds, 1))
    tested = [contrasts(one) for one in differences]
    errors = np.mean([np.nanmin(one.p_holm) < 0.05 for one in tested])
    naive = np.mean([np.nanmin(one.p) < 0.05 for one in tested])
    assert errors < 0.06
    assert naive > 0.3
