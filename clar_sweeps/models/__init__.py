"""Encoders and heads; `ENCODERS` holds the encoders by the names that a config knows."""

from collections.abc import Callable

from clar_sweeps.config import Definition
from clar_sweeps.models.batch_norm import GlobalBatchNorm, use_global_batch_norm
from clar_sweeps.models.heads import ClarHead, ClarOutputs, EvaluationHead, ProjectionHead
from clar_sweeps.models.resnet import ResNet18, resnet18_1d, resnet18_2d

# Each takes `width`, the channels of its first stage; 64 is the paper's.
ENCODERS: dict[str, Callable[[int], ResNet18]] = {
    "resnet18_1d": resnet18_1d,
    "resnet18_2d": resnet18_2d,
}


def build_encoder(name: str, *, width: int, stem: Definition | None = None) -> ResNet18:
    """Encoder `name`, with random weights.

    Args:
        name: A key of `ENCODERS`.
        width: Channels of its first stage; 64 is the paper's.
        stem: Of resnet18_1d: kernel of 49 (`paper`, the default) or 7 (`released`). None in 2-D.

    Raises:
        ValueError: `name` is not a key of `ENCODERS`, or `stem` is given in 2-D or unknown.
    """
    if name not in ENCODERS:
        raise ValueError(f"encoder: {name!r} is not one of {', '.join(map(repr, ENCODERS))}")
    if stem is None:
        return ENCODERS[name](width)
    if name != "resnet18_1d":
        raise ValueError(f"stem: {stem!r} is given for {name}; only resnet18_1d has a choice")
    return resnet18_1d(width, stem=stem)


__all__ = [
    "ENCODERS",
    "ClarHead",
    "ClarOutputs",
    "EvaluationHead",
    "GlobalBatchNorm",
    "ProjectionHead",
    "ResNet18",
    "build_encoder",
    "use_global_batch_norm",
]
