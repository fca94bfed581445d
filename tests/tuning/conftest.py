"""A dataset of 60 tones, and working folders that use it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sweep_desk import Desk


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of recordings in the layout of FSDD: a tone for each digit, three speakers."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    draws = np.random.default_rng(0)
    seconds = np.arange(4000) / 8000
    for speaker in ("ann", "lucas", "theo"):
        for digit in range(10):
            for take in range(2):
                tone = 0.3 * np.sin(2 * np.pi * (200 + 100 * digit) * seconds)
                noise = 0.01 * draws.standard_normal(len(tone))
                soundfile.write(folder / f"{digit}_{speaker}_{take}.wav", tone + noise, 8000)
    return root


@pytest.fixture(scope="session")
def make_desk(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Desk]:
    """Makes working folders that share one cache."""
    cache = tmp_path_factory.mktemp("cache")
    environment = {
        **os.environ,
        "CLAR_SWEEPS_DATA": str(recordings),
        "CLAR_SWEEPS_CACHE": str(cache),
        "PYTHONWARNINGS": "default",
    }
    environment.pop("RAY_ADDRESS", None)
    return lambda name: Desk(tmp_path_factory.mktemp(name), environment)


@pytest.fixture(scope="module")
def desk(make_desk: Callable[[str], Desk]) -> Desk:
    """A working folder of the module."""
    return make_desk("desk")
