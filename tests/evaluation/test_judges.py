import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from clar_sweeps.evaluation import Labelled, evaluate_representations, top1
from clar_sweeps.evaluation.head import evaluation_head_logits
from clar_sweeps.evaluation.knn import knn_scores
from clar_sweeps.evaluation.linear import linear_probe_logits

NUM_CLASSES = 4


def clusters(num_clips: int, *, spread: float, seed: int) -> Labelled:
    """Clips around one corner a class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(NUM_CLASSES, (num_clips,), generator=generator)
    corners = torch.eye(NUM_CLASSES).repeat(1, 2)
    noise = torch.randn(num_clips, 2 * NUM_CLASSES, generator=generator)
    return Labelled(corners[labels] + spread * noise, labels)


def judge(train: Labelled, test: Labelled, seed: int = 0) -> dict[str, float]:
    return evaluate_representations(train, {"test": test}, num_classes=NUM_CLASSES, seed=seed)


def test_all_judges_solve_what_is_separable() -> None:
    metrics = judge(clusters(300, spread=0.05, seed=0), clusters(200, spread=0.05, seed=1))
    assert metrics == {"test_top1": 1.0, "test_linear_top1": 1.0, "test_knn_top1": 1.0}


def test_all_judges_are_at_chance_on_labels_without_meaning() -> None:
    generator = torch.Generator().manual_seed(0)
    train, test = clusters(600, spread=50, seed=0), clusters(1000, spread=50, seed=1)
    shuffled = train._replace(labels=train.labels[torch.randperm(600, generator=generator)])
    for value in judge(shuffled, test).values():
        assert value == pytest.approx(1 / NUM_CLASSES, abs=0.08)


def test_judges_do_not_depend_on_the_units_of_the_encoder() -> None:
    train, test = clusters(300, spread=0.5, seed=0), clusters(200, spread=0.5, seed=1)
    scaled = [
        split._replace(representations=split.representations * 1024 - 512)
        for split in (train, test)
    ]
    plain, in_other_units = judge(train, test), judge(*scaled)
    for name, value in plain.items():
        assert in_other_units[name] == pytest.approx(value, abs=0.015)


def test_a_constant_representation_is_at_chance_and_finite() -> None:
    labels = torch.arange(400) % NUM_CLASSES
    flat = Labelled(torch.zeros(400, 8), labels)
    for value in judge(flat, flat).values():
        assert value == pytest.approx(1 / NUM_CLASSES, abs=0.01)


def test_a_channel_that_is_dead_in_training_does_no_harm() -> None:
    train, test = clusters(300, spread=0.05, seed=0), clusters(200, spread=0.05, seed=1)
    dead = train._replace(
        representations=torch.cat([train.representations, torch.zeros(300, 1)], 1)
    )
    stray = 0.02 * (torch.arange(200) % 4 == 0).float()[:, None]
    alive = test._replace(representations=torch.cat([test.representations, stray], 1))
    assert judge(dead, alive)["test_top1"] == 1.0


def test_same_seed_gives_the_same_numbers_and_leaves_the_global_generator_alone() -> None:
    train, test = clusters(300, spread=0.8, seed=0), clusters(200, spread=0.8, seed=1)
    before = torch.random.get_rng_state()
    assert judge(train, test, seed=3) == judge(train, test, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_evaluation_head_differs_between_seeds() -> None:
    train, test = clusters(300, spread=0.8, seed=0), clusters(50, spread=0.8, seed=1)
    logits = [
        evaluation_head_logits(
            *train, {"test": test.representations}, num_classes=NUM_CLASSES, seed=seed
        )["test"]
        for seed in (0, 1)
    ]
    assert not torch.equal(*logits)


def test_top1_counts_exactly() -> None:
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, 0.2]])
    assert top1(scores, torch.tensor([0, 1, 1])) == 2 / 3


def naive_knn(
    bank: NDArray[np.float64], labels: NDArray[np.int64], query: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Wu et al. 2018, section 3.4, one query at a time."""
    scores = np.zeros((len(query), NUM_CLASSES))
    for row, q in enumerate(query):
        similarity = [b @ q / np.linalg.norm(b) / np.linalg.norm(q) for b in bank]
        for nearest in np.argsort(similarity)[-20:]:
            scores[row, labels[nearest]] += np.exp(similarity[nearest] / 0.07)
    return scores


def test_knn_agrees_with_one_query_at_a_time() -> None:
    train, test = clusters(200, spread=0.8, seed=0), clusters(40, spread=0.8, seed=1)
    scores = knn_scores(*train, {"test": test.representations}, num_classes=NUM_CLASSES)["test"]
    expected = naive_knn(
        train.representations.double().numpy(),
        train.labels.numpy(),
        test.representations.double().numpy(),
    )
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-3)


def test_linear_probe_finds_the_optimum_that_scipy_finds() -> None:
    train, test = clusters(200, spread=0.8, seed=0), clusters(40, spread=0.8, seed=1)
    x, y = train.representations.double().numpy(), train.labels.numpy()

    def objective(flat: NDArray[np.float64]) -> float:
        weight, bias = flat[:-NUM_CLASSES].reshape(NUM_CLASSES, -1), flat[-NUM_CLASSES:]
        logits = x @ weight.T + bias
        log_sum = np.log(np.exp(logits).sum(axis=1))
        return float((log_sum - logits[np.arange(len(y)), y]).mean() + 1e-3 * (weight**2).sum())

    best = minimize(objective, np.zeros(NUM_CLASSES * (x.shape[1] + 1)), method="L-BFGS-B").x
    weight, bias = best[:-NUM_CLASSES].reshape(NUM_CLASSES, -1), best[-NUM_CLASSES:]
    expected = test.representations.double().numpy() @ weight.T + bias
    queries = {"test": test.representations}
    logits: Tensor = linear_probe_logits(*train, queries, num_classes=NUM_CLASSES)["test"]
    # A bias common to all classes changes nothing: compare the differences between classes.
    ours = logits.double().numpy()
    np.testing.assert_allclose(
        ours - ours.mean(axis=1, keepdims=True),
        expected - expected.mean(axis=1, keepdims=True),
        atol=0.02,
    )
