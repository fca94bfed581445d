"""Tables of a report as files: CSV, and Parquet where pyarrow is at hand, which Ray Tune brings."""

import csv
import io
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import pandas as pd

_ROWS_AT_ONCE = 10_000


def table_files(tables: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Content of the files of each table, NAME.csv and NAME.parquet; equal tables, equal bytes.

    Args:
        tables: By name.

    Returns:
        By the files' names; the CSV files alone where pyarrow is not installed.
    """
    files = {f"{name}.csv": _csv(frame) for name, frame in tables.items()}
    if find_spec("pyarrow") is not None:
        files |= {f"{name}.parquet": _parquet(frame) for name, frame in tables.items()}
    return files


def _csv(frame: pd.DataFrame) -> bytes:
    """What pandas' `to_csv` writes, in half the time."""
    content = io.BytesIO()
    with io.TextIOWrapper(content, encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(frame.columns)
        # A part at a time: as Python's numbers, ten thousand trials' epochs take a lot of memory.
        for start in range(0, len(frame), _ROWS_AT_ONCE):
            part = frame.iloc[start : start + _ROWS_AT_ONCE]
            columns = (_values(column) for _, column in part.items())
            writer.writerows(zip(*columns, strict=True))
        text.flush()
        return content.getvalue()


def _values(column: "pd.Series[Any]") -> list[Any]:
    absent = column.isna().tolist()
    return ["" if no else value for value, no in zip(column.tolist(), absent, strict=True)]


def _parquet(frame: pd.DataFrame) -> bytes:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    def written(frame: pd.DataFrame) -> bytes:
        content = io.BytesIO()
        table = pa.Table.from_pandas(frame, preserve_index=False)
        # Without pandas' notes on itself: they name its version.
        write_table(table.replace_schema_metadata(None), content)
        return content.getvalue()

    try:
        return written(frame)
    except (pa.ArrowException, OverflowError):
        return written(_with_texts(frame))


def _with_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of mixed kinds, which no trainer of ours writes, as texts."""
    mixed = [name for name in frame.columns if frame[name].dtype == object]
    return frame.assign(
        **{name: frame[name].map(str, na_action="ignore").astype("string") for name in mixed}
    )
