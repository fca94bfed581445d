"""One dataset as a user names it, and where its cache lies."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.data.recordings import DATA_VARIABLE
from clar_sweeps.data.source import Source
from clar_sweeps.data.sources import DATASETS
from clar_sweeps.errors import DataError

CACHE_VARIABLE = "CLAR_SWEEPS_CACHE"
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Choice(NamedTuple):
    """One dataset as the arguments name it."""

    source: Source
    condition: str | None
    folder: str | None

    @property
    def cache(self) -> Path:
        """Where its cache lies."""
        parts = [self.source.cache or self.source.name, self.condition, self.folder]
        return cache_root() / "-".join([*filter(None, parts), f"v{self.source.version}"])

    @property
    def work(self) -> Path:
        """Where its archives are downloaded and unpacked."""
        return cache_root() / "downloads" / self.cache.name

    @property
    def given_work(self) -> Path:
        """Where a user's archives are unpacked."""
        return self.work.with_name(f"{self.work.name}.given")

    @property
    def remedy(self) -> str:
        """What a user runs to prepare it."""
        words = ["clar-sweep data prepare", self.source.name]
        if self.condition != self.source.default_condition:
            words.append(f"--condition {self.condition}")
        if self.folder:
            words.append(f"--folder {self.folder}")
        return " ".join(words)


def cache_root() -> Path:
    """Return the folder of all caches: `CLAR_SWEEPS_CACHE`, else below the user's cache."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "clar-sweeps"
    return Path.home() / ".cache" / "clar-sweeps"


def resolve(name: str, condition: str | None, folder: str | None) -> Choice:
    """Return the dataset of these arguments; the condition is the default where none is given.

    Args:
        name: A key of `DATASETS`.
        condition: One of the source's conditions.
        folder: Name of the user's own recordings; of "folder" only, and needed there.

    Raises:
        DataError: an unknown name or condition, or an argument that the dataset does not take.
    """
    if name not in DATASETS:
        raise DataError(f"dataset: {name!r} is not one of {_quoted(DATASETS)}")
    source = DATASETS[name]
    if condition is not None and not source.conditions:
        raise DataError(f"condition: {condition!r} is given, but {name} has none; leave it out")
    if condition is not None and condition not in source.conditions:
        raise DataError(
            f"condition: {condition!r} of {name} is not one of {_quoted(source.conditions)}"
        )
    if name != "folder" and folder is not None:
        raise DataError(f"folder: {folder!r} is given, but {name} has none; leave it out")
    if name == "folder" and folder is None:
        raise DataError("--folder: is required with dataset folder; name your recordings")
    if name == "folder" and not _FOLDER_NAME.fullmatch(folder or ""):
        raise DataError(
            f"folder: {folder!r} is not the name of a folder below {DATA_VARIABLE}; give one of "
            "letters, digits, '_', '.' and '-'"
        )
    return Choice(source, condition or source.default_condition, folder)


def _quoted(names: dict[str, Source] | tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)
