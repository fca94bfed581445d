"""The numbers that papers print, as data with their place.

What a paper does not print is absent: the 72 cells of CLAR's Figure 4 exist as colours only.
"""

from importlib.resources import files

import pandas as pd

from clar_sweeps.errors import RecordError

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
    published["fraction"] = published["value"] / 100
    return published


def published_fraction(source: str, table: str, row: str, column: str) -> float | None:
    """One published number as a fraction; None where the paper prints none."""
    published = load_published()
    found = published[
        (published["source"] == source)
        & (published["table"] == table)
        & (published["row"] == row)
        & (published["column"] == column)
    ]
    return float(found["fraction"].iloc[0]) if len(found) else None
