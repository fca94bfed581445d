"""The usual stacks of libraries: who changes the clips, where, and who computes the features.

Where the library that gives a stack its name has no such operation, another does it, which
`Stack.libraries` names.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torchaudio
from torch import Tensor, nn

from benchmarks.augment import (
    DRAWS,
    ON_BATCH,
    ON_CLIP,
    OnBatch,
    OnClip,
    Waveform,
    torchaudio_fade,
    torchaudio_stretch,
)
from benchmarks.library_features import NnAudioFeatures, TorchaudioFeatures
from clar_sweeps.config import FeatureConfig

Chain = Sequence[str]  # names of operations, the first acts first


class Stack(NamedTuple):
    """Who does what in a pipeline.

    libraries: Of each operation.
    on_batch: Whether operations act where the encoder is, on batches; else clip by clip in the
        workers of a DataLoader.
    """

    name: str
    libraries: dict[str, str]
    features: Callable[[FeatureConfig], nn.Module]
    on_batch: bool = False


_AUDIOMENTATIONS = {
    **dict.fromkeys(("WN", "TM", "TS"), "audiomentations"),
    # Its faster method, and its default.
    **dict.fromkeys(("PS", "TST"), "audiomentations (signalsmith)"),
    "FD": "torchaudio",
}
STACKS = (
    Stack("audiomentations + nnAudio", _AUDIOMENTATIONS, NnAudioFeatures),
    Stack("audiomentations + torchaudio", _AUDIOMENTATIONS, TorchaudioFeatures),
    Stack(
        "torch-audiomentations + nnAudio",
        {
            **dict.fromkeys(("PS", "WN", "TS"), "torch-audiomentations"),
            **dict.fromkeys(("FD", "TM", "TST"), "torchaudio"),
        },
        NnAudioFeatures,
        on_batch=True,
    ),
    # The authors' code; its fade has torchaudio's formulas.
    Stack(
        "librosa + nnAudio",
        {
            **dict.fromkeys(("PS", "TST"), "librosa"),
            **dict.fromkeys(("WN", "TM", "TS"), "NumPy"),
            "FD": "torchaudio",
        },
        NnAudioFeatures,
    ),
)


def change_clip(stack: Stack, chain: Chain) -> OnClip:
    """Build what makes one view of a clip: (time,) -> (time,), the clip left unchanged."""
    steps = [_ON_CLIP[stack.libraries[name]][name] for name in chain]

    def change(clip: Waveform) -> Waveform:
        for step in steps:
            clip = step(clip)
        return clip

    return change


def change_batch(stack: Stack, chain: Chain) -> OnBatch:
    """Build what makes one view of a batch: (batch, time) -> (batch, time), on any device."""
    steps = [
        _TORCHAUDIO[name] if stack.libraries[name] == "torchaudio" else ON_BATCH[name]()
        for name in chain
    ]

    def change(waveforms: Tensor) -> Tensor:
        for step in steps:
            waveforms = step(waveforms)
        return waveforms

    return change


def _white_noise(clip: Waveform) -> Waveform:
    noise = DRAWS.standard_normal(len(clip), dtype=np.float32)
    gain = np.linalg.norm(clip) / np.linalg.norm(noise) * 10 ** (-DRAWS.integers(0, 20) / 20)
    return clip + np.float32(gain) * noise


def _time_mask(clip: Waveform) -> Waveform:
    width = len(clip) // 8
    start = DRAWS.integers(len(clip) - width)
    masked = clip.copy()
    masked[start : start + width] = DRAWS.normal(0.0, 0.01, width)
    return masked


_ON_CLIP = ON_CLIP | {"NumPy": ON_CLIP["NumPy"] | {"WN": _white_noise, "TM": _time_mask}}


def _by_rows(operation: Callable[[Tensor], Tensor]) -> OnBatch:
    return lambda waveforms: torch.stack([operation(waveform) for waveform in waveforms])


def _masked(waveforms: Tensor) -> Tensor:
    # The masks are those of spectrograms: (batch, 1, 1, time).
    longest = waveforms.shape[1] // 8
    masked: Tensor = torchaudio.functional.mask_along_axis_iid(
        waveforms[:, None, None], longest, 0.0, 3
    )
    return masked[:, 0, 0]


# Its fade and its vocoder take one parameter a call.
_TORCHAUDIO: dict[str, OnBatch] = {
    "FD": _by_rows(torchaudio_fade),
    "TST": _by_rows(torchaudio_stretch),
    "TM": _masked,
}
