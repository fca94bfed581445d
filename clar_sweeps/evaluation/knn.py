"""Weighted nearest neighbours: what the representations say without any training."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

_NUM_NEIGHBOURS = 20
_TEMPERATURE = 0.07
_QUERIES_AT_ONCE = 1024


def knn_scores(
    representations: Tensor,
    labels: Tensor,
    queries: Mapping[str, Tensor],
    *,
    num_classes: int,
) -> dict[str, Tensor]:
    """Vote of the 20 nearest clips by cosine similarity, weighted by exp(similarity / 0.07).

    Args:
        representations: (clips, dim), standardised.
        labels: (clips,) int64.
        queries: (queries, dim) by name.
        num_classes: Number of classes.

    Returns:
        (queries, classes) scores by name.

    Source: Wu et al. 2018, section 3.4 (temperature as there, 20 neighbours for small datasets).
    """
    bank = F.normalize(representations, dim=1)
    num_neighbours = min(_NUM_NEIGHBOURS, len(bank))

    def vote(part: Tensor) -> Tensor:
        nearest = (F.normalize(part, dim=1) @ bank.T).topk(num_neighbours, dim=1)
        weights = (nearest.values / _TEMPERATURE).exp()
        scores = part.new_zeros(len(part), num_classes)
        return scores.scatter_add_(1, labels[nearest.indices], weights)

    return {
        name: torch.cat([vote(part) for part in torch.split(query, _QUERIES_AT_ONCE)])
        for name, query in queries.items()
    }
