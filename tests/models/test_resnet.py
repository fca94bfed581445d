import pytest
import torch
import torchvision
from torch import Tensor, nn

from clar_sweeps.models import ENCODERS, ResNet18, build_encoder


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 40, 63, generator=torch.Generator().manual_seed(0))


def _reference() -> nn.Module:
    reference: nn.Module = torchvision.models.resnet18(weights=None)
    reference.fc = nn.Identity()
    return reference


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _kernels(encoder: ResNet18) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(parameter.shape)
        for name, parameter in encoder.named_parameters()
        if parameter.ndim > 1
    }


@pytest.mark.parametrize("training", [False, True])
def test_2d_encoder_equals_torchvisions_weight_for_weight(images: Tensor, training: bool) -> None:
    reference = _reference().train(training)
    encoder = ENCODERS["resnet18_2d"](64).train(training)
    encoder.load_state_dict(reference.state_dict())
    assert list(encoder.state_dict()) == list(reference.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(encoder(images), reference(images), rtol=1e-5, atol=1e-5)
    running = dict(encoder.named_buffers())
    for name, expected in reference.named_buffers():
        torch.testing.assert_close(running[name], expected)


def test_gradients_of_2d_encoder_equal_torchvisions(images: Tensor) -> None:
    reference = _reference()
    encoder = ENCODERS["resnet18_2d"](64)
    encoder.load_state_dict(reference.state_dict())
    for model in (reference, encoder):
        model(images).square().sum().backward()
    expected = dict(reference.named_parameters())
    for name, parameter in encoder.named_parameters():
        gradient = expected[name].grad
        assert parameter.grad is not None
        assert gradient is not None
        error = (parameter.grad - gradient).norm() / gradient.norm()
        assert error < 1e-4, name


def test_initial_weights_have_torchvisions_distribution() -> None:
    encoder, reference = ENCODERS["resnet18_2d"](64), _reference()
    for (name, weight), expected in zip(
        encoder.named_parameters(), reference.parameters(), strict=True
    ):
        if weight.ndim > 1:
            assert weight.std().item() == pytest.approx(expected.std().item(), rel=0.05), name
            assert abs(weight.mean().item()) < 0.05 * weight.std().item(), name
        else:
            assert torch.equal(weight, expected)


@pytest.mark.parametrize(
    ("name", "expected"), [("resnet18_1d", 11_170_240), ("resnet18_2d", 11_176_512)]
)
def test_number_of_parameters_at_the_papers_width(name: str, expected: int) -> None:
    assert _num_parameters(ENCODERS[name](64)) == expected


@pytest.mark.parametrize("width", [4, 8])
def test_1d_kernels_are_those_of_2d_unrolled(width: int) -> None:
    one, two = _kernels(ENCODERS["resnet18_1d"](width)), _kernels(ENCODERS["resnet18_2d"](width))
    assert one.pop("conv1.weight") == (width, 1, 49)  # one channel in, where 2-D has three
    assert two.pop("conv1.weight") == (width, 3, 7, 7)
    assert one == {name: (*shape[:2], shape[2] * shape[3]) for name, shape in two.items()}


def test_1d_encoder_halves_time_five_times() -> None:
    encoder = ENCODERS["resnet18_1d"](4).eval()
    lengths = []
    stages = (encoder.layer2, encoder.layer3, encoder.layer4)
    for module in (encoder.conv1, encoder.maxpool, *(stage[-1] for stage in stages)):
        module.register_forward_hook(lambda *call: lengths.append(call[2].shape[-1]))
    encoder(torch.zeros(1, 1, 16000))
    assert lengths == [8000, 4000, 2000, 1000, 500]


@pytest.mark.parametrize(
    ("name", "shape"), [("resnet18_1d", (2, 1, 4000)), ("resnet18_2d", (2, 3, 32, 63))]
)
def test_encoder_gives_representations_and_leaves_its_input_unchanged(
    name: str, shape: tuple[int, ...]
) -> None:
    encoder = ENCODERS[name](4)
    assert encoder.representation_size == 32
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    copy = inputs.clone()
    representations = encoder(inputs)
    assert representations.shape == (2, 32)
    assert torch.isfinite(representations).all()
    assert torch.equal(inputs, copy)


def test_2d_encoder_gives_the_same_in_channels_last(images: Tensor) -> None:
    encoder = ENCODERS["resnet18_2d"](8).eval()
    with torch.no_grad():
        expected = encoder(images)
        encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
        actual = encoder(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("stem", "num_parameters", "kernel", "length"),
    [("paper", 11_170_240, 49, 4000), ("released", 11_167_552, 7, 3997)],
)
def test_stem_of_the_1d_encoder(stem: str, num_parameters: int, kernel: int, length: int) -> None:
    encoder = build_encoder("resnet18_1d", width=64, stem=stem)  # type: ignore[arg-type]
    assert _num_parameters(encoder) == num_parameters
    assert encoder.conv1.weight.shape == (64, 1, kernel)
    pooled = encoder.maxpool(encoder.conv1(torch.zeros(1, 1, 16000)))
    assert pooled.shape == (1, 64, length)


def test_build_encoder_without_a_stem_is_the_papers() -> None:
    for name, encoder_of in ENCODERS.items():
        built = build_encoder(name, width=4)
        assert _kernels(built) == _kernels(encoder_of(4))
    paper = build_encoder("resnet18_1d", width=4, stem="paper")
    assert _kernels(build_encoder("resnet18_1d", width=4)) == _kernels(paper)


def test_build_encoder_names_a_bad_argument() -> None:
    with pytest.raises(ValueError, match="encoder: 'vgg' is not one of 'resnet18_1d', 'resnet18_2"):
        build_encoder("vgg", width=4)
    with pytest.raises(ValueError, match="stem: 'paper' is given for resnet18_2d; only resnet18_1"):
        build_encoder("resnet18_2d", width=4, stem="paper")
    with pytest.raises(ValueError, match="stem: '49' is not one of 'paper', 'released'"):
        build_encoder("resnet18_1d", width=4, stem="49")  # type: ignore[arg-type]
