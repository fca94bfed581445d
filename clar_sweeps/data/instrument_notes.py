"""The built-in music: notes of General MIDI instruments in NSynth's layout, without a download.

The bank TimGM6mb.sf2 (GPL-2) is read from the installed package pretty_midi, never copied.
"""

import errno
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.data import nsynth
from clar_sweeps.data.decoding import SAMPLE_RATE
from clar_sweeps.data.instrument_notes_files import describe_set, write_notes, write_wav
from clar_sweeps.data.instrument_notes_instruments import (
    INSTRUMENTS,
    KEYS,
    Instrument,
    Note,
    in_order,
    plan_notes,
)
from clar_sweeps.data.soundfont import SoundFont, read_soundfont
from clar_sweeps.data.soundfont_player import render_note
from clar_sweeps.data.waveforms import SPLITS, Listing, Progress
from clar_sweeps.errors import DataError, DependencyError

CLIP_LENGTH = 4 * SAMPLE_RATE
HELD_SECONDS = 3.0
CLASS_NAMES = nsynth.PITCHES
MANIFEST = "MANIFEST.json"

_PACKAGE, _BANK = "pretty_midi", "TimGM6mb.sf2"
# The loudest note of an instrument, so that no instrument is known by its level.
_PEAK = 0.9
# Below -53 dB: keys that the bank leaves empty or that lie above its filters.
_SILENCE = 0.002


def list_clips(
    work_folder: Path,
    *,
    instruments: Sequence[Instrument] = INSTRUMENTS,
    keys: range = KEYS,
    num_workers: int | None = None,
    progress: Progress | None = None,
) -> Listing:
    """Render the set into `work_folder` and list its notes, labelled by pitch.

    Args:
        work_folder: Absent or empty.
        instruments: Of `INSTRUMENTS`; each split needs one.
        keys: Lowest to highest key.
        num_workers: Threads; None takes one a core, at most 8. The result does not depend on it.
        progress: Called with ("render", done, total).

    Raises:
        DependencyError: pretty_midi is not installed, or has no bank.
        DataError: the bank cannot be read, or the notes cannot be written.
    """
    generate(
        work_folder,
        instruments=instruments,
        keys=keys,
        num_workers=num_workers,
        progress=progress,
    )
    manifest = json.loads((work_folder / MANIFEST).read_text(encoding="utf-8"))
    return nsynth.list_clips(work_folder)._replace(expected_sha256=manifest["pcm_sha256"])


def generate(
    folder: Path,
    *,
    instruments: Sequence[Instrument] = INSTRUMENTS,
    keys: range = KEYS,
    num_workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a set of notes in NSynth's layout, with a manifest; arguments as in `list_clips`.

    Each note lasts 4 s and its key is held for 3 s, as in NSynth. An instrument plays every
    second key, loud and soft in turn, from a start of its own: each key sounds in each
    split at both velocities. No instrument plays one key twice, since the two notes would
    differ in little but level, and contrastive learning would hold them apart as negatives.

    Source: NSynth (arXiv:1704.01279), section 3; magenta.tensorflow.org/datasets/nsynth.
    """
    bank_path = find_bank()
    bank = read_soundfont(bank_path)
    plan = [list(plan_notes(instrument, keys)) for instrument in in_order(instruments)]
    total = sum(map(len, plan))
    checksum = hashlib.sha256()
    written: list[Note] = []
    done = 0
    try:
        for split in SPLITS:
            (folder / f"nsynth-{split}" / "audio").mkdir(parents=True)
        for planned, rendered in zip(plan, _render(bank, plan, folder, num_workers), strict=True):
            for note, samples in rendered.items():
                checksum.update(samples.astype("<i2").tobytes())
                written.append(note)
            done += len(planned)
            if progress is not None:
                progress("render", done, total)
        write_notes(folder, written)
        manifest = describe_set(bank, bank_path, written, total, keys, checksum.hexdigest())
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    except OSError as error:
        raise DataError(_failure(folder, error)) from error


def find_bank() -> Path:
    """Return where the installed pretty_midi holds its bank; the package is not imported.

    Raises:
        DependencyError: it is not installed, or has no bank.
    """
    remedy = "run 'pip install \"clar-sweeps[demo]\"'"
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DependencyError(
            f"instrument-notes: package {_PACKAGE} is not installed, needed for its bank of "
            f"instruments; {remedy}"
        )
    path = Path(spec.submodule_search_locations[0]) / _BANK
    if not path.is_file():
        raise DependencyError(
            f"instrument-notes: package {_PACKAGE} has no {_BANK}, expected {path}; "
            f"uninstall it and {remedy}"
        )
    return path


def _render(
    bank: SoundFont, plan: list[list[Note]], folder: Path, num_workers: int | None
) -> Iterator[dict[Note, NDArray[np.int16]]]:
    """Render and write an instrument after the other, given back in the order of `plan`."""
    # Threads, not processes: NumPy, soxr and the disk let go of the interpreter lock, no
    # start method matters, and nothing outlives a process that is killed.
    with ThreadPoolExecutor(num_workers or min(8, os.cpu_count() or 1)) as pool:
        try:
            yield from pool.map(lambda notes: _render_instrument(bank, notes, folder), plan)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _render_instrument(
    bank: SoundFont, notes: list[Note], folder: Path
) -> dict[Note, NDArray[np.int16]]:
    waveforms = {
        note: render_note(
            bank,
            program=note.instrument.program,
            key=note.pitch,
            velocity=note.velocity,
            held_seconds=HELD_SECONDS,
            length=CLIP_LENGTH,
        )
        for note in notes
    }
    loudest = max((float(np.abs(w).max()) for w in waveforms.values()), default=0.0)
    gain = _PEAK / loudest if loudest else 0.0
    rendered = {
        note: np.rint(waveform * np.float32(gain * 32_767)).astype(np.int16)
        for note, waveform in waveforms.items()
        if gain * np.abs(waveform).max() >= _SILENCE
    }
    for note, samples in rendered.items():
        audio = folder / f"nsynth-{note.instrument.split}" / "audio"
        write_wav(audio / f"{note.name}.wav", samples)
    return rendered


def _failure(folder: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"instrument-notes: {error.strerror}; free 1 GB, or set CLAR_SWEEPS_CACHE to a folder "
            "on another disk"
        )
    reason = error.strerror or str(error)
    return (
        f"instrument-notes: {error.filename or folder} cannot be written ({reason}), expected an "
        "empty folder; set CLAR_SWEEPS_CACHE to a folder that is yours"
    )
