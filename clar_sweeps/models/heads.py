"""What stands on the encoder: a head in training, the evaluation head after it."""

from typing import NamedTuple

from torch import Tensor, nn

from clar_sweeps.config import ClarHead as ClarHeadLayers

PROJECTION_SIZE = 128


class ProjectionHead(nn.Sequential):
    """Three fully connected layers: (batch, representation_size) -> (batch, num_outputs).

    The hidden layers are as wide as the representation. Projections are not normalised: the loss
    does that. With the number of classes as `num_outputs` this is the head of the supervised
    baseline.

    Source: CLAR (arXiv:2010.09542), section 3.2; batch norm, and a last layer without bias, as in
    the authors' code and SimCLR's.
    """

    def __init__(self, representation_size: int, num_outputs: int = PROJECTION_SIZE) -> None:
        super().__init__(
            nn.Linear(representation_size, representation_size),
            nn.BatchNorm1d(representation_size),
            nn.ReLU(inplace=True),
            nn.Linear(representation_size, representation_size),
            nn.BatchNorm1d(representation_size),
            nn.ReLU(inplace=True),
            nn.Linear(representation_size, num_outputs, bias=False),
        )


class ClarOutputs(NamedTuple):
    """What CLAR's two losses read.

    projections: (batch, 128), not normalised.
    logits: (batch, num_classes).
    """

    projections: Tensor
    logits: Tensor


class ClarHead(nn.Module):
    """Projections, and logits from them: (batch, representation_size) -> `ClarOutputs`.

    Args:
        representation_size: Width of the hidden layers too.
        num_classes: Logits of a clip.
        layers: Fully connected layers in all, that of the logits among them. `three_layers`: the
            contrastive loss acts on the layer before the last (the paper's section 3.3, and the
            authors' code); `four_layers`: a layer is added to the projection head (section 3.2).

    Raises:
        ValueError: `layers` is neither of the two.

    Source: CLAR (arXiv:2010.09542), sections 3.2 and 3.3; norms and biases as in the authors' code.
    """

    def __init__(
        self,
        representation_size: int,
        num_classes: int,
        *,
        layers: ClarHeadLayers = "three_layers",
    ) -> None:
        super().__init__()
        if layers == "three_layers":
            self.projection: nn.Module = nn.Sequential(
                nn.Linear(representation_size, representation_size),
                nn.BatchNorm1d(representation_size),
                nn.ReLU(inplace=True),
                nn.Linear(representation_size, PROJECTION_SIZE),
            )
        elif layers == "four_layers":
            self.projection = ProjectionHead(representation_size)
        else:
            raise ValueError(f"layers: {layers!r} is not one of 'three_layers', 'four_layers'")
        self.classifier = nn.Sequential(
            nn.BatchNorm1d(PROJECTION_SIZE),
            nn.ReLU(inplace=True),
            nn.Linear(PROJECTION_SIZE, num_classes, bias=False),
        )

    def forward(self, representations: Tensor) -> ClarOutputs:
        projections = self.projection(representations)
        return ClarOutputs(projections, self.classifier(projections))


class EvaluationHead(nn.Sequential):
    """Two fully connected layers on a frozen representation: -> (batch, num_classes) logits.

    The paper calls it "similar to the projection head", which has three layers; two, with dropout,
    are the authors' code.

    Source: CLAR (arXiv:2010.09542), section 3.2.
    """

    def __init__(
        self, representation_size: int, num_classes: int, *, hidden_size: int = 512
    ) -> None:
        super().__init__(
            nn.Dropout(0.2),
            nn.Linear(representation_size, hidden_size, bias=False),
            nn.BatchNorm1d(hidden_size),
            nn.ReLU(inplace=True),
            nn.Dropout(0.2),
            nn.Linear(hidden_size, num_classes),
        )
