"""The contrastive loss and the cross entropy of the clips that have a label."""

import torch
from torch import Tensor
from torch.nn import functional as F

UNLABELLED = -1  # in place of a label


def nt_xent(z0: Tensor, z1: Tensor, temperature: float, *, shards: int = 1) -> Tensor:
    """Normalised temperature-scaled cross entropy, averaged over the anchors of both views.

    Each of the 2 * batch projections is an anchor once: its positive is the other view of the same
    clip, its negatives are both views of all other clips of its shard.

    Args:
        z0: (batch, dim) projections of the first view, of any length.
        z1: (batch, dim) projections of the second view, of any length.
        temperature: Divides the cosine similarities.
        shards: Consecutive parts of the batch, as equal in size as can be, that see no negatives
            of one another: the GPUs of a computation that does not gather its projections.

    Returns:
        Scalar, at least float32 also under autocast.

    Raises:
        ValueError: The views differ in shape, a shard holds fewer than two clips, or the
            temperature is not positive.

    Source: CLAR (arXiv:2010.09542), equation 1, over both (i, j) and (j, i). The authors' code has
    four shards, as it has four GPUs.
    """
    if z0.shape != z1.shape or z0.ndim != 2:
        raise ValueError(
            f"z0 and z1 have shapes {tuple(z0.shape)} and {tuple(z1.shape)}, "
            "expected one (batch, dim)"
        )
    if shards < 1:
        raise ValueError(f"shards is {shards}, expected at least 1")
    if len(z0) < 2 * shards:
        raise ValueError(
            f"batch is {len(z0)}, expected at least 2 for each of {shards} shards: "
            "a single clip has no negatives"
        )
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}, expected above 0")
    with torch.autocast(z0.device.type, enabled=False):
        if shards == 1:
            return _nt_xent_of_one_shard(z0, z1, temperature)
        parts = list(zip(z0.tensor_split(shards), z1.tensor_split(shards), strict=True))
        losses = [_nt_xent_of_one_shard(*part, temperature) * len(part[0]) for part in parts]
        return torch.stack(losses).sum() / len(z0)


def _nt_xent_of_one_shard(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    dtype = torch.promote_types(z0.dtype, torch.float32)
    z = F.normalize(torch.cat([z0, z1]).to(dtype), dim=1)  # (2 * batch, dim)
    similarity = z @ z.T / temperature
    # -inf leaves the anchor itself out of the softmax; its gradient is zero there.
    similarity = similarity.masked_fill(torch.eye(len(z), device=z.device).bool(), -torch.inf)
    positives = torch.arange(len(z), device=z.device).roll(len(z0))
    return F.cross_entropy(similarity, positives)


def labelled_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy averaged over the clips that have a label; zero if none has one.

    The mean is taken over labelled clips, as in the authors' code, and not over the batch: the
    term does not fade as labels become few. A batch without any has gradient zero. Nothing waits
    for the device.

    Args:
        logits: (batch, num_classes).
        labels: (batch,) int64; UNLABELLED, or any negative, where there is none.

    Returns:
        Scalar, at least float32 also under autocast.

    Raises:
        ValueError: The shapes do not fit.

    Source: CLAR (arXiv:2010.09542), equation 3, whose reduction is not given.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"logits and labels have shapes {tuple(logits.shape)} and {tuple(labels.shape)}, "
            "expected (batch, num_classes) and (batch,)"
        )
    with torch.autocast(logits.device.type, enabled=False):
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        labels = labels.clamp(min=UNLABELLED)
        total = F.cross_entropy(logits, labels, ignore_index=UNLABELLED, reduction="sum")
        return total / (labels != UNLABELLED).sum().clamp(min=1)
