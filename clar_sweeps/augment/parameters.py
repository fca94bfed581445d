"""Checks of what operations are given, and draws that they share."""

import hashlib

import torch
from torch import Tensor


def check_waveforms(waveforms: Tensor, **per_waveform: Tensor) -> None:
    """Check the shape and type of waveforms, and that parameters have one entry a waveform.

    Raises:
        ValueError: waveforms are not (batch, time) float32, are empty, or a parameter's first
            dimension is not batch.
    """
    if waveforms.ndim != 2 or waveforms.numel() == 0:
        raise ValueError(
            f"waveforms: shape is {tuple(waveforms.shape)}, expected (batch, time), neither 0"
        )
    if waveforms.dtype != torch.float32:
        raise ValueError(f"waveforms: dtype is {waveforms.dtype}, expected torch.float32")
    for name, parameter in per_waveform.items():
        if parameter.ndim == 0 or len(parameter) != len(waveforms):
            raise ValueError(
                f"{name}: shape is {tuple(parameter.shape)}, "
                f"expected one entry for each of {len(waveforms)} waveforms"
            )


def uniform_integers(batch: int, lowest: int, highest: int, generator: torch.Generator) -> Tensor:
    """Integers from lowest to highest, both inclusive: (batch,) int64 on the generator's device."""
    return torch.randint(
        lowest, highest + 1, (batch,), generator=generator, device=generator.device
    )


def host_generator(generator: torch.Generator) -> torch.Generator:
    """Generator on the CPU for parameters that decide shapes, such as the semitones of a shift.

    A generator on the CPU is its own. From one on a GPU a stream is derived, and the GPU's
    generator moves on; its state lies on the host, so nothing waits for the device.
    """
    if generator.device.type == "cpu":
        return generator
    digest = hashlib.sha256(generator.get_state().numpy().tobytes()).digest()
    torch.rand(1, generator=generator, device=generator.device)
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
