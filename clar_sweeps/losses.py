"""The contrastive loss."""

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross entropy, averaged over the anchors of both views.

    Each of the 2 * batch projections is an anchor once: its positive is the other view of the same
    clip, its negatives are both views of all other clips.

    Args:
        z0: (batch, dim) projections of the first view, of any length.
        z1: (batch, dim) projections of the second view, of any length.
        temperature: Divides the cosine similarities.

    Returns:
        Scalar, at least float32 also under autocast.

    Raises:
        ValueError: The views differ in shape, hold fewer than two clips, or the temperature is
            not positive.

    Source: CLAR (arXiv:2010.09542), equation 1, over both (i, j) and (j, i).
    """
    if z0.shape != z1.shape or z0.ndim != 2:
        raise ValueError(
            f"z0 and z1 have shapes {tuple(z0.shape)} and {tuple(z1.shape)}, "
            "expected one (batch, dim)"
        )
    if len(z0) < 2:
        raise ValueError(f"batch is {len(z0)}, expected at least 2: a single clip has no negatives")
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}, expected above 0")
    with torch.autocast(z0.device.type, enabled=False):
        dtype = torch.promote_types(z0.dtype, torch.float32)
        z = F.normalize(torch.cat([z0, z1]).to(dtype), dim=1)  # (2 * batch, dim)
        similarity = z @ z.T / temperature
        # -inf leaves the anchor itself out of the softmax; its gradient is zero there.
        similarity = similarity.masked_fill(torch.eye(len(z), device=z.device).bool(), -torch.inf)
        positives = torch.arange(len(z), device=z.device).roll(len(z0))
        return F.cross_entropy(similarity, positives)
