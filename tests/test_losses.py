import math

import pytest
import torch
from oracles.nt_xent import nt_xent as oracle
from torch import Tensor

from clar_sweeps.losses import nt_xent


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
        ((1, 5), (1, 5), 0.5, "batch is 1, expected at least 2"),
        ((4, 5), (4, 5), 0.0, "temperature is 0.0, expected above 0"),
    ],
)
def test_nt_xent_names_a_bad_argument(
    shape0: tuple[int, ...], shape1: tuple[int, ...], temperature: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        nt_xent(torch.zeros(shape0), torch.zeros(shape1), temperature)
