import pytest
import torch
from torch import Tensor, nn

from clar_sweeps.models import build_encoder
from clar_sweeps.trainer.recompute import activation_bytes, encode_twice

SHAPES = {"resnet18_1d": (6, 1, 4000), "resnet18_2d": (6, 3, 40, 30)}


def gradients_and_state(name: str, *, twice: bool, bfloat16: bool) -> dict[str, Tensor]:
    torch.manual_seed(0)
    encoder = build_encoder(name, width=4)
    for step in range(2):
        inputs = torch.randn(SHAPES[name], generator=torch.Generator().manual_seed(step))
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            outputs = encode_twice(encoder, inputs) if twice else encoder(inputs)
        outputs.float().square().sum().backward()
    gradients = {f"grad.{n}": p.grad for n, p in encoder.named_parameters() if p.grad is not None}
    assert len(gradients) == len(list(encoder.parameters()))
    return gradients | encoder.state_dict()


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("name", list(SHAPES))
def test_computing_twice_gives_the_same_gradients_and_statistics(name: str, bfloat16: bool) -> None:
    kept = gradients_and_state(name, twice=False, bfloat16=bfloat16)
    computed = gradients_and_state(name, twice=True, bfloat16=bfloat16)
    assert kept.keys() == computed.keys()
    for key, value in kept.items():
        assert torch.equal(value, computed[key]), key


def test_less_is_kept_when_computed_twice() -> None:
    encoder = build_encoder("resnet18_2d", width=4)
    inputs = torch.randn(4, 3, 64, 64)
    kept = activation_bytes([encoder], encoder, inputs)
    once = activation_bytes([encoder], lambda x: encode_twice(encoder, x), inputs)
    assert once < kept / 2


def test_activation_bytes_are_those_of_the_layers_and_leave_statistics_alone() -> None:
    layers = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.BatchNorm1d(20))
    before = {name: value.clone() for name, value in layers.state_dict().items()}
    kept = activation_bytes([layers], layers, torch.randn(8, 10))
    # The input, the output of ReLU, and batch norm's statistics of 20 channels.
    assert kept >= 4 * 8 * (10 + 20)
    assert kept <= 4 * 8 * (10 + 20) + 4 * 8 * 20
    for name, value in layers.state_dict().items():
        assert torch.equal(value, before[name]), name
