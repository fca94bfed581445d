"""LARS around Adam as bolts' wrapper and Kingma and Ba 2015 write it, one tensor at a time."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def lars_adam(
    weight: Array, gradients: list[Array], *, learning_rates: list[float], weight_decay: float
) -> Array:
    """The weight after one step along each gradient, each at its learning rate."""
    mean, variance = np.zeros_like(weight), np.zeros_like(weight)
    steps = zip(gradients, learning_rates, strict=True)
    for step, (gradient, learning_rate) in enumerate(steps, start=1):
        weight_norm = math.sqrt(sum(entry**2 for entry in weight.flat))
        gradient_norm = math.sqrt(sum(entry**2 for entry in gradient.flat))
        if weight_norm != 0 and gradient_norm != 0:
            local_rate = 0.02 * weight_norm / (gradient_norm + weight_norm * weight_decay + 1e-8)
            scale = min(local_rate / learning_rate, 1.0) if learning_rate else 1.0
            gradient = (gradient + weight_decay * weight) * scale
        mean = 0.9 * mean + 0.1 * gradient
        variance = 0.999 * variance + 0.001 * gradient**2
        corrected_mean = mean / (1 - 0.9**step)
        corrected_variance = variance / (1 - 0.999**step)
        weight = weight - learning_rate * corrected_mean / (np.sqrt(corrected_variance) + 1e-8)
    return weight
