import math

import numpy as np
import pandas as pd
import pytest
from written_run import Run

from analysis.cells import TrialRows
from analysis.frames import load_run
from analysis.report import write_report
from analysis.stability import RankStability, rank_stability, stability_frame, take_apart

# Of FD, FD-TM, TM-FD and TM at each evaluated epoch.
EARLY = {2: (0.4, 0.3, 0.2, 0.1), 4: (0.2, 0.4, 0.3, 0.1), 6: (0.3, 0.6, 0.5, 0.2)}
LATE = {2: (0.2, 0.4, 0.3, 0.1), 4: (0.1, 0.2, 0.3, 0.4), 6: (0.1, 0.3, 0.2, 0.25)}


def write(run: Run, *by_seed: dict[int, tuple[float, ...]]) -> None:
    seeds = tuple(range(len(by_seed)))
    trials = iter(run.plan_pairs("FD", "TM", seeds=seeds, eval_every=2))
    for values in by_seed:
        for place in range(4):
            curve = {epoch: tests[place] for epoch, tests in values.items()}
            run.done(next(trials), test=curve[6], curve=curve)


def stability_of(run: Run) -> RankStability:
    frames = load_run(run.path)
    rows = TrialRows(frames.trials)
    return rank_stability(rows, take_apart(frames.history), rows.panels[0])


def test_rankings_are_compared_with_that_of_the_end(run: Run) -> None:
    write(run, EARLY)
    found = stability_of(run)
    assert found.epochs == (2, 4, 6)
    # Four of six pairs are as at the end, two are not; then all are.
    np.testing.assert_allclose(found.taus[:, 0], [1 / 3, 1, 1])
    assert found.stable_from == 4
    assert found.chosen == (("FD",), ("FD", "TM"), ("FD", "TM"))
    assert found.is_chosen_at_end == (False, True, True)
    assert np.isnan(found.mean.half_width).all()


def test_seeds_are_ranked_by_themselves_and_averaged(run: Run) -> None:
    write(run, EARLY, LATE)
    found = stability_of(run)
    assert found.seeds == (0, 1)
    assert found.taus.shape == (3, 2)
    np.testing.assert_allclose(found.mean.mean, found.taus.mean(axis=1))
    assert found.stable_from == 6
    assert found.mean.n.tolist() == [2, 2, 2]
    assert np.isfinite(found.mean.half_width).all()


def test_a_run_that_was_not_evaluated_at_its_end_has_no_stability(square: Run) -> None:
    found = stability_of(square)
    assert (found.epochs, found.stable_from, found.chosen) == ((), None, ())
    assert stability_frame([found]).empty


def test_trials_that_are_not_done_take_no_part(run: Run) -> None:
    trials = run.plan_pairs("FD", "TM", eval_every=2)
    for place, trial in enumerate(trials[:3]):
        run.done(trial, test=EARLY[6][place], curve={e: v[place] for e, v in EARLY.items()})
    run.evaluated(trials[3], dict.fromkeys(EARLY, 0.99), epochs=6)
    found = stability_of(run)
    assert found.chosen == (("FD",), ("FD", "TM"), ("FD", "TM"))
    assert found.taus[0, 0] == pytest.approx(-1 / 3)


def test_the_report_has_a_row_a_seed_and_one_for_their_mean(run: Run) -> None:
    write(run, EARLY, LATE)
    write_report(run.path)
    frame = pd.read_csv(run.path / "report" / "rank_stability.csv")
    assert frame["epoch"].tolist() == [2, 2, 2, 4, 4, 4, 6, 6, 6]
    first, second, mean = frame.to_dict("records")[:3]
    assert (first["seed"], second["seed"]) == (0, 1)
    assert math.isnan(mean["seed"])
    assert mean["tau"] == pytest.approx((first["tau"] + second["tau"]) / 2)
    assert mean["chosen"] == "FD+TM"
    assert bool(mean["chosen_at_end"])
    assert not mean["stable"]
    assert frame["stable"].tolist()[-1]
