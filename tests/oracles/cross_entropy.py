"""The second term of CLAR's equation 3, one clip and one class at a time."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def labelled_cross_entropy(logits: Array, labels: list[int]) -> float:
    """Mean over the clips with a label; 0 if no clip has one."""
    losses = []
    for row, label in zip(logits, labels, strict=True):
        if label >= 0:
            total = sum(math.exp(logit) for logit in row)
            probabilities = [math.exp(logit) / total for logit in row]
            indicator = [float(index == label) for index in range(len(row))]
            losses.append(
                -sum(t * math.log(p) for t, p in zip(indicator, probabilities, strict=True))
            )
    return sum(losses) / len(losses) if losses else 0.0
