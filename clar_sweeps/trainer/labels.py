"""Which training clips keep their label: nested subsets by a rule that anyone can repeat."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.config import LabelSubset


class LabelledClips(NamedTuple):
    """The clips whose label training sees.

    Attributes:
        positions: Ascending, among the clips that were given, as int64.
        manifest: Plain values for a record: the rule and the names, and their sha256.
    """

    positions: NDArray[np.int64]
    manifest: dict[str, Any]


def choose_labelled(
    clip_names: Sequence[str],
    labels: NDArray[np.int64],
    *,
    fraction: float,
    rule: LabelSubset,
    seed: int,
) -> LabelledClips:
    """Draw the labelled subset of the training clips.

    Each clip has a rank of its own: the sha256 of `seed/labelled/name`. `plain` takes the first
    share of all clips by rank, `stratified` the first share of each class; at least one clip, or
    one a class. A larger fraction contains a smaller one, the order of the clips in a cache plays
    no part, and methods that share a seed see the same labels.

    Args:
        clip_names: Of the training clips, all different.
        labels: (clips,) their classes.
        fraction: In (0, 1].
        rule: `plain` or `stratified`.
        seed: The trial's.

    Source: CLAR (arXiv:2010.09542), section 6, draws "1% labelled data" without saying how. The
    authors' code shuffles the keys of its database and takes the first share.
    """
    ranks = [hashlib.sha256(f"{seed}/labelled/{name}".encode()).digest() for name in clip_names]
    order = np.array(sorted(range(len(ranks)), key=ranks.__getitem__), dtype=np.int64)
    if rule == "plain":
        chosen = order[: _share(len(order), fraction)]
    else:
        classes = [order[labels[order] == label] for label in np.unique(labels)]
        chosen = np.concatenate([clips[: _share(len(clips), fraction)] for clips in classes])
    positions = np.sort(chosen)
    names = sorted(clip_names[position] for position in positions)
    manifest = {
        "rule": rule,
        "fraction": fraction,
        "seed": seed,
        "num_clips": len(names),
        "num_train_clips": len(clip_names),
        "num_classes": len(np.unique(labels[positions])),
        "sha256": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "clips": names,
    }
    return LabelledClips(positions, manifest)


def _share(number: int, fraction: float) -> int:
    return max(1, round(number * fraction))
