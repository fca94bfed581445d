import math
from collections.abc import Callable

import pytest
from written_run import Run, label_trials

from analysis.cells import TrialRows
from analysis.curves import Curve, LearningCurves, curves_frame, evaluations, learning_curves
from analysis.frames import load_run
from analysis.label_table import label_tables
from clar_sweeps.config import Trial

MakeTrial = Callable[..., Trial]


def curves_of(run: Run) -> LearningCurves:
    frames = load_run(run.path)
    (table,) = label_tables(frames.trials)
    return learning_curves(TrialRows(frames.trials), evaluations(frames.history), table)


def points_of(curve: Curve) -> dict[int, float]:
    return {point.epoch: round(point.estimate.mean, 6) for point in curve.points}


def test_every_share_has_a_panel_with_all_methods(labels: Run) -> None:
    curves = curves_of(labels)
    assert [panel.share for panel in curves.panels] == [1.0, 0.2, 0.1, 0.01]
    for panel in curves.panels:
        assert [curve.method for curve in panel.curves] == ["supervised", "simclr", "clar"]


def test_points_are_the_evaluated_epochs_alone(labels: Run) -> None:
    supervised, simclr, clar = curves_of(labels).panels[1].curves
    assert points_of(supervised) == {3: 0.40, 6: 0.80}
    assert points_of(simclr) == {3: 0.35, 6: 0.70}
    assert points_of(clar) == {3: 0.425, 6: 0.85}


def test_simclr_is_the_same_in_every_panel(labels: Run) -> None:
    panels = curves_of(labels).panels
    assert len({panel.curves[1] for panel in panels}) == 1


def test_one_seed_has_no_band(labels: Run) -> None:
    point = curves_of(labels).panels[0].curves[0].points[0]
    assert point.estimate.n == 1
    assert math.isnan(point.estimate.half_width)


def test_seeds_are_averaged_at_each_epoch_as_far_as_they_have_come(
    run: Run, make: MakeTrial
) -> None:
    trials = [make("FD", method="supervised", eval_every=2, seed=seed) for seed in (0, 1)]
    run.plan(*trials)
    run.done(trials[0], test=0.8, curve={2: 0.4, 4: 0.6, 6: 0.8})
    run.evaluated(trials[1], {2: 0.5, 4: 0.7}, epochs=5)
    (curve,) = curves_of(run).panels[0].curves
    assert points_of(curve) == {2: 0.45, 4: 0.65, 6: 0.80}
    assert [point.estimate.n for point in curve.points] == [2, 2, 1]
    # t(0.975, 1) = 12.7062; the half of the distance of two values is their standard error.
    assert curve.points[0].estimate.half_width == pytest.approx(12.7062 * 0.05, rel=1e-5)
    assert (curve.num_trials, curve.num_done, curve.num_left_out) == (2, 1, 0)


def test_a_failed_trial_is_left_out_and_counted(run: Run, make: MakeTrial) -> None:
    trials = [make("FD", method="supervised", eval_every=2, seed=seed) for seed in (0, 1)]
    run.plan(*trials)
    run.done(trials[0], test=0.8, curve={2: 0.4})
    run.evaluated(trials[1], {2: 0.1}, epochs=2)
    run.failed(trials[1])
    (curve,) = curves_of(run).panels[0].curves
    assert points_of(curve)[2] == 0.4
    assert (curve.num_trials, curve.num_left_out) == (1, 1)


def test_before_any_evaluation_there_are_no_points(run: Run) -> None:
    run.plan(*label_trials())
    curves = curves_of(run)
    assert len(curves.panels) == 4
    assert not any(curve.points for panel in curves.panels for curve in panel.curves)
    assert curves_frame([curves]).empty


def test_the_long_table_has_a_row_a_point(labels: Run) -> None:
    frame = curves_frame([curves_of(labels)])
    assert len(frame) == 4 * 3 * 2
    row = frame[(frame["label_fraction"] == 0.01) & (frame["method"] == "clar")].iloc[0]
    assert (row["epoch"], row["value"], row["num_seeds"]) == (3, 0.325, 1)
