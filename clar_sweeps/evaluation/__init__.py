"""How good are the representations of a frozen encoder? Three judges, each top-1 accuracy.

All see clean audio, an encoder in eval mode, and all labels of the training split; none touches
the encoder. The paper's evaluation head is the number of its figures and tables.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from clar_sweeps.evaluation.head import evaluation_head_logits
from clar_sweeps.evaluation.knn import knn_scores
from clar_sweeps.evaluation.linear import linear_probe_logits


class Labelled(NamedTuple):
    """Representations of one split, (clips, dim) float32, and labels, (clips,) int64."""

    representations: Tensor
    labels: Tensor


def evaluate_representations(
    train: Labelled, held_out: Mapping[str, Labelled], *, num_classes: int, seed: int
) -> dict[str, float]:
    """Train each judge on `train`, score it on every held-out split.

    Args:
        train: What the judges learn from.
        held_out: By name of the split, such as `valid` and `test`.
        num_classes: Number of classes.
        seed: Decides the evaluation head's initial weights and batches.

    Returns:
        Fractions: `{split}_top1` of the evaluation head, `{split}_linear_top1`,
        `{split}_knn_top1`.
    """
    # Scaled by the training split alone, so that judges do not depend on the encoder's units.
    mean = train.representations.mean(dim=0)
    scale = train.representations.std(dim=0)
    # A channel that is dead on the training clips must not blow up on others.
    scale = torch.where(scale > 1e-6, scale, 1.0)
    train = train._replace(representations=(train.representations - mean) / scale)
    queries = {name: (split.representations - mean) / scale for name, split in held_out.items()}
    judges = {
        "top1": evaluation_head_logits(*train, queries, num_classes=num_classes, seed=seed),
        "linear_top1": linear_probe_logits(*train, queries, num_classes=num_classes),
        "knn_top1": knn_scores(*train, queries, num_classes=num_classes),
    }
    return {
        f"{split}_{judge}": top1(scores[split], held_out[split].labels)
        for judge, scores in judges.items()
        for split in held_out
    }


def top1(scores: Tensor, labels: Tensor) -> float:
    """Fraction of rows of (clips, classes) scores whose largest entry is the label."""
    return (scores.argmax(dim=1) == labels).to(torch.float64).mean().item()
