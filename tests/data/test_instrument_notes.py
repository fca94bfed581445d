"""Instrument notes: layout, splits, repeatability, and what goes wrong."""

import errno
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from clar_sweeps.data import instrument_notes
from clar_sweeps.data.instrument_notes_instruments import (
    INSTRUMENTS,
    KEYS,
    LOUD,
    PROGRAMS,
    SOFT,
    plan_notes,
)
from clar_sweeps.data.soundfont import Generator, find_voices, read_soundfont
from clar_sweeps.data.waveforms import SPLITS, Listing, build_cache
from clar_sweeps.errors import DataError, DependencyError

# Piano, cello, harpsichord, church organ, trumpet: three splits.
TINY_PROGRAMS = (0, 42, 6, 19, 56)
TINY_KEYS = range(57, 69)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Listing]:
    """Five instruments at six keys each, rendered by one thread."""
    return make_tiny(tmp_path_factory.mktemp("notes"), num_workers=1)


def make_tiny(folder: Path, *, num_workers: int) -> tuple[Path, Listing]:
    try:
        instrument_notes.find_bank()
    except DependencyError:
        pytest.skip("pretty_midi is not installed")
    instruments = [one for one in INSTRUMENTS if one.program in TINY_PROGRAMS]
    listing = instrument_notes.list_clips(
        folder, instruments=instruments, keys=TINY_KEYS, num_workers=num_workers
    )
    return folder, listing


def read(path: Path) -> NDArray[np.float64]:
    waveform, sample_rate = soundfile.read(path, dtype="float64")
    assert sample_rate == 16_000
    return np.asarray(waveform)


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / instrument_notes.MANIFEST).read_text())
    return manifest


def test_87_instruments_in_11_families_are_split_65_11_11() -> None:
    assert len(INSTRUMENTS) == len({one.name for one in INSTRUMENTS}) == 87
    assert len({one.program for one in INSTRUMENTS}) == 87
    assert Counter(one.split for one in INSTRUMENTS) == {"train": 65, "valid": 11, "test": 11}
    # NSynth's families in the order of their ids.
    assert " ".join(PROGRAMS) == (
        "bass brass flute guitar keyboard mallet organ reed string synth_lead vocal"
    )
    assert {one.family for one in INSTRUMENTS if one.split == "test"} == set(PROGRAMS)


def test_no_sample_of_the_bank_is_in_two_splits() -> None:
    try:
        bank = read_soundfont(instrument_notes.find_bank())
    except DependencyError:
        pytest.skip("pretty_midi is not installed")
    splits_of: dict[int, set[str]] = {}
    for one in INSTRUMENTS:
        for note in plan_notes(one, KEYS):
            for voice in find_voices(
                bank, program=one.program, key=note.pitch, velocity=note.velocity
            ):
                start = int(bank.samples[voice[Generator.SAMPLE]]["start"])
                splits_of.setdefault(start, set()).add(one.split)
    assert len(splits_of) > 300
    assert {len(splits) for splits in splits_of.values()} == {1}


@pytest.mark.parametrize("split", SPLITS)
def test_each_key_is_in_each_split_at_both_velocities(split: str) -> None:
    notes = [n for one in INSTRUMENTS if one.split == split for n in plan_notes(one, KEYS)]
    expected = {(key, velocity) for key in range(21, 109) for velocity in (SOFT, LOUD)}
    assert {(note.pitch, note.velocity) for note in notes} == expected


def test_instrument_plays_every_second_key_once() -> None:
    for one in INSTRUMENTS:
        pitches = [note.pitch for note in plan_notes(one, KEYS)]
        assert len(pitches) == 44
        assert set(np.diff(pitches)) == {2}


def test_classes_are_the_128_pitches() -> None:
    assert len(instrument_notes.CLASS_NAMES) == 128
    assert instrument_notes.CLASS_NAMES[60] == "060"
    assert list(instrument_notes.CLASS_NAMES) == sorted(instrument_notes.CLASS_NAMES)


def test_listing_is_labelled_by_pitch_and_split_by_instrument(tiny: tuple[Path, Listing]) -> None:
    folder, listing = tiny
    assert len(listing.clips) == 5 * 6
    assert Counter(clip.split for clip in listing.clips) == {"train": 18, "valid": 6, "test": 6}
    assert listing.clip_length == 64_000
    assert listing.class_names == instrument_notes.CLASS_NAMES
    clip = next(clip for clip in listing.clips if clip.split == "test")
    assert clip.name.startswith("brass_acoustic_000-")
    assert clip.speaker == "brass_acoustic_000"
    assert clip.class_name == clip.name.split("-")[1]
    assert clip.path == folder / "nsynth-test" / "audio" / f"{clip.name}.wav"
    assert len({clip.name for clip in listing.clips}) == 30


def test_notes_are_described_as_in_nsynth(tiny: tuple[Path, Listing]) -> None:
    folder, _ = tiny
    notes = json.loads((folder / "nsynth-valid" / "examples.json").read_text())
    name = min(name for name in notes if name.startswith("keyboard"))
    assert notes[name] | {"note": 0} == {
        "note": 0,
        "note_str": name,
        "instrument": next(one.number for one in INSTRUMENTS if one.program == 6),
        "instrument_str": "keyboard_acoustic_002",
        "pitch": int(name.split("-")[1]),
        "velocity": int(name.split("-")[2]),
        "sample_rate": 16_000,
        "qualities": [0] * 10,
        "qualities_str": [],
        "instrument_family": 4,
        "instrument_family_str": "keyboard",
        "instrument_source": 0,
        "instrument_source_str": "acoustic",
    }
    every = [
        note["note"]
        for split in SPLITS
        for note in json.loads((folder / f"nsynth-{split}" / "examples.json").read_text()).values()
    ]
    assert sorted(every) == list(range(30))


