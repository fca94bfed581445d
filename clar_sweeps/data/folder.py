"""A user's own recordings: a folder a class, or a CSV that lists them."""

import logging
import math
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clar_sweeps.data.decoding import SAMPLE_RATE
from clar_sweeps.data.folder_manifest import read_manifest
from clar_sweeps.data.folder_splits import SPLIT_NAMES, Recording, fill_splits, raise_faults
from clar_sweeps.data.waveforms import Listing
from clar_sweeps.errors import DataError

logger = logging.getLogger(__name__)

LAYOUT = "CLASS/*.wav, or {train,valid,test}/CLASS/*.wav, or manifest.csv with path,label"
MANIFEST = "manifest.csv"
# What libsndfile reads and says the sample rate of.
SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("aif", "aifc", "aiff", "au", "caf", "flac", "mp3", "oga", "ogg", "opus", "rf64"),
        *("snd", "voc", "w64", "wav", "wave"),
    )
)
LONGEST_SECONDS = 10.0
# Where the user chooses: longer ones are a slip of the keyboard.
MOST_CLIP_SECONDS = 600.0
_COVERED_SHARE = 0.95
_STEP_SECONDS = 0.1
_HIDDEN = "hidden"
_NUM_NAMED = 3


def list_clips(path: Path, *, clip_seconds: float | None = None) -> Listing:
    """Find a user's recordings, their classes and splits.

    Three forms: `path/CLASS/**/*.wav`; `path/SPLIT/CLASS/**/*.wav`, where all folders that hold
    recordings are named train, valid or test (or val, validation, dev, training, testing); or
    the list `path/manifest.csv`, or any `path` that ends in .csv: see `read_manifest`. Splits
    that are not named are drawn: see `fill_splits`. Hidden files are passed over, and so are
    files of other kinds, recordings in no class folder, and what is longer than a clip, of which
    a warning tells how many there are.

    Args:
        path: A folder or a CSV.
        clip_seconds: Length of each clip; a shorter recording is padded and a longer one clipped,
            both on the right. None takes the length that 95 % of the recordings do not exceed,
            rounded up to 0.1 s, at most 10 s.

    Returns:
        Clips sorted by name; recordings of any sample rate are resampled.

    Raises:
        DataError: nothing is found, faults of the list or of recordings (all together, up to ten
            lines), fewer than two classes, or a class that is lacking in a split.
    """
    check_clip_seconds(clip_seconds)
    path = path.expanduser()
    manifest = path if path.suffix.lower() == ".csv" else path / MANIFEST
    if manifest.is_file() or manifest == path:
        recordings, faults = read_manifest(manifest)
    else:
        recordings, faults = _find(path), []
        if not recordings:
            raise DataError(
                f"{path}: holds no recordings, expected at least 2 classes; the layout is {LAYOUT}"
            )
    seconds, unreadable = _measure(recordings)
    raise_faults(faults + unreadable)
    classes = sorted({one.class_name for one in recordings})
    if len(classes) < 2:
        raise DataError(
            f"{path}: {len(recordings)} recordings of {len(classes)} classes {classes}, expected "
            f"at least 2 classes; the layout is {LAYOUT}"
        )
    length = clip_seconds if clip_seconds is not None else _choose_seconds(seconds, path)
    _warn_of_cut_ends(seconds, length, path)
    clips = fill_splits(recordings, place=path)
    return Listing(clips, clip_length=round(length * SAMPLE_RATE), required_sample_rate=None)


def check_clip_seconds(clip_seconds: float | None) -> None:
    """Refuse a length of clips that none can have.

    Raises:
        DataError: it is no number, shorter than a sample, or longer than `MOST_CLIP_SECONDS`.
    """
    # Written so that NaN, which compares false, is refused.
    if clip_seconds is not None and not 1 / SAMPLE_RATE <= clip_seconds <= MOST_CLIP_SECONDS:
        raise DataError(
            f"clip_seconds: {clip_seconds:g} is not a positive length up to "
            f"{MOST_CLIP_SECONDS:g} s; correct it"
        )


