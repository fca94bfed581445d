from collections.abc import Callable

import numpy as np
import pytest

from analysis.stats import (
    Contrasts,
    Estimates,
    Floats,
    against_baseline,
    against_mean,
    estimates,
    interactions,
    main_effects,
    margins,
    order_effects,
)

FIRST = np.array([0.03, 0.0, -0.03])  # of each operation as the first, of sum 0
SECOND = np.array([-0.01, 0.02, -0.01])
PAIRS = np.array([[0.02, -0.02, 0.0], [-0.02, 0.01, 0.01], [0.0, 0.01, -0.01]])  # sums are 0
MEANS = 0.6 + FIRST[:, None] + SECOND + PAIRS
# Cells do not vary alike; what a seed adds to all of them varies more than any.
STDS = np.array([[0.005, 0.01, 0.015], [0.01, 0.02, 0.01], [0.01, 0.005, 0.02]])
SEED_STD = 0.03

Quantity = Callable[[Floats], Estimates | Contrasts]
QUANTITIES: dict[str, tuple[Quantity, Floats]] = {
    "cell": (estimates, MEANS),
    "mean of a row": (lambda values: margins(values).first, 0.6 + FIRST),
    "mean of a column": (lambda values: margins(values).second, 0.6 + SECOND),
    "grand mean": (lambda values: margins(values).grand, np.array(0.6)),
    "order": (
        lambda values: order_effects(values).effects,
        np.array([MEANS[i, j] - MEANS[j, i] for i, j in ((0, 1), (0, 2), (1, 2))]),
    ),
    "first": (lambda values: main_effects(values).first, FIRST),
    "second": (lambda values: main_effects(values).second, SECOND),
    "interaction": (interactions, PAIRS),
    "against the mean": (against_mean, MEANS - 0.6),
}


def draw(generator: np.random.Generator, num_seeds: int) -> Floats:
    seeds = generator.normal(0, SEED_STD, size=(num_seeds, 1, 1))
    return MEANS + seeds + STDS * generator.normal(size=(num_seeds, 3, 3))


@pytest.mark.parametrize("name", QUANTITIES)
def test_without_noise_each_quantity_is_the_one_put_in(name: str) -> None:
    function, truth = QUANTITIES[name]
    found = function(MEANS + np.array([0.0, 0.0])[:, None, None])
    np.testing.assert_allclose(found.mean, truth, atol=1e-12)
    assert (found.n == 2).all()


@pytest.mark.parametrize("num_seeds", [3, 5, 10])
@pytest.mark.parametrize("name", QUANTITIES)
def test_intervals_cover_the_truth(name: str, num_seeds: int) -> None:
    function, truth = QUANTITIES[name]
    generator = np.random.default_rng(num_seeds)
    found = [function(draw(generator, num_seeds)) for _ in range(2_500)]
    covered = np.mean([np.abs(one.mean - truth) <= one.half_width for one in found])
    assert 0.93 < covered < 0.97


def test_paired_intervals_are_narrower_than_unpaired_ones() -> None:
    generator = np.random.default_rng(0)
    paired, unpaired = [], []
    for _ in range(500):
        values = draw(generator, 5)
        paired.append(order_effects(values).effects.half_width[0])
        half = estimates(values).half_width
        # As if the two cells had seeds of their own.
        unpaired.append(np.hypot(half[0, 1], half[1, 0]))
    assert np.mean(paired) < 0.5 * np.mean(unpaired)


def test_what_a_seed_adds_to_all_cells_moves_no_effect() -> None:
    values = draw(np.random.default_rng(1), 4)
    shifted = values + np.array([0.1, -0.1, 0.2, 0.0])[:, None, None]
    for name in ("order", "first", "second", "interaction", "against the mean"):
        function, _ = QUANTITIES[name]
        for one, two in zip(function(values), function(shifted), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-9)


def test_an_order_effect_turns_its_sign_with_the_order() -> None:
    values = draw(np.random.default_rng(2), 3)
    one, two = order_effects(values).effects, order_effects(values.swapaxes(1, 2)).effects
    np.testing.assert_allclose(one.mean, -two.mean)
    np.testing.assert_allclose(one.p, two.p)


def test_a_seed_that_lacks_a_cell_is_in_no_mean_of_it() -> None:
    values = draw(np.random.default_rng(3), 3)
    values[1, 0, 2] = np.nan
    found = margins(values)
    assert found.first.n.tolist() == [2, 3, 3]
    assert found.second.n.tolist() == [3, 3, 2]
    assert (found.grand.n, found.num_cells) == (2, 9)
    assert found.first.mean[0] == pytest.approx(values[[0, 2], 0].mean())
    assert order_effects(values).effects.n.tolist() == [3, 2, 3]
    assert (main_effects(values).first.n == 2).all()
    assert (interactions(values).n == 2).all()


def test_a_cell_that_no_seed_has_is_left_out_of_means_and_leaves_no_effect() -> None:
    values = draw(np.random.default_rng(4), 3)
    values[:, 0, 2] = np.nan
    found = margins(values)
    assert found.first.mean[0] == pytest.approx(values[:, 0, :2].mean())
    assert found.num_cells_first.tolist() == [2, 3, 3]
    assert (found.first.n == 3).all()
    assert (found.num_cells, int(found.grand.n)) == (8, 3)
    assert np.isnan(main_effects(values).first.mean).all()
    assert (interactions(values).n == 0).all()
    assert against_mean(values).n.tolist() == [[3, 3, 0], [3, 3, 3], [3, 3, 3]]


def test_one_seed_has_effects_and_no_interval() -> None:
    for function, _ in QUANTITIES.values():
        found = function(draw(np.random.default_rng(5), 1))
        assert np.isfinite(found.mean).all()
        assert np.isnan(found.half_width).all()


def test_no_seed_has_nothing() -> None:
    for function, truth in QUANTITIES.values():
        found = function(np.empty((0, 3, 3)))
        assert np.isnan(found.mean).all()
        assert found.mean.shape == truth.shape


def test_main_effects_are_one_family() -> None:
    found = main_effects(draw(np.random.default_rng(6), 4))
    smallest = min(found.first.p.min(), found.second.p.min())
    assert min(found.first.p_holm.min(), found.second.p_holm.min()) == pytest.approx(6 * smallest)


def test_a_baseline_is_that_of_the_seed() -> None:
    values = draw(np.random.default_rng(7), 3)
    found = against_baseline(values, np.array([0.2, np.nan, 0.4]))
    np.testing.assert_allclose(found.mean, (values[0] + values[2] - 0.6) / 2)
    assert (found.n == 2).all()
