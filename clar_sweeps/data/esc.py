"""Environmental sounds: ESC-10 and ESC-50, 5 s clips in five folds."""

import csv
import hashlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.data.archive import Archive
from clar_sweeps.data.decoding import SAMPLE_RATE
from clar_sweeps.data.waveforms import ClipFile, Listing, Split
from clar_sweeps.errors import DataError

CLIP_LENGTH = 5 * SAMPLE_RATE
INDEX = "meta/esc50.csv"
LAYOUT = f"{INDEX} and audio/FOLD-CLIP-TAKE-TARGET.wav (or .ogg)"
TEST_FOLD = 5
VALID_FRACTION = 0.2
_COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file")

# md5 as in soundata and HEAR 2021; the size is approximate, GitHub makes the archive when asked.
ARCHIVE = Archive(
    url="https://github.com/karolpiczak/ESC-50/archive/master.zip",
    file_name="ESC-50-master.zip",
    num_bytes=616_000_000,
    checksum="md5:7771e4b9d86d0945acce719c7a59305a",
    is_fixed=False,
    unpacked_bytes=900_000_000,
)


class Row(NamedTuple):
    """One line of the index."""

    filename: str
    fold: int
    category: str
    src_file: str


def list_esc10(folder: Path) -> Listing:
    """Find the 400 clips of ESC-10; see `list_esc50` for splits and errors."""
    return _list(folder, name="esc10", num_classes=10)


def list_esc50(folder: Path) -> Listing:
    """Find the 2,000 clips of ESC-50.

    Fold 5 is for testing, as in the paper. The paper has no validation set: here it is carved out
    of folds 1-4, about a fifth of each class (`choose_validation`), and the rest trains.

    Args:
        folder: Holds `meta/esc50.csv` and `audio/`, whose files end in .wav or .ogg whatever the
            index says.

    Returns:
        Clips of 5 s, sorted by name; the speaker is the recording that a clip was cut from.

    Raises:
        DataError: the index or a clip is missing, a column, a number or a class is, or a
            recording is in fold 5 and in another.

    Source: github.com/karolpiczak/ESC-50; CLAR (arXiv:2010.09542), section 3.1.
    """
    return _list(folder, name="esc50", num_classes=50)


def _list(folder: Path, *, name: str, num_classes: int) -> Listing:
    rows = _read_index(folder / INDEX, esc10_only=name == "esc10")
    if (found := len({row.category for row in rows})) != num_classes:
        raise DataError(
            f"{folder / INDEX}: {found} classes of {name}, expected {num_classes}; unpack the "
            "archive of ESC-50 there"
        )
    _check_folds(folder / INDEX, rows)
    valid = choose_validation([row for row in rows if row.fold != TEST_FOLD])
    paths = _sound_files(folder / "audio", rows)
    clips = []
    for row in sorted(rows):
        split: Split = "train"
        if row.fold == TEST_FOLD:
            split = "test"
        elif row.src_file in valid:
            split = "valid"
        path = paths[row.filename]
        clips.append(ClipFile(path, path.name, row.category, row.src_file, split))
    return Listing(clips, clip_length=CLIP_LENGTH, required_sample_rate=None)


def choose_validation(rows: list[Row]) -> set[str]:
    """Choose recordings to hold out of training, about a fifth of the clips of each class.

    All clips of one recording go together. The order is that of a hash of the recording's
    number, so the choice depends neither on the order of the rows nor on a seed. A recording is
    taken as long as none of its classes gets more than its fifth.

    Args:
        rows: Clips of the training folds.

    Returns:
        The `src_file` of the chosen recordings.
    """
    classes_of: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        classes_of[row.src_file][row.category] += 1
    totals = sum(classes_of.values(), Counter[str]())
    room = Counter({name: round(VALID_FRACTION * total) for name, total in totals.items()})
    chosen = set()
    for recording in sorted(classes_of, key=_spread):
        counts = classes_of[recording]
        if all(count <= room[name] for name, count in counts.items()):
            chosen.add(recording)
            room.subtract(counts)
    return chosen


def _spread(recording: str) -> str:
    return hashlib.sha256(recording.encode()).hexdigest()


def _read_index(path: Path, *, esc10_only: bool) -> list[Row]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"{path}: cannot be read ({error}), expected the index of ESC-50; unpack the "
            "dataset's archive there"
        ) from error
    rows = []
    for number, line in enumerate(lines, start=2):
        if any(not line.get(column) for column in _COLUMNS) or not line["fold"].isdigit():
            raise DataError(
                f"{path}: line {number} lacks a value, expected {', '.join(_COLUMNS)} with fold "
                "a number; restore the file from the dataset's archive"
            )
        if not esc10_only or line["esc10"] == "True":
            fold = int(line["fold"])
            rows.append(Row(line["filename"], fold, line["category"], line["src_file"]))
    return rows


def _check_folds(path: Path, rows: list[Row]) -> None:
    test = {row.src_file for row in rows if row.fold == TEST_FOLD}
    train = {row.src_file for row in rows if row.fold != TEST_FOLD}
    if both := sorted(test & train):
        raise DataError(
            f"{path}: recording {both[0]} is in fold {TEST_FOLD} and in another, expected in one; "
            "restore the file from the dataset's archive"
        )


def _sound_files(folder: Path, rows: list[Row]) -> dict[str, Path]:
    """Path of each clip, by the name that the index gives it."""
    present = {path.stem: path for path in sorted(folder.glob("*")) if path.suffix in _SUFFIXES}
    missing = sorted(row.filename for row in rows if Path(row.filename).stem not in present)
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} of {len(rows)} clips of {INDEX} are missing, the first is "
            f"{missing[0]}; unpack the dataset's archive there"
        )
    return {row.filename: present[Path(row.filename).stem] for row in rows}


_SUFFIXES = (".ogg", ".wav")
