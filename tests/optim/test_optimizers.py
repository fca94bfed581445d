import copy
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from oracles.lars import lars as oracle
from oracles.lars_adam import lars_adam as lars_adam_oracle
from torch import Tensor, nn

from clar_sweeps.models import ClarHead, build_encoder
from clar_sweeps.optim import (
    LARS,
    OPTIMIZERS,
    LARSAdam,
    build_optimizer,
    parameter_groups,
    released_parameter_groups,
)


def _tiny_model() -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Flatten(), nn.Linear(8, 3))
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator)
    return model


def _set_gradients(model: nn.Module, generator: torch.Generator) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_lars_defaults_are_the_papers() -> None:
    optimizer = LARS([nn.Parameter(torch.ones(1))])
    defaults = {"lr": 1.0, "momentum": 0.9, "weight_decay": 1e-4, "trust_coefficient": 0.001}
    assert optimizer.defaults == defaults | {"adapt": True}


@pytest.mark.parametrize("weight_decay", [0.0, 1e-4, 0.3])
@pytest.mark.parametrize("adapt", [True, False])
def test_lars_equals_algorithm_1_over_five_steps(adapt: bool, weight_decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (5,), (2, 3, 2)]
    weights = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    gradients = [
        [torch.randn(weight.shape, generator=generator, dtype=torch.float64) for weight in weights]
        for _ in range(5)
    ]
    parameters = [nn.Parameter(weight.clone()) for weight in weights]
    group = {"params": parameters, "weight_decay": weight_decay, "adapt": adapt}
    optimizer = LARS([group], lr=0.7, momentum=0.8, trust_coefficient=0.02)
    for step in gradients:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    for index, parameter in enumerate(parameters):
        expected = oracle(
            weights[index].numpy(),
            [step[index].numpy() for step in gradients],
            learning_rate=0.7,
            momentum=0.8,
            weight_decay=weight_decay,
            trust_coefficient=0.02,
            adapt=adapt,
        )
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-12)


def test_lars_first_step_has_the_length_of_the_trust_coefficient() -> None:
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    weight.grad = torch.tensor([0.0, 1e6])
    LARS([weight], lr=1.0, weight_decay=0.0, trust_coefficient=0.01).step()
    torch.testing.assert_close(weight.detach(), torch.tensor([3.0, 3.95]))


def test_lars_ratio_is_1_for_zero_weights_and_zero_gradients() -> None:
    zero_weight = nn.Parameter(torch.zeros(2))
    zero_weight.grad = torch.tensor([1.0, -2.0])
    zero_gradient = nn.Parameter(torch.ones(2))
    zero_gradient.grad = torch.zeros(2)
    LARS([zero_weight, zero_gradient], lr=0.5, weight_decay=0.1).step()
    torch.testing.assert_close(zero_weight.detach(), torch.tensor([-0.5, 1.0]))
    torch.testing.assert_close(zero_gradient.detach(), torch.full((2,), 0.95))


def test_lars_leaves_gradients_and_parameters_without_gradient_unchanged() -> None:
    trained, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    gradient = torch.tensor([1.0, 2.0])
    trained.grad = gradient
    LARS([trained, idle]).step()
    assert torch.equal(gradient, torch.tensor([1.0, 2.0]))
    assert torch.equal(idle, torch.ones(2))


def test_lars_step_returns_the_loss_of_its_closure() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = LARS([weight])

    def closure() -> float:
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss.item()

    assert optimizer.step(closure) == 2.0
    assert weight[0].item() < 1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])  # of gradients: clipped, mixed, not clipped
@pytest.mark.parametrize("weight_decay", [0.0, 1e-6, 0.3])
def test_lars_adam_equals_the_oracle_over_five_steps(weight_decay: float, scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (5,), (2, 3, 2)]
    weights = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    gradients = [
        [scale * torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in weights]
        for _ in range(5)
    ]
    parameters = [nn.Parameter(weight.clone()) for weight in weights]
    optimizer = LARSAdam(parameters, lr=1.0, weight_decay=weight_decay)
    rates = [0.0, 0.01, 0.5, 1.0, 0.3]
    for rate, step in zip(rates, gradients, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    for index, parameter in enumerate(parameters):
        expected = lars_adam_oracle(
            weights[index].numpy(),
            [step[index].numpy() for step in gradients],
            learning_rates=rates,
            weight_decay=weight_decay,
        )
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-9)


def test_lars_adam_leaves_zero_weights_and_zero_gradients_to_adam() -> None:
    starts = torch.zeros(2), torch.ones(2)
    gradients = torch.tensor([3e-3, -2e-3]), torch.zeros(2)
    parameters = [nn.Parameter(start.clone()) for start in starts]
    plain = [nn.Parameter(start.clone()) for start in starts]
    for pair in (parameters, plain):
        for parameter, gradient in zip(pair, gradients, strict=True):
            parameter.grad = gradient.clone()
    LARSAdam(parameters, lr=0.1, weight_decay=0.5).step()
    torch.optim.Adam(plain, lr=0.1, weight_decay=0.0).step()
    for parameter, expected in zip(parameters, plain, strict=True):
        torch.testing.assert_close(parameter, expected)


