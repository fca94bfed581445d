import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from written_run import Run

from analysis import table_files as files_of_tables
from analysis.report import write_report
from analysis.table_files import table_files

TABLE = pd.DataFrame(
    {
        "name": pd.array(["a", None], dtype="string"),
        "value": [0.1 + 0.2, np.nan],
        "count": pd.array([3, None], dtype="Int64"),
        "planned": [True, False],
    }
)


def test_numbers_and_texts_come_back_exactly(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(table_files({"x": TABLE})["x.parquet"])
    back = pd.read_parquet(tmp_path / "x.parquet")
    assert list(back.columns) == list(TABLE.columns)
    assert back["value"][0] == 0.1 + 0.2
    assert back["value"].isna().tolist() == back["name"].isna().tolist() == [False, True]
    assert back["count"][0] == 3
    assert back["planned"].tolist() == [True, False]


def test_equal_tables_give_equal_bytes_that_name_no_version_of_pandas() -> None:
    one, two = (table_files({"x": TABLE.copy()})["x.parquet"] for _ in range(2))
    assert one == two
    assert b"pandas" not in one


def test_columns_of_mixed_kinds_are_texts(tmp_path: Path) -> None:
    mixed = pd.DataFrame({"loss": pd.Series([0.5, "high", None, 10**40], dtype=object)})
    (tmp_path / "x.parquet").write_bytes(table_files({"x": mixed})["x.parquet"])
    back = pd.read_parquet(tmp_path / "x.parquet")["loss"]
    assert back.tolist()[:2] == ["0.5", "high"]
    assert back.isna().tolist() == [False, False, True, False]


def test_each_csv_file_of_a_report_has_its_parquet_file(labels: Run) -> None:
    report = write_report(labels.path)
    tables = {path.stem for path in report.files if path.suffix == ".csv"}
    assert tables == {path.stem for path in report.files if path.suffix == ".parquet"}
    for name in tables:
        columns = pd.read_csv(report.page.parent / f"{name}.csv", nrows=0).columns
        assert list(pd.read_parquet(report.page.parent / f"{name}.parquet")) == list(columns)


def test_without_pyarrow_there_are_none(square: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_of_tables, "find_spec", lambda name: None)
    report = write_report(square.path)
    assert not [path for path in report.files if path.suffix == ".parquet"]
    assert "parquet" not in report.page.read_text()
    assert "pyarrow" in sys.modules  # the switch was ours
