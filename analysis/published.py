"""The numbers that papers print, as data with their place.

What a paper does not print is absent: the 72 cells of CLAR's Figure 4 exist as colours only.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import pandas as pd

from clar_sweeps.errors import RecordError

PAPER = "CLAR (arXiv:2010.09542)"
# Columns of Table 1, in its order, by our names of the datasets.
PAPER_DATASETS = {
    "esc10": "ESC-10",
    "esc50": "ESC-50",
    "sc10": "SC-10",
    "sc35": "SC-35",
    "nsynth11": "NSynth-11",
    "nsynth128": "NSynth-128",
}
# What the paper has that comes nearest to a dataset of ours: for orientation.
_NEAREST = {"spoken-digits": "SC-10", "fsdd": "SC-10", "instrument-notes": "NSynth-128"}
_METHODS = {"supervised": "supervised", "simclr": "SimCLR", "clar": "CLAR"}
_ENCODERS = {"resnet18_1d": "1D", "resnet18_2d": "2D"}
COLUMNS = ("source", "table", "row", "column", "value", "unit", "place")


def load_published() -> pd.DataFrame:
    """All published numbers, a row each.

    Returns:
        Columns of the files (`value` as printed, in `unit`) and `fraction`, value / 100.

    Raises:
        RecordError: A file has other columns, a unit that is not percent, or a number twice.
    """
    folder = files("analysis") / "published"
    paths = sorted(
        (path for path in folder.iterdir() if path.name.endswith(".csv")),
        key=lambda path: path.name,
    )
    frames = []
    for path in paths:
        with path.open(encoding="utf-8") as file:
            frame = pd.read_csv(file, dtype={name: str for name in COLUMNS if name != "value"})
        if tuple(frame.columns) != COLUMNS:
            raise RecordError(
                f"{path.name}: columns are {', '.join(frame.columns)}, "
                f"expected {', '.join(COLUMNS)}; install again"
            )
        frames.append(frame)
    published = pd.concat(frames, ignore_index=True)
    strange = published[published["unit"] != "percent"]
    if len(strange):
        raise RecordError(f"published: unit is {strange['unit'].iloc[0]!r}, expected percent")
    if published.duplicated(["source", "table", "row", "column"]).any():
        raise RecordError("published: a number stands twice; keep one")
    # Rounded, so that 94.9 percent is 0.949 and not the float beside it.
    published["fraction"] = (published["value"] / 100).round(6)
    return published


def published_fraction(source: str, table: str, row: str, column: str) -> float | None:
    """One published number as a fraction; None where the paper prints none."""
    return _fractions().get((source, table, row, column))


@cache
def _fractions() -> dict[tuple[str, ...], float]:
    published = load_published()
    keys = published[["source", "table", "row", "column"]].itertuples(index=False, name=None)
    return dict(zip(keys, published["fraction"].astype(float).tolist(), strict=True))


class PaperDataset(NamedTuple):
    """The paper's dataset beside one of ours."""

    name: str  # as its column is named
    is_same: bool  # otherwise it is the nearest one, or ours a part of it: for orientation
    is_part: bool = False  # ours is a part of it

    @property
    def other(self) -> str:
        """How it differs from ours; empty where it is the same."""
        if self.is_same:
            return ""
        return "all of its clips" if self.is_part else "another dataset"


def paper_dataset(dataset: str, *, is_part: bool = False) -> PaperDataset | None:
    """The paper's column for a dataset, or the nearest one; None where nothing is near.

    Args:
        dataset: Our name of it.
        is_part: Some of its clips are missing here.
    """
    if dataset in PAPER_DATASETS:
        return PaperDataset(PAPER_DATASETS[dataset], is_same=not is_part, is_part=is_part)
    return PaperDataset(_NEAREST[dataset], is_same=False) if dataset in _NEAREST else None


def input_fraction(encoder: str, chain: Sequence[str], column: str) -> float | None:
    """A number of Table 1: an encoder trained with a chain, on the dataset of a column."""
    return published_fraction(PAPER, "Table 1", f"{_ENCODERS[encoder]} {'+'.join(chain)}", column)


def label_fraction(method: str, share: float | None) -> float | None:
    """A number of Table 2: a method trained on a share of the labels; none for SimCLR."""
    column = "all" if share is None else f"{100 * share:g}%"
    return published_fraction(PAPER, "Table 2", _METHODS[method], column)


def matrix_scalar(encoder: str, name: str) -> float | None:
    """A number that section 4 says of Figure 4: mean, mean_plus_minus or max of a matrix."""
    return published_fraction(PAPER, "Figure 4", _ENCODERS[encoder], name)


def rows_of_table_1() -> list[tuple[str, tuple[str, ...]]]:
    """The paper's encoders and chains, in the order of its rows."""
    rows = [row for source, table, row, _ in _fractions() if (source, table) == (PAPER, "Table 1")]
    named = {name: encoder for encoder, name in _ENCODERS.items()}
    return list(
        dict.fromkeys((named[row.split()[0]], tuple(row.split()[1].split("+"))) for row in rows)
    )