def test_lars_adam_gives_each_group_its_weight_decay_back() -> None:
    optimizer = build_optimizer("lars_adam", [_tiny_model()], learning_rate=0.1, weight_decay=0.2)
    model_parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for parameter in model_parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0.0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_resumes_bit_for_bit_from_its_state(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    model = _tiny_model()
    optimizer = build_optimizer(name, [model], learning_rate=0.1, weight_decay=0.01)
    for _ in range(3):
        _set_gradients(model, generator)
        optimizer.step()
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    resumed_model = copy.deepcopy(model)
    resumed = build_optimizer(name, [resumed_model], learning_rate=0.9, weight_decay=0.9)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    state = generator.get_state()
    for trained, trainer in ((model, optimizer), (resumed_model, resumed)):
        generator.set_state(state)
        for _ in range(3):
            _set_gradients(trained, generator)
            trainer.step()
    for weight, resumed_weight in zip(model.parameters(), resumed_model.parameters(), strict=True):
        assert torch.equal(weight, resumed_weight)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_lowers_a_loss(name: str) -> None:
    inputs = torch.randn(16, 1, 6, generator=torch.Generator().manual_seed(2))
    model = _tiny_model()
    optimizer = build_optimizer(name, [model], learning_rate=0.1, weight_decay=0.0)

    def loss() -> Tensor:
        outputs: Tensor = model(inputs)
        return outputs.square().mean()

    before = loss().item()
    for _ in range(20):
        optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
    assert loss().item() < before


def test_parameter_groups_exclude_biases_and_norms() -> None:
    norms = nn.ModuleList([nn.LayerNorm([2, 3]), nn.GroupNorm(1, 2), nn.BatchNorm2d(2)])
    model = _tiny_model()
    weights, excluded = parameter_groups([model, norms], weight_decay=0.5)
    assert (weights["weight_decay"], weights["adapt"]) == (0.5, True)
    assert (excluded["weight_decay"], excluded["adapt"]) == (0.0, False)
    assert [parameter.shape for parameter in weights["params"]] == [(2, 1, 3), (3, 8)]
    expected = [model[0].bias, *model[1].parameters(), model[3].bias, *norms.parameters()]
    assert list(map(id, excluded["params"])) == list(map(id, expected))


def test_released_groups_go_by_name_and_miss_norms_of_shortcuts_and_heads() -> None:
    encoder = build_encoder("resnet18_2d", width=4)
    head = ClarHead(32, 10)
    decayed, excluded = released_parameter_groups([encoder, head], weight_decay=0.5)
    assert (decayed["weight_decay"], excluded["weight_decay"]) == (0.5, 0.0)
    named = [*encoder.named_parameters(), *head.named_parameters()]
    name_of = {id(parameter): name for name, parameter in named}
    decayed_vectors = {name_of[id(p)] for p in decayed["params"] if p.ndim == 1}
    assert decayed_vectors == {
        "layer2.0.downsample.1.weight",
        "layer3.0.downsample.1.weight",
        "layer4.0.downsample.1.weight",
        "projection.1.weight",
        "classifier.0.weight",
    }
    left_out = {name_of[id(p)] for p in excluded["params"]}
    assert {"bn1.weight", "bn1.bias", "layer2.0.bn2.weight", "projection.0.bias"} < left_out
    assert "layer2.0.downsample.1.bias" in left_out
    assert len(decayed["params"]) + len(excluded["params"]) == len(named)


@pytest.mark.parametrize("groups", [parameter_groups, released_parameter_groups])
def test_parameter_groups_list_shared_parameters_once_and_frozen_ones_not(
    groups: Callable[..., list[dict[str, Any]]],
) -> None:
    linear, frozen = nn.Linear(2, 2), nn.Linear(2, 2)
    frozen.requires_grad_(False)
    weights, excluded = groups([linear, nn.Sequential(linear, frozen)], weight_decay=0.0)
    assert len(weights["params"]) == 1
    assert len(excluded["params"]) == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_build_optimizer_sets_rate_and_decay_of_each_group(name: str) -> None:
    optimizer = build_optimizer(name, [_tiny_model()], learning_rate=0.3, weight_decay=0.2)
    rates_and_decays = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert rates_and_decays == [(0.3, 0.2), (0.3, 0.0)]


def test_build_optimizer_names_an_unknown_optimizer() -> None:
    with pytest.raises(
        ValueError, match="optimizer: 'sgd' is not one of 'lars', 'adamw', 'lars_adam'"
    ):
        build_optimizer("sgd", [_tiny_model()], learning_rate=0.1, weight_decay=0.0)
