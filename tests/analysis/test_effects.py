import math

import numpy as np
import pandas as pd
import pytest
from written_run import Run

from analysis.cells import TrialRows, best_cell, cells
from analysis.effects import Effects, effects, effects_frame, seed_values
from analysis.frames import load_run
from analysis.report import write_report

# Test top-1 of FD, FD-TM, TM-FD and TM by seed: the order adds 0.10, 0.12, 0.11.
TESTS = ((0.50, 0.80, 0.70, 0.60), (0.56, 0.86, 0.74, 0.65), (0.47, 0.75, 0.64, 0.58))
UNTRAINED = (0.30, 0.34, 0.29)


@pytest.fixture
def seeded(run: Run) -> Run:
    """FD and TM at three seeds, all done, with their untrained encoders."""
    trials = run.plan_pairs("FD", "TM", seeds=(0, 1, 2))
    for trial, test in zip(trials, np.ravel(TESTS).tolist(), strict=True):
        run.done(trial, test=test)
    for trial, test in zip(trials[::4], UNTRAINED, strict=True):
        run.untrained(trial, test=test)
    return run


def effects_of(run: Run, metric: str = "test_top1") -> Effects:
    frames = load_run(run.path)
    rows = TrialRows(frames.trials)
    (panel,) = rows.panels
    return effects(rows, frames.sweep.operations, panel, metric)


def test_effects_are_those_by_hand(seeded: Run) -> None:
    found = effects_of(seeded)
    assert (found.operations, found.seeds) == (("FD", "TM"), (0, 1, 2))
    assert found.margins.grand.mean == pytest.approx(np.mean(TESTS))
    assert found.order.effects.mean.tolist() == pytest.approx([0.11])
    # t(0.975, 2) = 4.302653; standard error 0.01 / sqrt(3).
    half_width = 4.302653 * 0.01 / math.sqrt(3)
    assert found.order.effects.half_width.tolist() == pytest.approx([half_width], rel=1e-6)
    first = np.mean([(a + b - c - d) / 4 for a, b, c, d in TESTS])
    np.testing.assert_allclose(found.main.first.mean, [first, -first])
    together = np.mean([(a - b - c + d) / 4 for a, b, c, d in TESTS])
    np.testing.assert_allclose(
        found.interactions.mean, [[together, -together], [-together, together]]
    )
    gains = np.array(TESTS) - np.array(UNTRAINED)[:, None]
    np.testing.assert_allclose(found.gains.mean.ravel(), gains.mean(axis=0))
    assert found.chosen == ("FD", "TM")
    assert found.not_told_from_best == ()
    assert found.winner is not None
    assert found.winner.corrected.mean == pytest.approx(np.mean([0.80, 0.86, 0.75]))


def test_effects_agree_with_the_cells(seeded: Run) -> None:
    found = effects_of(seeded, "test_knn_top1")
    rows = TrialRows(load_run(seeded.path).trials)
    known = cells(rows, found.panel, "test_knn_top1")
    for place, cell in enumerate(known):
        at = divmod(place, 2)
        assert found.cells.mean[at] == pytest.approx(cell.estimate.mean)
        assert found.cells.half_width[at] == pytest.approx(cell.estimate.half_width)
        assert found.gains.mean[at] == pytest.approx(cell.gain.mean)
        assert found.gains.half_width[at] == pytest.approx(cell.gain.half_width)
    best = best_cell(known)
    assert best is not None
    assert found.chosen == best.chain


def test_one_seed_gets_no_interval_and_no_p_value(square: Run) -> None:
    frame = effects_frame([effects_of(square)])
    assert frame["value"].notna().sum() == len(frame) - 1  # the corrected best
    assert frame[["half_width", "p", "p_holm"]].isna().all(axis=None)
    assert "selected" not in frame["kind"].tolist()


def test_a_trial_that_is_not_done_is_in_no_value(ragged: Run) -> None:
    frames = load_run(ragged.path)
    rows = TrialRows(frames.trials)
    values = seed_values(rows, frames.sweep.operations, rows.panels[0])
    expected = [[0.50, 0.70, np.nan], [np.nan, 0.60, np.nan], [np.nan] * 3]
    np.testing.assert_allclose(values.test, [expected])
    assert np.isnan(values.untrained).all()
    found = effects_of(ragged)
    assert found.margins.num_cells == 3
    assert found.margins.grand.mean == pytest.approx(0.60)
    assert np.isnan(found.gains.mean).all()


def test_a_run_without_a_result_has_no_effect(run: Run) -> None:
    run.plan_pairs("FD", "TM")
    found = effects_of(run)
    assert (found.seeds, found.winner, found.chosen) == ((), None, None)
    assert found.not_told_from_best == ()
    assert effects_frame([found])["value"].isna().all()


def test_cells_that_may_be_the_best_are_named(run: Run) -> None:
    trials = run.plan_pairs("FD", "TM", seeds=(0, 1))
    tests = (0.50, 0.80, 0.79, 0.60, 0.50, 0.78, 0.79, 0.61)
    for trial, test in zip(trials, tests, strict=True):
        run.done(trial, test=test)
    found = effects_of(run)
    assert found.chosen == ("FD", "TM")
    assert found.not_told_from_best == (("TM", "FD"),)


def test_the_report_has_every_number(seeded: Run) -> None:
    write_report(seeded.path)
    frame = pd.read_csv(seeded.path / "report" / "effects.csv")
    assert set(frame["metric"]) == {"test_top1", "test_linear_top1", "test_knn_top1"}
    main = frame[frame["metric"] == "test_top1"]
    assert main["kind"].value_counts().to_dict() == {
        "cell": 4,
        "mean_first": 2,
        "mean_second": 2,
        "mean_all": 1,
        "order": 1,
        "main_first": 2,
        "main_second": 2,
        "interaction": 4,
        "against_mean": 4,
        "gain": 4,
        "best": 1,
        "best_corrected": 1,
        "selected": 4,
        "may_be_best": 4,
    }
    (order,) = main[main["kind"] == "order"].to_dict("records")
    assert (order["first"], order["second"], order["n"]) == ("FD", "TM", 3)
    assert order["value"] == pytest.approx(0.11)
    # t = 0.11 / (0.01 / sqrt(3)) = 19.05 with two degrees of freedom.
    assert order["p"] == order["p_holm"] == pytest.approx(0.00274, abs=1e-5)


def test_equal_records_give_equal_files(seeded: Run) -> None:
    path = seeded.path / "report" / "effects.csv"
    write_report(seeded.path)
    content = path.read_bytes()
    write_report(seeded.path)
    assert path.read_bytes() == content
