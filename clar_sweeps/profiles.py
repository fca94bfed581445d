"""The two protocols: the paper's text, and the code that its authors released.

A profile is nothing but other defaults. A config that names one is resolved field by field, so a
trial is identified by what it does and not by the name of a protocol. docs/fidelity.md tells, item
by item, where text and code part.
"""

from typing import Any

_EPOCHS = {"nsynth11": 120, "nsynth128": 120, "esc10": 2000, "esc50": 2000}
_BATCH_SIZES = {"sc35": 512, "nsynth11": 128, "nsynth128": 64}


def released_defaults(dataset: str, method: str) -> dict[str, Any]:
    """Defaults of a trial's fields in the authors' code, github.com/haideraltahan/CLAR.

    The fields of the picture are apart: see `FeatureConfig.definition`.

    Args:
        dataset: Decides epochs and batch; one that the authors do not have counts as sc10.
        method: Decides the batch on ESC.
    """
    return {
        "augment_definition": "released",
        "stem": "released",
        "batch_size": _batch_size(dataset, method),
        "epochs": _EPOCHS.get(dataset, 1020),
        "optimizer": "lars_adam",
        "weight_decay": 1e-6,
        "schedule": "released",
        "negative_shards": 4,
        "unlabelled": "keep" if dataset.startswith("nsynth") else "drop",
        "evaluate_on": "augmented",
    }


def _batch_size(dataset: str, method: str) -> int:
    """Over the authors' four GPUs together."""
    if dataset in ("esc10", "esc50"):
        return 128 if method == "simclr" else 256
    return _BATCH_SIZES.get(dataset, 1024)
