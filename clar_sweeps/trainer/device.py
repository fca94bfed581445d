"""Where and in what precision a trial computes, and what its encoder reads there."""

import torch
from torch import nn

from clar_sweeps.config import SAMPLE_RATE, TrialConfig
from clar_sweeps.errors import ConfigError
from clar_sweeps.features import RawWaveform, SpectralFeatures
from clar_sweeps.trainer.ranks import ALONE, Ranks

_SMALLEST_PICTURE = 16


def choose_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def choose_precision(
    config: TrialConfig, device: torch.device, *, num_samples: int, ranks: Ranks = ALONE
) -> torch.dtype | None:
    """Type of autocast, None for float32 throughout; ranks take what rank 0's processor likes."""
    name = config.precision
    if device.type == "cpu" and config.features is not None:
        num_frames = num_samples // config.features.hop_length + 1
        # The last stage then reads a single point, and torch 2.11 leaves the gradient of kernel
        # taps that no point reaches uninitialised in bfloat16: numbers of any size.
        if min(config.features.num_bands, num_frames) <= _SMALLEST_PICTURE:
            if name == "bfloat16":
                raise ConfigError(
                    f"precision: bfloat16 on a CPU needs a picture above {_SMALLEST_PICTURE} bands "
                    f"and frames, this is {config.features.num_bands} by {num_frames}; use float32"
                )
            return None
    if name == "auto":
        gains = (
            torch.cuda.is_bf16_supported(including_emulation=False)
            if device.type == "cuda"
            else torch.cpu._is_avx512_bf16_supported()
        )
        name = ranks.value_from_leader("bfloat16" if gains else "float32")
    return torch.bfloat16 if name == "bfloat16" else None


def build_features(config: TrialConfig) -> nn.Module:
    if config.features is None:
        return RawWaveform()
    return SpectralFeatures(sample_rate=SAMPLE_RATE, **config.features.model_dump())
