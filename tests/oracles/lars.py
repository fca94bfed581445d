"""LARS as algorithm 1 of You et al. 2017 writes it, one tensor and one step at a time."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def lars(
    weight: Array,
    gradients: list[Array],
    *,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    trust_coefficient: float,
    adapt: bool,
) -> Array:
    """The weight after one step along each gradient."""
    velocity = np.zeros_like(weight)
    for gradient in gradients:
        weight_norm = math.sqrt(sum(entry**2 for entry in weight.flat))
        gradient_norm = math.sqrt(sum(entry**2 for entry in gradient.flat))
        local_rate = 1.0
        if adapt and weight_norm > 0 and gradient_norm > 0:
            local_rate = (
                trust_coefficient * weight_norm / (gradient_norm + weight_decay * weight_norm)
            )
        velocity = momentum * velocity + learning_rate * local_rate * (
            gradient + weight_decay * weight
        )
        weight = weight - velocity
    return weight
