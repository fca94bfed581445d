"""What many records share a frame in: epochs by column, and the distinct texts of provenance.

Thousands of records pass through one by one: kept whole, they would fill the memory.
"""

import functools
import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import pandas as pd

from clar_sweeps.faults import one_line

# Trials of one run say the same of their machine, versions and clips.
told = functools.lru_cache(maxsize=1024)(one_line)


class Histories:
    """The epochs of many trials.

    Rows of the same names are kept as tuples, a quarter of what as many dicts would take.
    """

    def __init__(self, leading: Iterable[str]) -> None:
        """Begin a frame with these columns after the id; others follow as they come."""
        self._names = dict.fromkeys(leading)
        self._ids: list[str] = []
        self._rows: dict[tuple[str, ...], list[tuple[int, tuple[Any, ...]]]] = {}

    def add(self, trial: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append the epochs of a trial, known by its id."""
        for row in rows:
            self._rows.setdefault(tuple(row), []).append((len(self._ids), tuple(row.values())))
            self._ids.append(trial)

    def frame(self) -> pd.DataFrame:
        """A row an epoch; NaN where a row does not have a name."""
        found = dict.fromkeys(name for names in self._rows for name in names)
        columns = {name: [np.nan] * len(self._ids) for name in (*self._names, *found)}
        for names, rows in self._rows.items():
            kept = [columns[name] for name in names]
            for place, values in rows:
                for column, value in zip(kept, values, strict=True):
                    column[place] = value
        # A row does not say itself whose it is, whatever stands in it.
        shown = {told(name): _told_texts(values) for name, values in columns.items()}
        shown.pop("id", None)
        return pd.DataFrame({"id": self._ids, **shown})


def _told_texts(column: list[Any]) -> list[Any]:
    """A column whose texts, which no trainer of ours writes, can be shown and written."""
    if str not in set(map(type, column)):
        return column
    return [told(value) if isinstance(value, str) else value for value in column]


class Provenance:
    """Every distinct text of each entry, in order of appearance."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, None]] = {}

    def add(self, entries: Mapping[str, Any]) -> None:
        """Take in where one result comes from."""
        for name, value in entries.items():
            text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            self._found.setdefault(told(name), {})[told(text)] = None

    def texts(self) -> dict[str, tuple[str, ...]]:
        """The texts by entry."""
        return {name: tuple(texts) for name, texts in self._found.items()}


def is_number(value: object) -> bool:
    """Whether plain data is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_fraction(value: object) -> bool:
    """Whether plain data is a number from 0 to 1."""
    return is_number(value) and bool(0 <= value <= 1)  # type: ignore[operator]  # is a number


def sound_rows(
    history: Iterable[dict[str, Any]], *, metrics: AbstractSet[str]
) -> list[dict[str, Any]]:
    """Rows whose epoch can be one; a metric that is no fraction is no evaluation."""
    return [
        row
        if metrics.isdisjoint(row)
        else {name: row[name] for name in row if name not in metrics or is_fraction(row[name])}
        for row in history
        if not isinstance(row["epoch"], bool) and 0 <= row["epoch"] < 2**31
    ]