def _find(folder: Path) -> list[Recording]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder, expected {LAYOUT}; correct the path")
    passed_over: Counter[str] = Counter()
    num_loose = 0
    files = sorted(_sound_files(folder, passed_over))
    tops = {file.parts[0] for file in files if len(file.parts) > 1}
    named = {top for top in tops if top.lower() in SPLIT_NAMES}
    # A class may be called "test": it then holds recordings and no folders.
    with_classes = {file.parts[0] for file in files if file.parts[0] in named and file.parts[2:]}
    if with_classes and named != tops:
        raise DataError(
            f"{folder}: '{min(with_classes)}' is a split that holds classes, "
            f"'{min(tops - named)}' is none, expected folders of one kind; put each class below a "
            "split, or no class"
        )
    depth = 1 if tops and named == tops else 0
    recordings = []
    for file in files:
        if len(file.parts) < depth + 2:
            num_loose += 1
            continue
        name = unicodedata.normalize("NFC", file.as_posix())
        recordings.append(
            Recording(
                place=f"clip {folder / file}",
                path=folder / file,
                name=name,
                class_name=name.split("/")[depth],
                split=SPLIT_NAMES[file.parts[0].lower()] if depth else None,
                speaker=None,
            )
        )
    _tell_passed_over(folder, passed_over)
    if num_loose and not recordings:
        raise DataError(
            f"{folder}: {num_loose} recordings lie in no class folder, expected {LAYOUT}; put each "
            "into a folder that is named as its class"
        )
    if num_loose:
        logger.warning(
            "%s: passed over %d recordings that lie in no class folder", folder, num_loose
        )
    return recordings


def _tell_passed_over(folder: Path, passed_over: Counter[str]) -> None:
    if num_hidden := passed_over.pop(_HIDDEN, 0):
        logger.info("%s: passed over %d files, hidden", folder, num_hidden)
    if passed_over:
        endings = [ending for ending, _ in passed_over.most_common(_NUM_NAMED)]
        more = ["…"] if len(passed_over) > _NUM_NAMED else []
        logger.warning(
            "%s: passed over %d files because of their kind (%s)",
            folder,
            passed_over.total(),
            ", ".join(endings + more),
        )


def _sound_files(folder: Path, passed_over: Counter[str]) -> Iterator[Path]:
    """Sound files below a folder, relative to it; links to folders are followed.

    What is passed over is counted, by the ending of its name.
    """
    visited = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:  # A link that leads back up.
            folders.clear()
            continue
        visited.add(real)
        # __MACOSX holds what a Mac adds to an archive.
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in files:
            if name.startswith("."):
                passed_over[_HIDDEN] += 1
            elif (ending := Path(name).suffix.lower()) not in SUFFIXES:
                passed_over[ending or "no ending"] += 1
            else:
                yield (Path(parent) / name).relative_to(folder)


def _measure(recordings: list[Recording]) -> tuple[list[float], list[str]]:
    """Durations in seconds from the files' heads, and a line for each file that has none."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        heads = list(pool.map(_read_head, (one.path for one in recordings)))
    seconds = [head for head in heads if isinstance(head, float)]
    faults = [
        f"{one.place}: {head}, expected a sound file; restore or delete it"
        for one, head in zip(recordings, heads, strict=True)
        if isinstance(head, str)
    ]
    return seconds, faults


def _read_head(path: Path) -> float | str:
    import soundfile

    try:
        head = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = " ".join(str(getattr(error, "error_string", error)).split())
        return f"cannot be decoded ({reason.rstrip('.')})"
    return float(head.duration) if head.frames > 0 else "holds 0 samples"


def _warn_of_cut_ends(seconds: list[float], clip_seconds: float, path: Path) -> None:
    # Less than a sample is no end.
    if num_longer := sum(one > clip_seconds + 1 / SAMPLE_RATE for one in seconds):
        logger.warning(
            "%s: %d of %d recordings are longer than the clips of %g s and lose their end; the "
            "longest has %.2f s",
            path,
            num_longer,
            len(seconds),
            clip_seconds,
            max(seconds),
        )


def _choose_seconds(seconds: list[float], path: Path) -> float:
    ordered = sorted(seconds)
    covering = ordered[math.ceil(_COVERED_SHARE * len(ordered)) - 1]
    # Less a hair, so that 1.1 s stays 1.1 s.
    rounded = math.ceil(covering / _STEP_SECONDS - 1e-6) * _STEP_SECONDS
    chosen = min(max(rounded, _STEP_SECONDS), LONGEST_SECONDS)
    logger.info(
        "%s: clips are %.1f s; %d of %d recordings (%.2f to %.2f s) are longer and lose their end",
        path,
        chosen,
        sum(one > chosen + 1e-6 for one in seconds),
        len(seconds),
        ordered[0],
        ordered[-1],
    )
    return chosen
