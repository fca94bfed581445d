"""A dataset of tones, sweeps of tiny trials on it, and the command that runs one."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

# Random kills alone must not fail a trial: a copy is disturbed less often than this.
MAX_RETRIES = 6
# Longer than a trial of these takes to begin on a busy machine.
HANG_TIMEOUT_MINUTES = 0.3

_FIXED = """
fixed:
  dataset: fsdd
  width: 2
  features: {num_bands: 8, window_length: 256, hop_length: 1024, n_fft: 256}
  batch_size: 8
  optimizer: adamw
  device: cpu
"""
_RECOVERY = f"""
recovery: {{max_retries: {MAX_RETRIES}, hang_timeout_minutes: {HANG_TIMEOUT_MINUTES}}}
"""


class Shape(NamedTuple):
    """A sweep by what it covers."""

    name: str
    body: str  # the sweep file without name and common fields
    covers: str
    exit_code: int = 0  # of the undisturbed run


SHAPES = (
    Shape(
        "pairs",
        """
  epochs: 60
  eval_every: 20
  warmup_epochs: 5
  learning_rate: 1e-3
axes:
  augment: {pairs: [FD, TM]}
""",
        "SimCLR on spectrograms, pairs of operations",
    ),
    Shape(
        "waveforms",
        """
  encoder: resnet18_1d
  epochs: 24
  eval_every: 12
  warmup_epochs: 2
  learning_rate: 1e-3
axes:
  augment: [[FD], [TS], [WN]]
""",
        "SimCLR on waveforms",
    ),
    Shape(
        "labels",
        """
  augment: [FD, WN]
  epochs: 60
  eval_every: 20
  warmup_epochs: 0
  learning_rate: 1e-3
  label_fraction: 0.5
axes:
  method: [clar, supervised]
  temperature: [0.1, 0.5]
""",
        "CLAR and supervised training on half of the labels",
    ),
    Shape(
        "diverging",
        """
  augment: [FD]
  epochs: 60
  eval_every: 20
  warmup_epochs: 60
  weight_decay: 0.0
zips:
  - {learning_rate: [1e-3, 2e-3, 1e10]}
""",
        "one trial of three diverges",
        exit_code=1,
    ),
    Shape(
        "sparse",
        """
  warmup_epochs: 5
  epochs: 60
  eval_every: 7
  checkpoint_every: 4
  learning_rate: 1e-3
axes:
  augment: [[FD], [TS, WN]]
seeds: [0, 1]
""",
        "evaluated every 7, kept every 4 epochs; two seeds",
    ),
)


def write_sweep(folder: Path, shape: Shape) -> Path:
    """Write the sweep file of a shape."""
    path = folder / f"{shape.name}.yaml"
    path.write_text(
        f"name: {shape.name}{_FIXED}{shape.body.lstrip(chr(10))}{_RECOVERY}", encoding="utf-8"
    )
    return path


def write_tones(root: Path) -> None:
    """Write recordings in the layout of FSDD: a tone for each digit, four speakers."""
    folder = root / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    draws = np.random.default_rng(0)
    seconds = np.arange(4000) / 8000
    for speaker in ("ann", "bea", "lucas", "theo"):
        for digit in range(10):
            for take in range(2):
                tone = 0.3 * np.sin(2 * np.pi * (200 + 100 * digit) * seconds)
                noise = 0.01 * draws.standard_normal(len(tone))
                soundfile.write(folder / f"{digit}_{speaker}_{take}.wav", tone + noise, 8000)


def clar_sweep(*arguments: str) -> list[str]:
    """The command line, in the Python that runs this."""
    return [sys.executable, "-c", "from clar_sweeps.cli import main; main()", *arguments]


def environment(base: Path) -> dict[str, str]:
    """What the commands see: the tones, a cache of them, a Ray of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {
        **kept,
        "CLAR_SWEEPS_DATA": str(base / "data"),
        "CLAR_SWEEPS_CACHE": str(base / "cache"),
        "RAY_TMPDIR": str(base / "ray"),
    }
