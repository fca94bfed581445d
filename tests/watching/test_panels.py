"""Where the trials of a sweep stand in matrices and tables."""

from pathlib import Path

import pytest

from clar_sweeps.sweep import load_sweep
from clar_sweeps.watching.panels import Panel, lay_out

SWEEPS = Path(__file__).parents[2] / "sweeps"


def panels(file: Path, seeds: tuple[int, ...] = (0,)) -> tuple[Panel, ...]:
    return lay_out(load_sweep(file, seeds=seeds))


def written(tmp_path: Path, axes: str) -> Path:
    file = tmp_path / "sweep.yaml"
    file.write_text(f"name: tiny\nfixed: {{augment: [FD]}}\n{axes}")
    return file


def test_pairs_are_a_matrix_for_each_encoder_with_the_first_operation_as_row() -> None:
    first, second = panels(SWEEPS / "aug_pairs.yaml", seeds=(0, 1))
    assert (first.title, second.title) == ("encoder=resnet18_1d", "encoder=resnet18_2d")
    assert first.rows == first.columns == ("PS", "FD", "WN", "TM", "TS", "TST")
    assert (first.row_axis, first.column_axis) == ("applied first", "applied second")
    assert {len(ids) for ids in first.cells.values()} == {2}
    trials = load_sweep(SWEEPS / "aug_pairs.yaml").trials
    chain = {trial.id: (trial.config.encoder[-2:], trial.config.augment) for trial in trials}
    assert chain[first.cells[1, 3][0]] == ("1d", ("FD", "TM"))
    assert chain[second.cells[1, 1][0]] == ("2d", ("FD",))


def test_the_table_of_inputs_is_the_papers() -> None:
    (table,) = panels(SWEEPS / "input_study.yaml")
    assert table.columns == ("esc10", "esc50", "sc10", "sc35", "nsynth11", "nsynth128")
    assert table.rows == (
        "1d FD", "1d FD-TST", "1d FD-TST-PS", "2d FD", "2d FD-TM", "2d FD-TM-TS"
    )  # fmt: skip
    assert len(table.cells) == 36


def test_the_table_of_labels_is_methods_by_shares() -> None:
    (table,) = panels(SWEEPS / "label_fraction.yaml")
    assert table.rows == ("supervised", "simclr", "clar")
    assert table.columns == ("100 %", "20 %", "10 %", "1 %", "-")
    assert len(table.cells) == 9


@pytest.mark.parametrize(
    ("axes", "rows", "columns"),
    [
        ("axes:\n  temperature: [0.1, 0.5]\n", ("0.1", "0.5"), ("0", "1")),
        ("", ("all",), ("0", "1")),
    ],
)
def test_where_one_field_differs_or_none_the_seeds_stand_across(
    tmp_path: Path, axes: str, rows: tuple[str, ...], columns: tuple[str, ...]
) -> None:
    (table,) = panels(written(tmp_path, axes), seeds=(0, 1))
    assert (table.rows, table.columns, table.column_axis) == (rows, columns, "seed")
    assert {len(ids) for ids in table.cells.values()} == {1}


def test_no_trial_is_left_out_of_a_table_of_many_fields(tmp_path: Path) -> None:
    axes = "axes:\n  temperature: [0.1, 0.5]\n  width: [4, 8]\n  learning_rate: [0.1, 1]\n"
    file = written(tmp_path, axes)
    (table,) = panels(file)
    shown = {trial_id for ids in table.cells.values() for trial_id in ids}
    assert shown == {trial.id for trial in load_sweep(file).trials}
    assert {len(ids) for ids in table.cells.values()} == {1}
