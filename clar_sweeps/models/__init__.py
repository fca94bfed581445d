"""Encoders and heads; `ENCODERS` holds the encoders by the names that a config knows."""

from collections.abc import Callable

from clar_sweeps.models.heads import EvaluationHead, ProjectionHead
from clar_sweeps.models.resnet import ResNet18, resnet18_1d, resnet18_2d

# Each takes `width`, the channels of its first stage; 64 is the paper's.
ENCODERS: dict[str, Callable[[int], ResNet18]] = {
    "resnet18_1d": resnet18_1d,
    "resnet18_2d": resnet18_2d,
}

__all__ = ["ENCODERS", "EvaluationHead", "ProjectionHead", "ResNet18"]
