"""NSynth: single notes of instruments, 4 s; by family (11) or by pitch (128), from one cache."""

import json
import os
import re
from pathlib import Path
from typing import Any

from clar_sweeps.data.archive import Archive
from clar_sweeps.data.decoding import SAMPLE_RATE
from clar_sweeps.data.waveforms import SPLITS, ClipFile, Listing
from clar_sweeps.errors import DataError

CLIP_LENGTH = 4 * SAMPLE_RATE
LAYOUT = "nsynth-{train,valid,test}/examples.json and nsynth-{train,valid,test}/audio/NOTE.wav"
FAMILIES = (
    *("bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string"),
    *("synth_lead", "vocal"),
)
PITCHES = tuple(f"{pitch:03d}" for pitch in range(128))
_NOTE = re.compile(
    rf"(?P<instrument>(?P<family>{'|'.join(FAMILIES)})_(?:acoustic|electronic|synthetic)_\d{{3}})"
    r"-(?P<pitch>\d{3})-(?P<velocity>\d{3})"
)
_NOTE_FORM = "FAMILY_SOURCE_III-PPP-VVV"

# md5 as in HEAR 2021; the three together are 25,233,566,634 bytes (Hugging Face's card).
_URL = "http://download.magenta.tensorflow.org/datasets/nsynth/nsynth-{split}.jsonwav.tar.gz"
ARCHIVES = tuple(
    Archive(
        url=_URL.format(split=split),
        file_name=f"nsynth-{split}.jsonwav.tar.gz",
        num_bytes=num_bytes,
        checksum=f"md5:{md5}",
        unpacked_bytes=num_notes * (128_044 + 450),
    )
    for split, md5, num_bytes, num_notes in (
        ("train", "fde6665a93865503ba598b9fac388660", 23_840_000_000, 289_205),
        ("valid", "87e94a00a19b6dbc99cf6d4c0c0cae87", 1_044_000_000, 12_678),
        ("test", "5e6f8719bf7e16ad0a00d518b78af77d", 349_500_000, 4_096),
    )
)


def list_clips(folder: Path) -> Listing:
    """Find the notes of the three splits; their classes are pitches.

    The speaker is the instrument. No instrument of training is in validation or test; those two
    may share some.

    Args:
        folder: Holds `nsynth-train/`, `nsynth-valid/` and `nsynth-test/`.

    Returns:
        Clips of 4 s, sorted by name within each split; files must be 16 kHz.

    Raises:
        DataError: a split or a note is missing, a name is not of the layout, examples.json
            tells another pitch, family or instrument than the name, or an instrument of training
            is in another split.

    Source: NSynth (arXiv:1704.01279); magenta.tensorflow.org/datasets/nsynth.
    """
    missing = [f"nsynth-{s}" for s in SPLITS if not (folder / f"nsynth-{s}").is_dir()]
    if missing:
        raise DataError(
            f"nsynth: no {', '.join(missing)} in {folder}, expected all of nsynth-train, "
            "nsynth-valid and nsynth-test; unpack the missing archives there"
        )
    clips = []
    for split in SPLITS:
        part = folder / f"nsynth-{split}"
        for note in _notes(part):
            path = part / "audio" / f"{note[0]}.wav"
            clips.append(ClipFile(path, note[0], note["pitch"], note["instrument"], split))
    _check_instruments(folder, clips)
    return Listing(
        clips, clip_length=CLIP_LENGTH, required_sample_rate=SAMPLE_RATE, class_names=PITCHES
    )


def family_of(note: str) -> str:
    """Family of a note's name: "bass" of "bass_synthetic_068-049-025"."""
    return _parse(note, note)["family"]


def pitch_of(note: str) -> str:
    """MIDI pitch of a note's name: "049" of "bass_synthetic_068-049-025"."""
    return _parse(note, note)["pitch"]


def _check_instruments(folder: Path, clips: list[ClipFile]) -> None:
    trained = {clip.speaker for clip in clips if clip.split == "train"}
    for clip in clips:
        if clip.split != "train" and clip.speaker in trained:
            raise DataError(
                f"{folder}: instrument {clip.speaker} is in train and in {clip.split}, expected "
                "in one of the two; unpack the dataset's archives again"
            )


def _parse(note: str, place: object) -> re.Match[str]:
    match = _NOTE.fullmatch(note)
    if match is None or match["pitch"] not in PITCHES:
        raise DataError(
            f"{place}: note is named '{note}', expected {_NOTE_FORM} with a family of "
            f"{', '.join(FAMILIES)} and a pitch up to 127; restore it from the dataset's archive"
        )
    return match


def _notes(part: Path) -> list[re.Match[str]]:
    """Names of one split's notes, parsed, after a comparison with examples.json and audio/."""
    index = part / "examples.json"
    examples = _read_examples(index)
    notes = []
    for name in sorted(examples):
        note = _parse(name, index)
        told, expected = examples[name], (int(note["pitch"]), note["family"], note["instrument"])
        if told != expected:
            raise DataError(
                f"{index}: '{name}' has pitch, family and instrument {told}, expected {expected} "
                "as in its name; restore the file from the dataset's archive"
            )
        notes.append(note)
    _check_audio(part / "audio", examples.keys(), index)
    return notes


def _read_examples(index: Path) -> dict[str, tuple[Any, ...]]:
    """Pitch, family and instrument by note."""

    def shorten(value: dict[str, Any]) -> Any:
        # Called for each note as it is read: of 289,205 notes all fields would take a gigabyte.
        if "instrument_family_str" not in value:
            return value
        return value.get("pitch"), value["instrument_family_str"], value.get("instrument_str")

    try:
        examples = json.loads(index.read_text(encoding="utf-8"), object_hook=shorten)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{index}: cannot be read ({reason}), expected the split's list of notes; restore it "
            "from the dataset's archive"
        ) from error
    if not isinstance(examples, dict) or not examples:
        raise DataError(f"{index}: holds no notes, expected some; restore it from the archive")
    return examples


def _check_audio(folder: Path, names: Any, index: Path) -> None:
    present = {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()
    missing = sorted(name for name in names if f"{name}.wav" not in present)
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} of {len(names)} notes of {index.name} are missing, the "
            f"first is {missing[0]}.wav; unpack the dataset's archive again"
        )
