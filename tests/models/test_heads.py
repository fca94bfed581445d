import pytest
import torch
from torch import nn

from clar_sweeps.models import ClarHead, EvaluationHead, ProjectionHead


def _shapes(head: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in head.named_parameters()}


def test_projection_head_has_three_layers_and_a_last_one_without_bias() -> None:
    assert _shapes(ProjectionHead(512)) == {
        "0.weight": (512, 512),
        "0.bias": (512,),
        "1.weight": (512,),
        "1.bias": (512,),
        "3.weight": (512, 512),
        "3.bias": (512,),
        "4.weight": (512,),
        "4.bias": (512,),
        "6.weight": (128, 512),
    }


def test_evaluation_head_has_two_layers_and_a_first_one_without_bias() -> None:
    assert _shapes(EvaluationHead(64, num_classes=10)) == {
        "1.weight": (512, 64),
        "2.weight": (512,),
        "2.bias": (512,),
        "5.weight": (10, 512),
        "5.bias": (10,),
    }


def test_heads_map_a_batch_and_leave_it_unchanged() -> None:
    representations = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    copy = representations.clone()
    assert ProjectionHead(16)(representations).shape == (4, 128)
    assert ProjectionHead(16, num_outputs=7)(representations).shape == (4, 7)
    assert EvaluationHead(16, num_classes=3)(representations).shape == (4, 3)
    assert torch.equal(representations, copy)


def test_heads_are_deterministic_in_eval_mode() -> None:
    representations = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    for head in (ProjectionHead(16).eval(), EvaluationHead(16, num_classes=3).eval()):
        assert torch.equal(head(representations), head(representations))


_CLASSIFIER = {
    "classifier.0.weight": (128,),
    "classifier.0.bias": (128,),
    "classifier.2.weight": (10, 128),
}


def test_clar_head_of_three_layers_shares_two_of_them() -> None:
    assert _shapes(ClarHead(512, 10)) == _CLASSIFIER | {
        "projection.0.weight": (512, 512),
        "projection.0.bias": (512,),
        "projection.1.weight": (512,),
        "projection.1.bias": (512,),
        "projection.3.weight": (128, 512),
        "projection.3.bias": (128,),
    }


def test_clar_head_of_four_layers_adds_one_to_the_projection_head() -> None:
    projection = {
        f"projection.{name}": shape for name, shape in _shapes(ProjectionHead(64)).items()
    }
    assert _shapes(ClarHead(64, 10, layers="four_layers")) == _CLASSIFIER | projection


@pytest.mark.parametrize("layers", ["three_layers", "four_layers"])
def test_clar_heads_logits_are_a_linear_map_of_rectified_projections(layers: str) -> None:
    head = ClarHead(16, 3, layers=layers).eval()  # type: ignore[arg-type]
    norm, classifier = head.classifier[0], head.classifier[2]
    representations = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    projections, logits = head(representations)
    assert projections.shape == (4, 128)
    assert (projections < 0).any()  # left as they are, not rectified in place
    expected = (projections / (1 + norm.eps) ** 0.5).relu() @ classifier.weight.T
    torch.testing.assert_close(logits, expected)


def test_clar_head_names_unknown_layers() -> None:
    with pytest.raises(ValueError, match="layers: 'two' is not one of 'three_layers', 'four_lay"):
        ClarHead(16, 3, layers="two")  # type: ignore[arg-type]
