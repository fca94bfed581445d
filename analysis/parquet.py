"""Tables of a report as Parquet files, where pyarrow is at hand; it comes with Ray Tune."""

import io
from collections.abc import Mapping
from importlib.util import find_spec

import pandas as pd


def parquet_files(tables: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Content of a Parquet file for each table; equal tables give equal bytes.

    Args:
        tables: By the names of their CSV files.

    Returns:
        By the names of the Parquet files; nothing where pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        return {}
    return {
        f"{name.removesuffix('.csv')}.parquet": _content(frame) for name, frame in tables.items()
    }


def _content(frame: pd.DataFrame) -> bytes:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        table = pa.Table.from_pandas(_with_texts(frame), preserve_index=False)
    content = io.BytesIO()
    # Without pandas' notes on itself: they name its version.
    write_table(table.replace_schema_metadata(None), content)
    return content.getvalue()


def _with_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of mixed kinds, which no trainer of ours writes, as texts."""
    mixed = [name for name in frame.columns if frame[name].dtype == object]
    return frame.assign(
        **{name: frame[name].map(str, na_action="ignore").astype("string") for name in mixed}
    )
