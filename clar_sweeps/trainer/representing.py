"""Representations of a split's clips by the frozen encoder, shared out among the ranks."""

from collections.abc import Callable

import torch
from torch import Tensor

from clar_sweeps import rng
from clar_sweeps.augment import Chain, Part
from clar_sweeps.config import TrialConfig
from clar_sweeps.data.waveforms import Split
from clar_sweeps.trainer.loading import WaveformLoader
from clar_sweeps.trainer.ranks import Ranks

_CLIPS_AT_ONCE = 256

# Takes the waveforms of this rank's part of a batch, and which part that is.
OnPart = Callable[[Tensor, Part | None], Tensor]


@torch.no_grad()
def represent(
    clips: Tensor,
    encode: OnPart,
    *,
    size: int,
    loader: WaveformLoader,
    ranks: Ranks,
    on_step: Callable[[int, int], None],
) -> Tensor:
    """Representations of clips, (clips, size), the same on every rank.

    Args:
        clips: (clips,) int64 positions in the dataset.
        encode: Gives the representations of waveforms, (part, time) -> (part, size).
        size: Of a representation.
        loader: Reads the waveforms.
        ranks: Each encodes its part.
        on_step: Told of each batch its number from 1, and how many there are.
    """
    parts: list[Tensor] = []
    batches = torch.split(clips, _CLIPS_AT_ONCE)
    own = (ranks.own_rows(batch) for batch in batches)
    for batch, waveforms in zip(batches, loader.batches(own), strict=True):
        representations = torch.empty(0, size, device=loader.device)
        if len(waveforms):  # a last batch may be too small for every rank
            representations = encode(waveforms, ranks.part(len(batch)))
        parts.append(ranks.gather(representations, len(batch)))
        on_step(len(parts), len(batches))
    return torch.cat(parts)


def augment_held_out(
    config: TrialConfig, split: Split, chain: Chain, *, device: torch.device
) -> OnPart:
    """The training chain where the config has it, with equal draws each time."""
    if split == "train" or config.evaluate_on == "clean":
        return lambda waveforms, part: waveforms
    draws = rng.generator(config.seed, f"held_out_{split}", device=device)
    return lambda waveforms, part: chain(waveforms, draws, part)
