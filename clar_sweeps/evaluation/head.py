"""The paper's evaluation head, trained on frozen representations by a fixed recipe."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from clar_sweeps import rng
from clar_sweeps.models import EvaluationHead

# The recipe. The authors train the head online, one pass after each epoch, beside an encoder that
# moves; here the encoder stands still and the head is trained to the end.
_EPOCHS = 30
_BATCH_SIZE = 256
_LEARNING_RATE = 5e-3
_WEIGHT_DECAY = 1e-2


def evaluation_head_logits(
    representations: Tensor,
    labels: Tensor,
    queries: Mapping[str, Tensor],
    *,
    num_classes: int,
    seed: int,
) -> dict[str, Tensor]:
    """Train the head on one split, apply it to others.

    Args:
        representations: (clips, dim), standardised.
        labels: (clips,) int64.
        queries: (queries, dim) by name.
        num_classes: Number of classes.
        seed: Decides initial weights, batches and dropout.

    Returns:
        (queries, classes) logits by name, with the head in eval mode.

    Source: CLAR (arXiv:2010.09542), section 3.2: "trained on top of the frozen encoder".
    """
    device = representations.device
    num_clips = len(representations)
    batch_size = min(_BATCH_SIZE, num_clips)
    num_steps = _EPOCHS * (num_clips // batch_size)
    # Dropout draws from the global generator and takes no other: seeded around the whole training.
    with rng.seeded(seed, "evaluation_head", device=device), torch.enable_grad():
        head = EvaluationHead(representations.shape[1], num_classes).to(device)
        optimizer = torch.optim.AdamW(
            head.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY, foreach=True
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, num_steps))
        for epoch in range(_EPOCHS):
            order = torch.randperm(
                num_clips, generator=rng.generator(seed, "evaluation_order", epoch)
            ).to(device)
            # A last batch of a few clips would upset batch norm; its clips come in other epochs.
            for batch in torch.split(order, batch_size)[: num_clips // batch_size]:
                optimizer.zero_grad()
                loss = F.cross_entropy(head(representations[batch]), labels[batch])
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                optimizer.step()
                schedule.step()
    head.eval()
    with torch.no_grad():
        return {name: head(query) for name, query in queries.items()}
