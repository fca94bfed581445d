import math

import numpy as np
import pytest
import torch
from oracles.cross_entropy import labelled_cross_entropy as cross_entropy_oracle
from oracles.nt_xent import nt_xent as oracle
from oracles.nt_xent import nt_xent_of_shards
from torch import Tensor

from clar_sweeps.losses import UNLABELLED, labelled_cross_entropy, nt_xent


def _views(batch: int, dim: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, batch, dim, generator=generator, dtype=torch.float64)
    return z[0].to(dtype), z[1].to(dtype)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("batch", [2, 3, 7])
def test_nt_xent_equals_equation_1(batch: int, temperature: float) -> None:
    z0, z1 = _views(batch, dim=5)
    expected = oracle(z0.numpy(), z1.numpy(), temperature)
    assert nt_xent(z0, z1, temperature).item() == pytest.approx(expected, rel=1e-12)
    assert nt_xent(z0.float(), z1.float(), temperature).item() == pytest.approx(expected, rel=1e-5)


def test_nt_xent_of_two_clips_by_hand() -> None:
    z0 = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    z1 = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    # Similarities of the anchors to (positive, negative, negative), at temperature 1:
    anchors = [(1, 0, -1), (0, 0, 0), (1, 0, -1), (0, -1, -1)]
    losses = [-math.log(math.exp(a[0]) / sum(map(math.exp, a))) for a in anchors]
    assert nt_xent(z0, z1, 1.0).item() == pytest.approx(sum(losses) / 4)


@pytest.mark.parametrize("batch", [2, 8])
def test_nt_xent_of_identical_views_of_orthogonal_clips(batch: int) -> None:
    z = torch.eye(batch)
    expected = math.log(math.exp(1 / 0.5) + 2 * batch - 2) - 1 / 0.5
    assert nt_xent(z, z, 0.5).item() == pytest.approx(expected, rel=1e-6)


def test_nt_xent_gradient_equals_finite_differences_of_the_oracle() -> None:
    z0, z1 = _views(3, dim=4)
    z0.requires_grad_()
    nt_xent(z0, z1, 0.3).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert z0.grad is not None
    h = 1e-6
    for row in range(3):
        for column in range(4):
            step = torch.zeros(3, 4, dtype=torch.float64)
            step[row, column] = h
            above = oracle((z0 + step).detach().numpy(), z1.numpy(), 0.3)
            below = oracle((z0 - step).detach().numpy(), z1.numpy(), 0.3)
            assert z0.grad[row, column].item() == pytest.approx((above - below) / (2 * h), abs=1e-8)


def test_nt_xent_ignores_order_of_views() -> None:
    z0, z1 = _views(6, dim=5)
    torch.testing.assert_close(nt_xent(z0, z1, 0.5), nt_xent(z1, z0, 0.5))


def test_nt_xent_ignores_length_of_projections() -> None:
    z0, z1 = _views(6, dim=5)
    torch.testing.assert_close(nt_xent(3 * z0, 0.1 * z1, 0.5), nt_xent(z0, z1, 0.5))


def test_nt_xent_ignores_order_of_clips() -> None:
    z0, z1 = _views(6, dim=5)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    torch.testing.assert_close(nt_xent(z0[order], z1[order], 0.5), nt_xent(z0, z1, 0.5))


def test_nt_xent_leaves_its_input_unchanged() -> None:
    z0, z1 = _views(4, dim=5)
    copies = z0.clone(), z1.clone()
    nt_xent(z0, z1, 0.5)
    assert torch.equal(z0, copies[0])
    assert torch.equal(z1, copies[1])


def test_nt_xent_is_finite_at_low_temperature_and_for_zero_projections() -> None:
    z0, z1 = _views(4, dim=5, dtype=torch.float32)
    z0[0] = 0
    z0.requires_grad_()
    loss = nt_xent(z0, z1, 1e-4)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert torch.isfinite(loss)
    assert z0.grad is not None
    assert torch.isfinite(z0.grad).all()


def test_nt_xent_is_float32_under_autocast() -> None:
    z0, z1 = _views(6, dim=32, dtype=torch.float32)
    expected = nt_xent(z0, z1, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nt_xent(z0, z1, 0.1), expected)
    assert nt_xent(z0.bfloat16(), z1.bfloat16(), 0.1).dtype == torch.float32


