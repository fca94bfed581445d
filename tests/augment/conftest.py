import os
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor

TIME = 16_000  # one second at 16 kHz


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def tone_440() -> Tensor:
    """(1, TIME), amplitude 0.5."""
    return 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(TIME) / 16_000)[None]


@pytest.fixture(scope="session")
def speech() -> Tensor:
    """(16, TIME): recordings of Speech Commands, each of another word."""
    root = os.environ.get("CLAR_SWEEPS_TEST_DATA")
    if root is None:
        pytest.skip("CLAR_SWEEPS_TEST_DATA is not set: no real recordings")
    words = sorted((Path(root) / "speech_commands_v0.02_sample").glob("[a-z]*/"))
    clips = []
    for word in words:
        path = min(word.glob("*.wav"))
        samples, sample_rate = soundfile.read(path, dtype="float32")
        if sample_rate == 16_000 and len(samples) == TIME:
            clips.append(torch.from_numpy(samples))
    return torch.stack(clips[:16])
