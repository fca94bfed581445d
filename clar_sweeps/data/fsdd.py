"""Free Spoken Digit Dataset: ten digits, six speakers, 8 kHz; two speakers are held out."""

import logging
import re
from pathlib import Path

from clar_sweeps.data.archive import Archive
from clar_sweeps.data.decoding import SAMPLE_RATE
from clar_sweeps.data.speech_commands_layout import DIGITS
from clar_sweeps.data.waveforms import ClipFile, Listing, Split
from clar_sweeps.errors import DataError

CLIP_LENGTH = SAMPLE_RATE
LAYOUT = "recordings/DIGIT_SPEAKER_INDEX.wav"

# Six speakers; v1.0.9 has five in 11,975,353 bytes. Its checksum is not published.
ARCHIVE = Archive(
    url="https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.10.tar.gz",
    file_name="free-spoken-digit-dataset-1.0.10.tar.gz",
    num_bytes=15_000_000,
    checksum=None,
    unpacked_bytes=30_000_000,
)

logger = logging.getLogger(__name__)

# Lucas is the speaker that the others help least with, so the test leaves room above.
_HELD_OUT = ("lucas", "theo")
_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<index>\d+)")


def list_clips(folder: Path) -> Listing:
    """Find the recordings and hold out one speaker for testing, one for validation.

    The dataset's own split (index 0-4 for testing) has the same speakers on both sides, and a
    small network reaches 100 % on it. Here lucas is the test speaker and theo the validation
    speaker. Where lucas is missing, as in older tags, theo is the test speaker; where one or both
    are missing, the last other names in alphabetical order take the places that are left.

    Clips are one second: of the recordings, 0.14 to 2.28 s long, the few longer ones lose
    their end. They are resampled from 8 kHz, so nothing lies above 4 kHz.

    Args:
        folder: Holds `recordings/`.

    Raises:
        DataError: no recordings, a name that is not of the layout, or fewer than three
            speakers.

    Source: github.com/Jakobovski/free-spoken-digit-dataset, README.
    """
    paths = sorted((folder / "recordings").glob("*.wav"))
    if not paths:
        raise DataError(
            f"fsdd: no recordings in {folder}, expected {LAYOUT}; unpack the dataset's archive "
            "there"
        )
    names = [_parse(path) for path in paths]
    split_of = split_speakers({name["speaker"] for name in names})
    if any(speaker not in split_of for speaker in _HELD_OUT):
        held_out = {split: speaker for speaker, split in split_of.items() if split != "train"}
        logger.warning(
            "fsdd: not all of %s are there; %s is held out for test, %s for validation",
            " and ".join(_HELD_OUT),
            held_out["test"],
            held_out["valid"],
        )
    clips = [
        ClipFile(
            path=path,
            name=path.name,
            class_name=DIGITS[int(name["digit"])],
            speaker=name["speaker"],
            split=split_of[name["speaker"]],
        )
        for path, name in zip(paths, names, strict=True)
    ]
    return Listing(clips, clip_length=CLIP_LENGTH, required_sample_rate=None)


def split_speakers(speakers: set[str]) -> dict[str, Split]:
    """Give each speaker a split: one for testing, one for validation, the others for training.

    Raises:
        DataError: fewer than three speakers.
    """
    if len(speakers) < 3:
        raise DataError(
            f"fsdd: recordings of {len(speakers)} speakers ({', '.join(sorted(speakers))}), "
            "expected at least 3 to hold one out each for validation and test; "
            "use tag v1.0.8 or later of the dataset"
        )
    preferred = [speaker for speaker in _HELD_OUT if speaker in speakers]
    others = sorted(speakers - set(_HELD_OUT), reverse=True)
    test, valid, *train = preferred + others
    split_of: dict[str, Split] = dict.fromkeys(train, "train")
    return split_of | {test: "test", valid: "valid"}


def _parse(path: Path) -> re.Match[str]:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise DataError(
            f"clip {path}: name is '{path.name}', expected DIGIT_SPEAKER_INDEX.wav; "
            "rename or delete the file"
        )
    return match
