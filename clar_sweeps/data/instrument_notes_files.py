"""What the built-in music writes: sound files, NSynth's `examples.json`, and a manifest."""

import hashlib
import importlib.metadata
import json
import platform
import sys
import wave
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.data.decoding import SAMPLE_RATE
from clar_sweeps.data.instrument_notes_instruments import LOUD, PROGRAMS, SOFT, Note
from clar_sweeps.data.soundfont import SoundFont
from clar_sweeps.data.waveforms import SPLITS

NOTES = "examples.json"
_SOURCES = ("acoustic", "electronic", "synthetic")
_QUALITIES = 10


def write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    """Write a mono 16-bit file at 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def write_notes(folder: Path, notes: list[Note]) -> None:
    """Write the description of each split's notes beside its `audio`."""
    for split in SPLITS:
        described = {
            note.name: describe_note(note, number)
            for number, note in enumerate(notes)
            if note.instrument.split == split
        }
        path = folder / f"nsynth-{split}" / NOTES
        path.write_text(json.dumps(described, indent=1), encoding="utf-8")


def describe_note(note: Note, number: int) -> dict[str, Any]:
    """Return NSynth's entry of a note; its ten qualities, heard by people, are all 0."""
    instrument = note.instrument
    return {
        "note": number,
        "note_str": note.name,
        "instrument": instrument.number,
        "instrument_str": instrument.name,
        "pitch": note.pitch,
        "velocity": note.velocity,
        "sample_rate": SAMPLE_RATE,
        "qualities": [0] * _QUALITIES,
        "qualities_str": [],
        "instrument_family": list(PROGRAMS).index(instrument.family),
        "instrument_family_str": instrument.family,
        "instrument_source": _SOURCES.index(instrument.source),
        "instrument_source_str": instrument.source,
    }


def describe_set(
    bank: SoundFont, bank_path: Path, notes: list[Note], total: int, keys: range, pcm_sha256: str
) -> dict[str, Any]:
    """Return the manifest: from what the set was made, what it holds, and its checksum.

    Args:
        bank: As read from `bank_path`.
        bank_path: Of the file, for its checksum.
        notes: Those written.
        total: Number of notes planned; the others were silent.
        keys: As asked for.
        pcm_sha256: Of all samples, little-endian, by split and name.
    """
    instruments = {note.instrument: None for note in notes}
    return {
        "dataset": "instrument-notes",
        "arguments": {"keys": [keys.start, keys.stop - 1], "velocities": [SOFT, LOUD]},
        "versions": {
            "bank": bank.name,
            "bank_sha256": hashlib.sha256(bank_path.read_bytes()).hexdigest(),
            "pretty_midi": importlib.metadata.version("pretty_midi"),
            "numpy": np.__version__,
            "soxr": importlib.metadata.version("soxr"),
            "python": platform.python_version(),
            "machine": f"{sys.platform} {platform.machine()}",
        },
        "num_clips": len(notes),
        "num_clips_of": Counter(note.instrument.split for note in notes),
        "num_silent_dropped": total - len(notes),
        "pcm_sha256": pcm_sha256,
        "instruments": [instrument._asdict() for instrument in instruments],
    }
