"""Splits of a user's own recordings: taken as given, drawn by a hash where they are not."""

import hashlib
import logging
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.data.waveforms import SPLITS, ClipFile, Split
from clar_sweeps.errors import DataError

logger = logging.getLogger(__name__)

# As others call them.
SPLIT_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
TRAIN_SHARE, VALID_SHARE = 0.8, 0.1
_MAX_FAULTS = 10


class Recording(NamedTuple):
    """One recording of a user.

    Attributes:
        place: Where it is named, for messages.
        path: The file.
        name: Unique; its path below the folder or as in the manifest.
        class_name: Its label.
        split: None where the user names none.
        speaker: None where the user names none.
    """

    place: str
    path: Path
    name: str
    class_name: str
    split: Split | None
    speaker: str | None

    @property
    def group(self) -> str:
        """Return what must not be torn apart: the speaker, else the recording itself."""
        return self.name if self.speaker is None else self.speaker


def raise_faults(faults: list[str]) -> None:
    """Raise all faults as one DataError of at most ten lines and a count, if there are any."""
    if faults:
        rest = len(faults) - _MAX_FAULTS
        more = [f"and {rest} more"] if rest > 0 else []
        raise DataError("\n".join(faults[:_MAX_FAULTS] + more))


def fill_splits(recordings: list[Recording], *, place: Path) -> list[ClipFile]:
    """Give each recording a split.

    A split that the user names stands. Recordings without one follow their speaker where that
    one's split is named; the others are drawn, whole speakers at a time: 80 % for training, 10 %
    each for validation and test. The hash of its name alone draws a group, so that a recording
    more or less moves no other. Only where a split is left without a class, the group of
    that class that came nearest to it is moved there. Where the user names splits but not all
    three, the others are drawn for training and the splits that are not named; where nothing is
    left to draw from, from what is for training.

    Args:
        recordings: With unique names.
        place: For messages.

    Returns:
        Sorted by name; where no speaker is named, the recording is its own.

    Raises:
        DataError: a class cannot be in all splits that are drawn, or is not in training.
    """
    recordings = _follow_speakers(recordings)
    allowed = _to_draw(recordings, place)
    if allowed:
        source = None if any(one.split is None for one in recordings) else "train"
        drawn = [one for one in recordings if one.split == source]
        fixed = [one for one in recordings if one.split != source]
        split_of = _draw(drawn, fixed, allowed, place)
        recordings = fixed + [one._replace(split=split_of[one.group]) for one in drawn]
    _check_given(recordings, place)
    clips = []
    for one in sorted(recordings, key=lambda one: one.name):
        assert one.split is not None
        clips.append(
            ClipFile(one.path, one.name, one.class_name, one.speaker or one.name, one.split)
        )
    counts = Counter(clip.split for clip in clips)
    logger.info("%s: %s", place, ", ".join(f"{counts[split]} {split}" for split in SPLITS))
    return clips


def _follow_speakers(recordings: list[Recording]) -> list[Recording]:
    known: dict[str, Split] = {}
    for one in recordings:
        if one.speaker is not None and one.split is not None:
            known.setdefault(one.speaker, one.split)
    return [
        one._replace(split=known.get(one.speaker)) if one.speaker and not one.split else one
        for one in recordings
    ]


def _to_draw(recordings: list[Recording], place: Path) -> tuple[Split, ...]:
    """Splits among which recordings are drawn; none where the user has named all."""
    given = {one.split for one in recordings}
    held_out = [split for split in SPLITS if split not in given and split != "train"]
    if None in given:
        drawn: tuple[Split, ...] = ("train", *held_out)
        drawn = SPLITS if given.issuperset(SPLITS) else drawn
        logger.info("%s: recordings without a split are drawn for %s", place, ", ".join(drawn))
        return drawn
    if "train" not in given:
        raise DataError(
            f"{place}: no recording is in split train, expected some; name the split train or "
            "leave the splits out"
        )
    if held_out:
        logger.info("%s: %s is drawn from train", place, " and ".join(held_out))
    return ("train", *held_out) if held_out else ()


def _draw(
    drawn: list[Recording], fixed: list[Recording], allowed: tuple[Split, ...], place: Path
) -> dict[str, Split]:
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for one in drawn:
        groups[one.group][one.class_name] += 1
    split_of = {group: _by_hash(group, allowed) for group in groups}
    held: dict[Split, Counter[str]] = {split: Counter() for split in SPLITS}
    for one in fixed:
        assert one.split is not None
        held[one.split][one.class_name] += 1
    for group, classes in groups.items():
        held[split_of[group]].update(classes)

    def can_leave(group: str) -> bool:
        return all(held[split_of[group]][name] > count for name, count in groups[group].items())

    faults = []
    # From the end of the unit interval, where the test split lies, down: nearest first.
    nearest = sorted(groups, key=_fraction, reverse=True)
    for class_name in sorted({one.class_name for one in drawn}):
        of_class = [group for group in nearest if class_name in groups[group]]
        for split in reversed(allowed):
            if held[split][class_name]:
                continue
            others = sorted(of_class, key=lambda group: split_of[group] != "train")
            mover = next((group for group in others if can_leave(group)), None)
            if mover is None:
                faults.append(_lacking(place, class_name, len(of_class), allowed))
                break
            held[split_of[mover]].subtract(groups[mover])
            held[split].update(groups[mover])
            split_of[mover] = split
    raise_faults(faults)
    return split_of


def _fraction(group: str) -> float:
    """Number in [0, 1) that only the group's name decides, however its letters are composed."""
    normal = unicodedata.normalize("NFC", group).encode()
    return int.from_bytes(hashlib.sha256(normal).digest()[:6], "big") / 2**48


def _by_hash(group: str, allowed: Iterable[Split]) -> Split:
    fraction = _fraction(group)
    split: Split = "test"
    if fraction < TRAIN_SHARE + VALID_SHARE:
        split = "train" if fraction < TRAIN_SHARE else "valid"
    return split if split in allowed else "train"


def _lacking(place: Path, class_name: str, num_groups: int, allowed: tuple[Split, ...]) -> str:
    return (
        f"{place}: class '{class_name}' has {num_groups} speakers or recordings, too few to draw "
        f"{', '.join(allowed)}, expected one each at least; add some, or name the splits yourself"
    )


def _check_given(recordings: list[Recording], place: Path) -> None:
    classes = {split: {r.class_name for r in recordings if r.split == split} for split in SPLITS}
    everywhere = sorted(set().union(*classes.values()))
    raise_faults(
        [
            f"{place}: class '{name}' has no recording in split train, expected some; add them or "
            "leave the class out"
            for name in everywhere
            if name not in classes["train"]
        ]
    )
    for split in ("valid", "test"):
        if lacking := [name for name in everywhere if name not in classes[split]]:
            logger.warning("%s: %s lacks %d classes: %s", place, split, len(lacking), lacking[:10])
    splits_of: dict[str, set[Split | None]] = defaultdict(set)
    for one in recordings:
        if one.speaker is not None:
            splits_of[one.speaker].add(one.split)
    if torn := sorted(speaker for speaker, splits in splits_of.items() if len(splits) > 1):
        logger.warning(
            "%s: %d of %d speakers are in two splits or more (%s first), so results do not speak "
            "of unseen speakers",
            place,
            len(torn),
            len(splits_of),
            torn[0],
        )
