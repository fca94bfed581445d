"""What stands on the encoder: the projection head in training, the evaluation head after it."""

from torch import nn


class ProjectionHead(nn.Sequential):
    """Three fully connected layers: (batch, representation_size) -> (batch, num_outputs).

    The hidden layers are as wide as the representation. Projections are not normalised: the loss
    does that. With the number of classes as `num_outputs` this is the head of the supervised
    baseline.

    Source: CLAR (arXiv:2010.09542), section 3.2; batch norm, and a last layer without bias, as in
    the authors' code and SimCLR's.
    """

    def __init__(self, representation_size: int, num_outputs: int = 128) -> None:
        super().__init__(
            nn.Linear(representation_size, representation_size),
            nn.BatchNorm1d(representation_size),
            nn.ReLU(inplace=True),
            nn.Linear(representation_size, representation_size),
            nn.BatchNorm1d(representation_size),
            nn.ReLU(inplace=True),
            nn.Linear(representation_size, num_outputs, bias=False),
        )


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
