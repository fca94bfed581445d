"""A user's list of recordings: a CSV with the columns path, label, and perhaps split, speaker."""

import csv
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from clar_sweeps.data.folder_splits import SPLIT_NAMES, Recording
from clar_sweeps.data.waveforms import Split
from clar_sweeps.errors import DataError

COLUMNS = ("path", "label", "split", "speaker")
_NEEDED = ("path", "label")


def read_manifest(path: Path) -> tuple[list[Recording], list[str]]:
    """Read the list.

    The names of columns may have any case; other columns are passed over. Paths are relative to
    the list; absolute ones and those that leave its folder are followed, since the list is the
    user's own.

    Returns:
        The recordings of lines without fault, and the faults of the others, one line each.

    Raises:
        DataError: the list cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            columns = _columns(path, next(rows, []))
            return _recordings(path, columns, ((rows.line_num, row) for row in rows))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8, expected a CSV in UTF-8; save it as such"
        ) from error
    except csv.Error as error:
        raise DataError(
            f"{path}: is no CSV ({error}), expected lines of cells with a comma between; close "
            "the quotes or save it again as CSV"
        ) from error
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}), expected a CSV; correct the path"
        ) from error


def listed_files(path: Path) -> list[Path]:
    """Return the files that the list names, whether they are there or not; none of a bad list."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            column = [name.strip().lower() for name in next(rows, [])].index("path")
            cells = [row[column].strip() for row in rows if len(row) > column]
    except (OSError, ValueError, csv.Error):
        return []
    return [path.parent / cell for cell in cells if cell and "\0" not in cell]


def _columns(path: Path, header: list[str]) -> list[str]:
    columns = [name.strip().lower() for name in header]
    for name in COLUMNS:
        count = columns.count(name)
        if count > 1 or (count == 0 and name in _NEEDED):
            raise DataError(
                f"{path}:1: column '{name}' is there {count} times among {', '.join(header)!r}, "
                f"expected once; the header is {','.join(COLUMNS)}, the last two if you like"
            )
    return columns


def _recordings(
    path: Path, columns: list[str], rows: Iterator[tuple[int, list[str]]]
) -> tuple[list[Recording], list[str]]:
    recordings, faults = [], []
    first_line: dict[Path, int] = {}
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        place = f"{path}:{line}"
        if len(cells) != len(columns):
            faults.append(
                f"{place}: {len(cells)} cells, expected {len(columns)} as in the header; quote "
                "cells that hold a comma"
            )
            continue
        row = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
        found = list(_faults_of(path.parent, row))
        target = path.parent / row["path"]
        if not found:
            first = first_line.setdefault(target.resolve(), line)
            if first != line:
                found.append(f"path '{row['path']}' is in line {first} too; delete one of the two")
        faults += [f"{place}: {fault}" for fault in found]
        if not found:
            name, label = (unicodedata.normalize("NFC", row[key]) for key in _NEEDED)
            split: Split | None = SPLIT_NAMES.get(row.get("split", "").lower())
            speaker = unicodedata.normalize("NFC", row.get("speaker", "")) or None
            place = f"{place}: path '{row['path']}'"
            recordings.append(Recording(place, target, name, label, split, speaker))
    return recordings, faults


def _faults_of(folder: Path, row: dict[str, str]) -> Iterator[str]:
    for name in _NEEDED:
        if not row[name]:
            yield f"{name} is empty, expected a {name}; fill it in or delete the line"
    split = row.get("split", "").lower()
    if split and split not in SPLIT_NAMES:
        yield f"split '{row['split']}' is not one of train, valid, test; correct or empty it"
    if row["path"] and not _is_file(folder / row["path"]):
        yield (
            f"path '{row['path']}' is no file in {folder}, expected a sound file; correct it or "
            "delete the line"
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # A name too long, or with a null character.
        return False