def test_notes_last_four_seconds_and_fade_after_three(tiny: tuple[Path, Listing]) -> None:
    for clip in tiny[1].clips:
        waveform = read(clip.path)
        assert waveform.shape == (64_000,)
        held = np.abs(waveform[:48_000]).max()
        assert 0.002 < held <= 0.9001
        assert np.abs(waveform[-1_600:]).max() < 0.2 * held


def test_loudest_note_of_each_instrument_has_the_same_peak(tiny: tuple[Path, Listing]) -> None:
    peaks: dict[str, float] = {}
    for clip in tiny[1].clips:
        peak = float(np.abs(read(clip.path)).max())
        peaks[clip.speaker] = max(peak, peaks.get(clip.speaker, 0))
    assert list(peaks.values()) == pytest.approx([0.9] * 5, abs=1e-3)


def test_strongest_partial_is_a_harmonic_of_the_pitch(tiny: tuple[Path, Listing]) -> None:
    for clip in tiny[1].clips:
        tone = read(clip.path)[8_000:40_000]
        spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 1 << 17))
        # The organ has a stop that sounds an octave below its key.
        ratio = (
            np.argmax(spectrum) * 16_000 / (1 << 17) / 440 * 2 ** ((69 - int(clip.class_name)) / 12)
        )
        ratio *= 2
        assert abs(1_200 * np.log2(ratio / round(ratio))) < 20, clip.name


def test_number_of_workers_changes_nothing(tiny: tuple[Path, Listing], tmp_path: Path) -> None:
    other, _ = make_tiny(tmp_path / "notes", num_workers=3)
    assert manifest_of(other) == manifest_of(tiny[0])
    for clip in tiny[1].clips:
        again = other / clip.path.relative_to(tiny[0])
        assert again.read_bytes() == clip.path.read_bytes()


def test_manifest_describes_the_set(tiny: tuple[Path, Listing]) -> None:
    manifest = manifest_of(tiny[0])
    assert manifest["arguments"] == {"keys": [57, 68], "velocities": [50, 100]}
    assert (manifest["num_clips"], manifest["num_silent_dropped"]) == (30, 0)
    assert manifest["num_clips_of"] == {"train": 18, "valid": 6, "test": 6}
    assert len(manifest["instruments"]) == 5
    assert manifest["versions"]["bank"] == "TimGM6mb"


def test_cache_has_the_checksum_of_the_manifest(tiny: tuple[Path, Listing], tmp_path: Path) -> None:
    folder, listing = tiny
    waveforms = build_cache(tmp_path / "cache", lambda _: listing, remedy="")
    metadata = json.loads((tmp_path / "cache" / "metadata.json").read_text())
    assert metadata["samples_sha256"] == manifest_of(folder)["pcm_sha256"]
    assert [int(label) for label in waveforms.labels] == [
        int(clip.class_name) for clip in listing.clips
    ]


def test_silent_keys_are_dropped_and_counted(tmp_path: Path) -> None:
    # The bank's baritone saxophone ends at key 81.
    saxophone = next(one for one in INSTRUMENTS if one.program == 67)
    seen: list[tuple[str, int, int]] = []
    instrument_notes.generate(
        tmp_path / "notes",
        instruments=[saxophone],
        keys=range(76, 88),
        progress=lambda *now: seen.append(now),
    )
    manifest = manifest_of(tmp_path / "notes")
    assert manifest["num_silent_dropped"] > 0
    assert manifest["num_clips"] + manifest["num_silent_dropped"] == 6
    written = sorted(path.stem for path in (tmp_path / "notes").glob("*/audio/*.wav"))
    notes = json.loads((tmp_path / "notes" / "nsynth-train" / "examples.json").read_text())
    assert written == sorted(notes)
    assert len(written) == manifest["num_clips"]
    assert seen == [("render", 6, 6)]


def test_missing_package_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pretty_midi", None)
    with pytest.raises(DependencyError) as caught:
        instrument_notes.list_clips(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("""run 'pip install "clar-sweeps[demo]"'""")


def test_package_without_its_bank_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pretty_midi").mkdir()
    (tmp_path / "pretty_midi" / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "pretty_midi", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DependencyError, match=r"has no TimGM6mb\.sf2, expected .*; uninstall it"):
        instrument_notes.find_bank()


def test_bank_is_found_without_an_import() -> None:
    program = """
import sys
from clar_sweeps.data import folder, instrument_notes
from clar_sweeps.errors import DependencyError

try:
    instrument_notes.find_bank()
except DependencyError:
    pass
print(sorted({"pretty_midi", "soundfile", "soxr", "torch"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"[]\n"


def test_folder_that_cannot_be_written_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("a file")
    with pytest.raises(DataError) as caught:
        instrument_notes.generate(tmp_path / "notes", instruments=INSTRUMENTS[:1], keys=TINY_KEYS)
    assert "\n" not in str(caught.value)
    assert "cannot be written (Not a directory)" in str(caught.value)


def test_full_disk_is_reported_with_its_remedy(tmp_path: Path) -> None:
    message = instrument_notes._failure(tmp_path, OSError(errno.ENOSPC, "No space left on device"))
    assert message.startswith("instrument-notes: No space left on device; free 1 GB, or set CLAR_")


def test_failing_progress_ends_the_rendering(tmp_path: Path) -> None:
    def interrupt(phase: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        instrument_notes.generate(
            tmp_path / "notes", keys=TINY_KEYS, num_workers=1, progress=interrupt
        )
    assert len(list((tmp_path / "notes").glob("*/audio/*.wav"))) < 50
    assert not (tmp_path / "notes" / instrument_notes.MANIFEST).exists()