@pytest.mark.parametrize(
    ("shape0", "shape1", "temperature", "message"),
    [
        ((4, 5), (4, 6), 0.5, r"shapes \(4, 5\) and \(4, 6\), expected one \(batch, dim\)"),
        ((4, 5, 1), (4, 5, 1), 0.5, r"expected one \(batch, dim\)"),
        ((1, 5), (1, 5), 0.5, "batch is 1, expected at least 2 for each of 1 shards"),
        ((4, 5), (4, 5), 0.0, "temperature is 0.0, expected above 0"),
    ],
)
def test_nt_xent_names_a_bad_argument(
    shape0: tuple[int, ...], shape1: tuple[int, ...], temperature: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        nt_xent(torch.zeros(shape0), torch.zeros(shape1), temperature)


@pytest.mark.parametrize(("batch", "shards"), [(8, 1), (8, 2), (8, 4), (7, 3), (11, 4)])
def test_nt_xent_of_shards_equals_a_loop_over_anchors(batch: int, shards: int) -> None:
    z0, z1 = _views(batch, dim=5)
    parts = [len(part) for part in np.array_split(np.arange(batch), shards)]
    expected = nt_xent_of_shards(z0.numpy(), z1.numpy(), 0.5, sizes=parts)
    assert nt_xent(z0, z1, 0.5, shards=shards).item() == pytest.approx(expected, rel=1e-12)


def test_nt_xent_of_one_shard_is_that_of_the_batch_bit_for_bit() -> None:
    z0, z1 = _views(8, dim=5, dtype=torch.float32)
    assert torch.equal(nt_xent(z0, z1, 0.5, shards=1), nt_xent(z0, z1, 0.5))


def test_nt_xent_sees_no_negatives_of_another_shard() -> None:
    z0, z1 = _views(6, dim=5)
    z0.requires_grad_()
    loss = nt_xent(z0, z1, 0.5, shards=3)
    alone = torch.stack([nt_xent(z0[i : i + 2], z1[i : i + 2], 0.5) for i in (0, 2, 4)])
    torch.testing.assert_close(loss, alone.mean())
    changed = z1.clone()
    changed[4:] = changed[4:].flip(1)
    (first,) = torch.autograd.grad(loss, z0)
    (second,) = torch.autograd.grad(nt_xent(z0, changed, 0.5, shards=3), z0)
    assert torch.equal(first[:4], second[:4])
    assert not torch.equal(first[4:], second[4:])


@pytest.mark.parametrize(("batch", "shards"), [(1, 1), (7, 4), (2, 2)])
def test_nt_xent_names_shards_that_are_too_small(batch: int, shards: int) -> None:
    z0, z1 = _views(batch, dim=5)
    match = f"batch is {batch}, expected at least 2 for each of {shards} shards"
    with pytest.raises(ValueError, match=match):
        nt_xent(z0, z1, 0.5, shards=shards)
    with pytest.raises(ValueError, match="shards is 0, expected at least 1"):
        nt_xent(z0, z1, 0.5, shards=0)


def _logits_and_labels() -> tuple[Tensor, Tensor]:
    logits = 3 * torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return logits, torch.tensor([2, UNLABELLED, 0, 3, UNLABELLED, 3])


def test_labelled_cross_entropy_equals_the_mean_over_labelled_clips() -> None:
    logits, labels = _logits_and_labels()
    expected = cross_entropy_oracle(logits.numpy(), labels.tolist())
    assert labelled_cross_entropy(logits, labels).item() == pytest.approx(expected, rel=1e-12)
    # Unlabelled clips neither add to the sum nor to the number that divides it.
    alone = labelled_cross_entropy(logits[[0, 2, 3, 5]], labels[[0, 2, 3, 5]])
    torch.testing.assert_close(labelled_cross_entropy(logits, labels), alone)


def test_labelled_cross_entropy_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    loss = labelled_cross_entropy(logits, torch.tensor([1, 2]))
    assert loss.item() == pytest.approx(-(math.log(0.25) + math.log(0.8)) / 2)


def test_labelled_cross_entropy_moves_labelled_clips_only() -> None:
    logits, labels = _logits_and_labels()
    logits.requires_grad_()
    labelled_cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert ((logits.grad != 0).any(1) == (labels >= 0)).all()


def test_labelled_cross_entropy_of_a_batch_without_labels_is_zero() -> None:
    logits, _ = _logits_and_labels()
    logits.requires_grad_()
    loss = labelled_cross_entropy(logits, torch.full((6,), UNLABELLED))
    assert loss.item() == 0.0
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert torch.equal(logits.grad, torch.zeros_like(logits))  # type: ignore[arg-type]


def test_labelled_cross_entropy_is_float32_under_autocast() -> None:
    logits, labels = _logits_and_labels()
    expected = labelled_cross_entropy(logits.float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(labelled_cross_entropy(logits.float(), labels), expected)
    assert labelled_cross_entropy(logits.bfloat16(), labels).dtype == torch.float32


@pytest.mark.parametrize(("logits", "labels"), [((4,), (4,)), ((4, 3), (5,)), ((4, 3), (4, 3))])
def test_labelled_cross_entropy_names_shapes(
    logits: tuple[int, ...], labels: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"expected \(batch, num_classes\) and \(batch,\)"):
        labelled_cross_entropy(torch.zeros(logits), torch.zeros(labels, dtype=torch.int64))


@pytest.mark.gpu
def test_losses_wait_for_no_gpu() -> None:
    z0, z1 = (z.cuda() for z in _views(8, dim=5))
    logits, labels = (part.cuda() for part in _logits_and_labels())
    nt_xent(z0, z1, 0.5, shards=2)
    torch.cuda.set_sync_debug_mode("error")
    try:
        nt_xent(z0, z1, 0.5, shards=2)
        labelled_cross_entropy(logits, labels)
    finally:
        torch.cuda.set_sync_debug_mode("default")
