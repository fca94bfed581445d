import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from written_run import Run

from analysis.cells import NUM_CLASSES, best_cell, cells, chance_level, panels, side_by_side
from analysis.frames import load_run
from analysis.matrices import PairMatrix, matrix_frame, pair_matrix
from analysis.wording import OPERATION_NAMES
from clar_sweeps.config import Augmentation, Dataset, Trial

MakeTrial = Callable[..., Trial]


def matrix_of(run: Run, metric: str = "test_top1") -> PairMatrix:
    frames = load_run(run.path)
    (panel,) = panels(frames.trials)
    return pair_matrix(frames.trials, frames.sweep.operations, panel, metric)


def test_margins_of_a_full_matrix_are_those_by_hand(square: Run) -> None:
    matrix = matrix_of(square)
    np.testing.assert_allclose(matrix.means, [[0.50, 0.90], [0.70, 0.60]])
    np.testing.assert_allclose(matrix.first.means, [0.70, 0.65])
    np.testing.assert_allclose(matrix.second.means, [0.60, 0.75])
    assert matrix.mean == pytest.approx(0.675)
    assert matrix.num_cells == 4
    assert matrix.untrained.mean == pytest.approx(0.40)
    assert matrix.chance == pytest.approx(0.10)
    assert matrix.seeds == (0,)


def test_rows_are_applied_first(square: Run) -> None:
    matrix = matrix_of(square)
    place = matrix.operations.index("FD"), matrix.operations.index("TM")
    assert matrix.means[place] == 0.90


def test_rows_and_columns_keep_the_order_of_the_sweep(run: Run) -> None:
    run.plan_pairs("TST", "PS", "FD")
    assert matrix_of(run).operations == ("TST", "PS", "FD")


def test_cells_without_a_result_are_in_no_mean(ragged: Run) -> None:
    matrix = matrix_of(ragged)
    expected = [[0.50, 0.70, np.nan], [np.nan, 0.60, np.nan], [np.nan] * 3]
    np.testing.assert_allclose(matrix.means, expected)
    np.testing.assert_allclose(matrix.first.means, [0.60, 0.60, np.nan])
    np.testing.assert_allclose(matrix.second.means, [0.50, 0.65, np.nan])
    assert matrix.first.num_cells.tolist() == [2, 1, 0]
    assert matrix.second.num_cells.tolist() == [1, 2, 0]
    assert matrix.mean == pytest.approx(0.60)
    assert matrix.num_cells == 3


def test_states_of_cells_are_told_apart(ragged: Run) -> None:
    matrix = matrix_of(ragged)
    assert matrix.states == (
        ("done", "done", "failed"),
        ("diverged", "done", "unfinished"),
        ("missing", "missing", "missing"),
    )
    assert matrix.epochs_reached[1, 2] == 3
    assert matrix.panel.epochs == 6


def test_a_run_without_a_result_has_no_mean(run: Run) -> None:
    run.plan_pairs("FD", "TM")
    matrix = matrix_of(run)
    assert math.isnan(matrix.mean)
    assert matrix.best is None
    assert matrix.untrained.n == 0


def test_seeds_are_averaged_with_their_interval(square: Run, make: MakeTrial) -> None:
    square.done(make("FD", "TM", seed=1), test=0.80)
    matrix = matrix_of(square)
    assert matrix.means[0, 1] == pytest.approx(0.85)
    # t(0.975, 1) = 12.7062; standard deviation 0.1 / sqrt(2).
    assert matrix.stds[0, 1] == pytest.approx(0.0707107, rel=1e-5)
    assert matrix.half_widths[0, 1] == pytest.approx(12.7062 * 0.05, rel=1e-5)
    assert matrix.num_done.tolist() == [[1, 2], [1, 1]]
    assert math.isnan(matrix.half_widths[0, 0])
    # A cell counts once, however many seeds it has.
    assert matrix.first.means[0] == pytest.approx((0.50 + 0.85) / 2)


def test_a_cell_with_one_of_two_seeds_done_has_a_result_and_says_so(run: Run) -> None:
    trials = run.plan_pairs("FD", "TM", seeds=(0, 1))
    run.done(trials[0], test=0.50)
    run.failed(trials[4])
    matrix = matrix_of(run)
    assert matrix.states[0][0] == "done"
    assert (matrix.num_done[0, 0], matrix.num_trials[0, 0]) == (1, 2)
    assert matrix.means[0, 0] == 0.50


def test_a_failure_outranks_a_seed_that_never_ran(run: Run) -> None:
    trials = run.plan_pairs("FD", "TM", seeds=(0, 1))
    run.failed(trials[4])
    assert matrix_of(run).states[0][0] == "failed"


def test_the_best_cell_is_chosen_on_validation(square: Run, make: MakeTrial) -> None:
    square.done(make("TM", "FD"), test=0.70, valid=0.95)
    matrix = matrix_of(square)
    assert matrix.best == (1, 0)
    assert matrix.means[matrix.best] == 0.70


