"""The three methods: which head stands on the encoder, and what its views are worth."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from clar_sweeps.config import TrialConfig
from clar_sweeps.losses import labelled_cross_entropy, nt_xent
from clar_sweeps.models import ClarHead, ProjectionHead

# Takes what the head makes of each view, and the labels of the batch, (batch,), -1 where there is
# none. Gives `loss` first, then the terms it sums up.
Objective = Callable[[Sequence[Any], Tensor], dict[str, Tensor]]

# Supervised training takes one, as the authors' code.
NUM_VIEWS = {"supervised": 1, "simclr": 2, "clar": 2}


def build_head(config: TrialConfig, representation_size: int, *, num_classes: int) -> nn.Module:
    """Head of a method on representations, (batch, representation_size).

    Source: CLAR (arXiv:2010.09542), section 3.2.
    """
    if config.method == "clar":
        assert config.clar_head is not None
        return ClarHead(representation_size, num_classes, layers=config.clar_head)
    if config.method == "supervised":
        return ProjectionHead(representation_size, num_classes)
    return ProjectionHead(representation_size)


def build_objective(config: TrialConfig) -> Objective:
    """Loss of a method."""
    return {"simclr": _simclr, "supervised": _supervised, "clar": _clar}[config.method](config)


def _simclr(config: TrialConfig) -> Objective:
    shards = config.negative_shards or 1

    def losses(outputs: Sequence[Any], labels: Tensor) -> dict[str, Tensor]:
        z0, z1 = outputs
        return {"loss": nt_xent(z0, z1, config.temperature, shards=shards)}

    return losses


def _supervised(config: TrialConfig) -> Objective:
    def losses(outputs: Sequence[Any], labels: Tensor) -> dict[str, Tensor]:
        (logits,) = outputs
        return {"loss": labelled_cross_entropy(logits, labels)}

    return losses


def _clar(config: TrialConfig) -> Objective:
    """Equation 3; cross entropy on both views, each a mean over its labelled clips.

    The paper leaves the weight of its terms and the views of the second open; this is the authors'
    code.
    """
    weight, shards = config.cross_entropy_weight, config.negative_shards or 1
    assert weight is not None

    def losses(outputs: Sequence[Any], labels: Tensor) -> dict[str, Tensor]:
        (z0, logits0), (z1, logits1) = outputs
        contrastive = nt_xent(z0, z1, config.temperature, shards=shards)
        cross_entropy = labelled_cross_entropy(logits0, labels) + labelled_cross_entropy(
            logits1, labels
        )
        return {
            "loss": contrastive + weight * cross_entropy,
            "contrastive_loss": contrastive,
            "cross_entropy": cross_entropy,
        }

    return losses
