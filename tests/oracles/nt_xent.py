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


def nt_xent_of_shards(z0: Array, z1: Array, temperature: float, *, sizes: list[int]) -> float:
    """Equation 1 whose sums run over the clips of the anchor's shard; shards are consecutive."""
    shard = [index for index, size in enumerate(sizes) for _ in range(size)]
    num_clips = len(z0)
    losses = []
    for own, other in ((z0, z1), (z1, z0)):
        for i in range(num_clips):
            peers = [k for k in range(num_clips) if shard[k] == shard[i]]
            terms = [_cosine(own[i], other[k]) for k in peers]
            terms += [_cosine(own[i], own[k]) for k in peers if k != i]
            denominator = sum(math.exp(term / temperature) for term in terms)
            losses.append(
                -math.log(math.exp(_cosine(own[i], other[i]) / temperature) / denominator)
            )
    return sum(losses) / len(losses)


def _cosine(u: Array, v: Array) -> float:
    return float(u @ v / (math.sqrt(u @ u) * math.sqrt(v @ v)))
