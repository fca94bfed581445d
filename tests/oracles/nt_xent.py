"""NT-Xent as CLAR's equation 1 writes it, by a double loop."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def nt_xent(z0: Array, z1: Array, temperature: float) -> float:
    z = np.concatenate([z0, z1])
    num_clips = len(z0)
    losses = []
    for i in range(2 * num_clips):
        j = (i + num_clips) % (2 * num_clips)
        denominator = 0.0
        for k in range(2 * num_clips):
            if k != i:
                denominator += math.exp(_cosine(z[i], z[k]) / temperature)
        losses.append(-math.log(math.exp(_cosine(z[i], z[j]) / temperature) / denominator))
    return sum(losses) / len(losses)


def _cosine(u: Array, v: Array) -> float:
    return float(u @ v / (math.sqrt(u @ u) * math.sqrt(v @ v)))