def test_other_metrics_have_their_own_matrix_and_untrained_level(square: Run) -> None:
    matrix = matrix_of(square, "test_knn_top1")
    np.testing.assert_allclose(matrix.means, [[0.45, 0.85], [0.65, 0.55]])
    assert matrix.untrained.mean == pytest.approx(0.35)


def test_an_unknown_metric_is_refused(square: Run) -> None:
    with pytest.raises(ValueError, match="'valid_top1' is not one of test_top1, test_linear_top1"):
        matrix_of(square, "valid_top1")


def test_gain_of_a_cell_is_paired_by_seed(square: Run, make: MakeTrial) -> None:
    square.done(make("FD", "TM", seed=1), test=0.80)
    square.untrained(make("FD", seed=1), test=0.20)
    frames = load_run(square.path)
    (panel,) = panels(frames.trials)
    cell = next(cell for cell in cells(frames.trials, panel) if cell.chain == ("FD", "TM"))
    assert cell.gain.mean == pytest.approx((0.50 + 0.60) / 2)
    assert cell.gain.n == 2
    assert best_cell(cells(frames.trials, panel)) == cell


def test_the_1d_encoder_stands_left_of_the_2d_one(run: Run, make: MakeTrial) -> None:
    run.plan(
        make("FD", encoder="resnet18_2d", dataset="fsdd"),
        make("FD", encoder="resnet18_1d", dataset="fsdd"),
        make("FD", encoder="resnet18_2d"),
    )
    groups = side_by_side(panels(load_run(run.path).trials))
    assert [[panel.encoder for panel in group] for group in groups] == [
        ["resnet18_1d", "resnet18_2d"],
        ["resnet18_2d"],
    ]


def test_a_cell_that_a_setting_does_not_touch_is_in_the_matrices_of_all_its_values(
    run: Run, make: MakeTrial
) -> None:
    # White noise is one trial under both definitions: it has no parameter that they dispute.
    trials = {
        make(*pair, augment_definition=definition): None
        for definition in ("paper", "released")
        for pair in (("FD",), ("FD", "WN"), ("WN", "FD"), ("WN",))
    }
    assert len(trials) == 7
    run.plan(*trials, operations=("FD", "WN"))
    for place, trial in enumerate(trials):
        run.done(trial, test=0.1 * (place + 1))
    frames = load_run(run.path)
    found = panels(frames.trials)
    assert [panel.setting for panel in found] == [
        "augment_definition paper",
        "augment_definition released",
    ]
    first, second = (pair_matrix(frames.trials, ("FD", "WN"), panel) for panel in found)
    np.testing.assert_allclose(first.means, [[0.1, 0.2], [0.3, 0.4]])
    np.testing.assert_allclose(second.means, [[0.5, 0.6], [0.7, 0.4]])


def test_methods_of_a_pair_sweep_have_a_matrix_each(run: Run, make: MakeTrial) -> None:
    trials = [
        make(*pair, method=method)
        for method in ("simclr", "supervised")
        for pair in (("FD",), ("FD", "TM"), ("TM", "FD"), ("TM",))
    ]
    run.plan(*trials, operations=("FD", "TM"))
    settings = [panel.setting for panel in panels(load_run(run.path).trials)]
    assert settings == ["method simclr", "method supervised"]


def test_matrix_frame_has_cells_and_margins(ragged: Run) -> None:
    frame = matrix_frame([matrix_of(ragged)])
    assert frame["kind"].value_counts().to_dict() == {
        "cell": 9,
        "mean_first": 3,
        "mean_second": 3,
        "mean_all": 1,
    }
    corner = frame[frame["kind"] == "mean_all"].iloc[0]
    assert corner["value"] == pytest.approx(0.60)
    assert corner["num_cells"] == 3
    first = frame[(frame["kind"] == "mean_first") & (frame["first"] == "PS")].iloc[0]
    assert (first["value"], first["num_cells"]) == (pytest.approx(0.60), 2)
    assert frame["best"].sum() == 1


def test_every_operation_and_dataset_of_a_config_has_its_words() -> None:
    assert set(OPERATION_NAMES) == set(get_args(Augmentation))
    # How many classes one's own recordings have is not known here.
    assert set(NUM_CLASSES) == set(get_args(Dataset)) - {"folder"}


def test_classes_are_those_of_the_datasets() -> None:
    data = pytest.importorskip("clar_sweeps.data")
    for name, source in data.DATASETS.items():
        if name != "folder":
            assert NUM_CLASSES[name] == source.num_classes


def test_chance_is_over_the_classes_that_occur() -> None:
    assert chance_level("esc50") == pytest.approx(1 / 50)
    assert chance_level("instrument-notes") == pytest.approx(1 / 88)
    assert chance_level("folder") is None
