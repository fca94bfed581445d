import hashlib
import itertools

import numpy as np
import pytest

from clar_sweeps.config import LabelSubset
from clar_sweeps.trainer.labels import LabelledClips, choose_labelled

NAMES = [f"clip{number}.wav" for number in range(1000)]
# Ten classes of unequal size: 10, 30, ... 190 clips.
LABELS = np.repeat(np.arange(10), np.arange(10, 200, 20))


def choose(
    fraction: float,
    *,
    rule: LabelSubset = "plain",
    seed: int = 0,
    order: np.ndarray | None = None,
) -> LabelledClips:
    order = np.arange(1000) if order is None else order
    names = [NAMES[position] for position in order]
    return choose_labelled(names, LABELS[order], fraction=fraction, rule=rule, seed=seed)


@pytest.mark.parametrize("rule", ["plain", "stratified"])
def test_row_41_subsets_are_nested(rule: LabelSubset) -> None:
    fractions = (0.001, 0.01, 0.1, 0.2, 0.5, 1.0)
    chosen = [set(choose(fraction, rule=rule).positions.tolist()) for fraction in fractions]
    for smaller, larger in itertools.pairwise(chosen):
        assert smaller < larger
    assert len(chosen[-1]) == 1000


def test_a_plain_subset_has_the_share_of_the_clips() -> None:
    assert [len(choose(share).positions) for share in (0.2, 0.1, 0.01, 1e-9)] == [200, 100, 10, 1]


def test_a_stratified_subset_has_the_share_of_each_class() -> None:
    positions = choose(0.1, rule="stratified").positions
    assert np.bincount(LABELS[positions]).tolist() == list(range(1, 20, 2))
    assert np.bincount(LABELS[choose(0.001, rule="stratified").positions]).tolist() == [1] * 10


def test_the_order_of_the_clips_plays_no_part() -> None:
    shuffled = np.random.default_rng(0).permutation(1000)
    for rule in ("plain", "stratified"):
        one, other = choose(0.1, rule=rule), choose(0.1, rule=rule, order=shuffled)
        assert one.manifest == other.manifest
        assert sorted(shuffled[other.positions]) == one.positions.tolist()


def test_another_seed_draws_another_subset() -> None:
    one, other = choose(0.1).positions, choose(0.1, seed=1).positions
    # Two subsets of 100 of 1000 share ten clips on average.
    assert len(set(one.tolist()) & set(other.tolist())) < 30


def test_the_manifest_can_be_checked_by_anyone() -> None:
    chosen = choose(0.02)
    names = chosen.manifest["clips"]
    assert names == sorted(NAMES[position] for position in chosen.positions)
    assert chosen.manifest["sha256"] == hashlib.sha256("\n".join(names).encode()).hexdigest()
    ranks = {name: hashlib.sha256(f"0/labelled/{name}".encode()).digest() for name in NAMES}
    assert names == sorted(sorted(NAMES, key=ranks.__getitem__)[:20])
