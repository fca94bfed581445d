"""A config whose trial ends within seconds."""

from typing import Any

from clar_sweeps.config import TrialConfig, parse_config

# Small enough for a test, still every part of a trial.
TINY: dict[str, Any] = {
    "dataset": "spoken-digits",
    "condition": "clean",
    "augment": ["FD", "TM"],
    "width": 2,
    "features": {"num_bands": 32, "window_length": 512, "hop_length": 256, "n_fft": 512},
    "batch_size": 48,
    "epochs": 4,
    "warmup_epochs": 1,
    "eval_every": 2,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "device": "cpu",
}


def tiny_config(**fields: object) -> TrialConfig:
    """The tiny config with some fields changed."""
    config = parse_config({**TINY, **fields})
    assert isinstance(config, TrialConfig), config
    return config
