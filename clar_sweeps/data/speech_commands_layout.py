"""Folders in the layout of Speech Commands: `WORD/SPEAKER_nohash_TAKE.wav` and two lists."""

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

from clar_sweeps.data.decoding import SAMPLE_RATE
from clar_sweeps.data.waveforms import ClipFile, Listing, Split
from clar_sweeps.errors import DataError

VALIDATION_LIST = "validation_list.txt"
TESTING_LIST = "testing_list.txt"
CLIP_LENGTH = SAMPLE_RATE
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SEPARATOR = "_nohash_"


def list_clips(folder: Path, *, words: Collection[str] | None = None) -> Listing:
    """Find the recordings of a Speech Commands folder and their splits.

    A recording in neither list is for training. The lists may name recordings that are not
    there. Where both lists are absent, `split_of_speaker` decides as they do. Folders that begin
    with an underscore (`_background_noise_`) hold no words.

    Args:
        folder: Holds a folder a word and the two lists, or neither list.
        words: The words to take; None takes all.

    Returns:
        Clips of one second, sorted by name; files must be 16 kHz.

    Raises:
        DataError: one list or a word is missing, a name is not of the layout, a recording is in
            both lists, or a speaker in two splits.

    Source: Speech Commands (arXiv:1804.03209), section 7.
    """
    split_of = _split_of_lists(folder)
    clips = []
    for word in _word_folders(folder, words):
        for path in sorted((folder / word).glob("*.wav")):
            name, speaker = f"{word}/{path.name}", _speaker(path)
            clips.append(ClipFile(path, name, word, speaker, split_of(name, speaker)))
    if not clips:
        raise DataError(
            f"{folder}: no recordings found, expected WORD/SPEAKER{_SEPARATOR}TAKE.wav; "
            "unpack the dataset's archive there"
        )
    _check_speakers(folder, clips)
    return Listing(clips, clip_length=CLIP_LENGTH, required_sample_rate=SAMPLE_RATE)


def split_of_speaker(speaker: str) -> Split:
    """Return the split that the dataset's authors gave a speaker: a tenth each held out.

    Source: Speech Commands, README.md, `which_set`; agrees with all official lists.
    """
    # Not for secrecy: the hash spreads the speakers evenly.
    spread = int(hashlib.sha1(speaker.encode(), usedforsecurity=False).hexdigest(), 16)
    percent = spread % 2**27 * 100 / (2**27 - 1)
    return "valid" if percent < 10 else "test" if percent < 20 else "train"


def _split_of_lists(folder: Path) -> Callable[[str, str], Split]:
    """Split of a recording's name and speaker."""
    if not any((folder / name).exists() for name in (VALIDATION_LIST, TESTING_LIST)):
        return lambda _, speaker: split_of_speaker(speaker)
    valid, test = _read_list(folder / VALIDATION_LIST), _read_list(folder / TESTING_LIST)
    if both := sorted(valid & test):
        raise DataError(
            f"{folder}: '{both[0]}' is in {VALIDATION_LIST} and in {TESTING_LIST}, expected in "
            "one at most; restore the lists from the dataset's archive"
        )
    return lambda name, _: "valid" if name in valid else "test" if name in test else "train"


def _read_list(path: Path) -> set[str]:
    try:
        return set(path.read_text(encoding="utf-8").split())
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read, expected the dataset's list of recordings; "
            "unpack the dataset's archive there"
        ) from error


def _word_folders(folder: Path, words: Collection[str] | None) -> list[str]:
    present = {path.name for path in folder.iterdir() if path.is_dir()}
    if words is None:
        return sorted(name for name in present if not name.startswith(("_", ".")))
    if missing := sorted(set(words) - present):
        raise DataError(
            f"{folder}: no folder '{missing[0]}', expected one a word; "
            "unpack the dataset's archive there"
        )
    return sorted(words)


def _speaker(path: Path) -> str:
    speaker, separator, take = path.stem.partition(_SEPARATOR)
    if not (speaker and separator and take):
        raise DataError(
            f"clip {path}: name is '{path.name}', expected SPEAKER{_SEPARATOR}TAKE.wav; "
            "rename or delete the file"
        )
    return speaker


def _check_speakers(folder: Path, clips: list[ClipFile]) -> None:
    split_of: dict[str, Split] = {}
    for clip in clips:
        first = split_of.setdefault(clip.speaker, clip.split)
        if first != clip.split:
            raise DataError(
                f"{folder}: speaker {clip.speaker} is in {first} and in {clip.split}, expected "
                "in one split; restore the lists from the dataset's archive"
            )
