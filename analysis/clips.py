"""How many clips a dataset of the paper has, and which trials saw fewer of them."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

SPLITS = ("train", "valid", "test")
COLUMNS = tuple(f"{split}_clips" for split in SPLITS)


class Clips(NamedTuple):
    """How many clips the splits of a trial held; None where the record does not say."""

    train: int | None
    valid: int | None
    test: int | None


# By our names of the paper's datasets, as their publishers split them.
_OFFICIAL = {
    "sc10": {"training": 18_620, "validation": 2_494, "test": 2_552},
    "sc35": {"training": 84_843, "validation": 9_981, "test": 11_005},
    "nsynth11": {"training": 289_205, "validation": 12_678, "test": 4_096},
    "nsynth128": {"training": 289_205, "validation": 12_678, "test": 4_096},
    # ESC has folds alone: validation is carved out of training here, so both count together.
    "esc10": {"training and validation": 320, "test": 80},
    "esc50": {"training and validation": 1_600, "test": 400},
}


class Shortfall(NamedTuple):
    """A split of which some trials saw fewer clips than its publisher put there."""

    split: str
    ours: tuple[int, ...]
    official: int
    in_part: bool  # some of the trials saw all


def clips_in(provenance: Mapping[str, Any]) -> Clips:
    """What a record says of its clips; nothing in one written before it was counted."""
    entry = provenance.get("clips")
    counts = entry if isinstance(entry, Mapping) else {}
    return Clips(*(_count(counts.get(split)) for split in SPLITS))


def _count(value: Any) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 0 <= value < 2**63 else None


def clips_of(rows: Iterable[Mapping[Hashable, Any]]) -> dict[str, list[Clips]]:
    """The distinct numbers of clips of trials, rows of a frame taken apart, by dataset."""
    found: dict[str, dict[Clips, None]] = {}
    for row in rows:
        counts = Clips(*(row[name] for name in COLUMNS))
        found.setdefault(str(row["dataset"]), {})[counts] = None
    return {dataset: list(counts) for dataset, counts in found.items()}


def shortfalls(dataset: str, found: Sequence[Clips]) -> list[Shortfall]:
    """The splits of which trials saw a part; none for what the paper does not have."""
    short = []
    for split, official in _OFFICIAL.get(dataset, {}).items():
        counts = [count for clips in found if (count := _of_split(clips, split)) is not None]
        fewer = dict.fromkeys(count for count in counts if count < official)
        if fewer:
            in_part = any(count >= official for count in counts)
            short.append(Shortfall(split, tuple(fewer), official, in_part))
    return short


def _of_split(clips: Clips, split: str) -> int | None:
    match split:
        case "training":
            return clips.train
        case "validation":
            return clips.valid
        case "test":
            return clips.test
        case _:
            known = clips.train is not None and clips.valid is not None
            return (clips.train or 0) + (clips.valid or 0) if known else None
