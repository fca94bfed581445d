"""Datasets by name: prepare once, then load a memory-mapped cache.

`DATASETS` holds the sources. Importing this package stays cheap: what decodes sound is imported
when a clip is decoded.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.data import fsdd, spoken_digits
from clar_sweeps.data.spoken_digits_speakers import CONDITIONS
from clar_sweeps.data.waveforms import (
    SPLITS,
    Listing,
    Progress,
    Split,
    Waveforms,
    build_cache,
    open_cache,
    verify_cache,
)
from clar_sweeps.errors import DataError

__all__ = [
    "DATASETS",
    "SPLITS",
    "Progress",
    "Source",
    "Split",
    "Waveforms",
    "cache_folder",
    "cache_root",
    "data_root",
    "is_prepared",
    "load",
    "prepare",
    "verify",
]

CACHE_VARIABLE = "CLAR_SWEEPS_CACHE"
DATA_VARIABLE = "CLAR_SWEEPS_DATA"


class Request(NamedTuple):
    """What a source is given to list its clips.

    Attributes:
        work_folder: Empty; a source that makes its clips writes them here.
        condition: One of the source's conditions; None where it has none.
        progress: Called with (phase, done, total).
    """

    work_folder: Path
    condition: str | None
    progress: Progress | None


class Source(NamedTuple):
    """One dataset.

    Attributes:
        name: As in a sweep file.
        num_classes: Of the whole dataset.
        description: One sentence.
        licence: Of the recordings.
        files: Layout below `CLAR_SWEEPS_DATA/NAME` of the files it needs; None if it needs none.
        conditions: Names that `condition` may take; empty for none.
        default_condition: Taken where none is given.
        version: Raised when equal files give other clips, so that older caches are not used.
        list_clips: Finds or makes the clips.
    """

    name: str
    num_classes: int
    description: str
    licence: str
    files: str | None
    conditions: tuple[str, ...]
    default_condition: str | None
    version: int
    list_clips: Callable[[Request], Listing]


def _list_spoken_digits(request: Request) -> Listing:
    assert request.condition is not None
    return spoken_digits.list_clips(
        request.work_folder, condition=request.condition, progress=request.progress
    )


def _list_fsdd(request: Request) -> Listing:
    return fsdd.list_clips(_files_folder("fsdd"))


DATASETS: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            name="spoken-digits",
            num_classes=10,
            description=(
                "Ten digits by 60 synthetic speakers in noise and rooms, 3,000 clips of one "
                "second, made on this machine by espeak-ng; speakers, voices and accents of "
                "training, validation and test are disjoint."
            ),
            licence="made by a program, free to use",
            files=None,
            conditions=CONDITIONS,
            default_condition="medium",
            version=1,
            list_clips=_list_spoken_digits,
        ),
        Source(
            name="fsdd",
            num_classes=10,
            description=(
                "Ten digits by six people, 3,000 recordings at 8 kHz; one speaker is held out "
                "for validation and one for test."
            ),
            licence="CC BY-SA 4.0",
            files=fsdd.LAYOUT,
            conditions=(),
            default_condition=None,
            version=1,
            list_clips=_list_fsdd,
        ),
    )
}


def cache_root() -> Path:
    """Return the folder of all caches: `CLAR_SWEEPS_CACHE`, else below the user's cache."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "clar-sweeps"
    return Path.home() / ".cache" / "clar-sweeps"


def data_root() -> Path | None:
    """Return the folder of the recordings that a user brings, or None where none is named."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named).expanduser() if named else None


def prepare(
    name: str, *, condition: str | None = None, progress: Progress | None = None
) -> Waveforms:
    """Open the cache of a dataset, made first if it is not there.

    Processes that ask at once for the same cache make it once.

    Args:
        name: A key of `DATASETS`.
        condition: One of the source's conditions; None takes its default.
        progress: Called with (phase, done, total).

    Raises:
        DataError: an unknown name or condition, missing files, or a clip that cannot be used.
        DependencyError: a package that the source needs is not installed.
    """
    source, condition = _resolve(name, condition)

    def list_clips(work_folder: Path) -> Listing:
        return source.list_clips(Request(work_folder, condition, progress))

    return build_cache(
        cache_folder(name, condition=condition),
        list_clips,
        remedy=_remedy(name, condition),
        fingerprint=_fingerprint(source),
        progress=progress,
    )


def load(name: str, *, condition: str | None = None) -> Waveforms:
    """Open the cache of a dataset.

    Raises:
        DataError: an unknown name or condition, or a cache that is absent or damaged.
    """
    folder = cache_folder(name, condition=condition)
    return open_cache(folder, remedy=_remedy(name, condition))


def verify(name: str, *, condition: str | None = None) -> Waveforms:
    """Open the cache of a dataset and compare all of it with its checksum.

    Raises:
        DataError: an unknown name or condition, or a cache that is absent or damaged.
    """
    folder = cache_folder(name, condition=condition)
    return verify_cache(folder, remedy=_remedy(name, condition))


def is_prepared(name: str, *, condition: str | None = None) -> bool:
    """Return whether the cache of a dataset is there; `load` says whether it is whole.

    Raises:
        DataError: an unknown name or condition.
    """
    return cache_folder(name, condition=condition).is_dir()


def cache_folder(name: str, *, condition: str | None = None) -> Path:
    """Return where the cache of a dataset lies.

    Raises:
        DataError: an unknown name or condition.
    """
    source, condition = _resolve(name, condition)
    parts = [name, condition, f"v{source.version}"]
    return cache_root() / "-".join(part for part in parts if part)


def _fingerprint(source: Source) -> str:
    """Names and sizes of a source's files, hashed; nothing where no folder is named."""
    if source.files is None or data_root() is None:
        return ""
    folder = _files_folder(source.name)
    sizes = sorted((str(p.relative_to(folder)), p.stat().st_size) for p in folder.rglob("*"))
    return hashlib.sha256(repr(sizes).encode()).hexdigest()


def _resolve(name: str, condition: str | None) -> tuple[Source, str | None]:
    if name not in DATASETS:
        raise DataError(f"dataset: {name!r} is not one of {_quoted(DATASETS)}")
    source = DATASETS[name]
    if condition is None:
        return source, source.default_condition
    if not source.conditions:
        raise DataError(f"condition: {condition!r} is given, but {name} has none; leave it out")
    if condition not in source.conditions:
        raise DataError(
            f"condition: {condition!r} of {name} is not one of {_quoted(source.conditions)}"
        )
    return source, condition


def _quoted(names: dict[str, Source] | tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)


def _remedy(name: str, condition: str | None) -> str:
    source, condition = _resolve(name, condition)
    option = "" if condition == source.default_condition else f" --condition {condition}"
    return f"clar-sweep data prepare {name}{option}"


def _files_folder(name: str) -> Path:
    expected = f"expected a folder that holds {name}/{DATASETS[name].files}"
    root = data_root()
    if root is None:
        raise DataError(f"{name}: {DATA_VARIABLE} is not set, {expected}; set it and run again")
    if not (root / name).is_dir():
        raise DataError(
            f"{name}: {DATA_VARIABLE} is {root}, {expected}; unpack the dataset there or "
            f"correct {DATA_VARIABLE}"
        )
    return root / name
