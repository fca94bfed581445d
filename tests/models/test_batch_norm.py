"""Batch norm over several processes; with one, it is torch's own. See also trainer/test_ranks."""

import pytest
import torch
from torch import Tensor, nn

from clar_sweeps.models import GlobalBatchNorm, use_global_batch_norm


def numbers(norm: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Outputs, gradients and running statistics of one step."""
    inputs = inputs.clone().requires_grad_()
    outputs = norm(inputs)
    (outputs.double().sin() * torch.arange(outputs.numel()).view(outputs.shape)).sum().backward()
    gradients = [each.grad for each in (inputs, *norm.parameters()) if each.grad is not None]
    return [outputs.detach(), *gradients, *norm.buffers()]


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 7), (6, 5, 4, 3)])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_alone_it_is_torchs_batch_norm(shape: tuple[int, ...], offset: float) -> None:
    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn(shape, generator=draws, dtype=torch.float64) + offset
    kinds = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}
    several = nn.Sequential(kinds[len(shape)](5).double())
    use_global_batch_norm(several, lambda own: own[None])
    assert isinstance(several[0], GlobalBatchNorm)
    expected = numbers(kinds[len(shape)](5).double(), inputs)
    for one, other in zip(expected, numbers(several, inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_it_takes_over_the_parameters_and_names_of_the_norm_it_replaces() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.BatchNorm1d(4)))
    before, names = list(model.parameters()), list(model.state_dict())
    use_global_batch_norm(model, lambda own: own[None])
    assert all(one is other for one, other in zip(before, model.parameters(), strict=True))
    assert list(model.state_dict()) == names
