import math
from collections.abc import Callable

import pytest
from written_run import Run

from analysis.frames import load_run
from analysis.headlines import inputs_headline
from analysis.input_table import InputTable, input_frame, input_tables
from clar_sweeps.config import Trial

MakeTrial = Callable[..., Trial]
ONE, TWO = "resnet18_1d", "resnet18_2d"


def table_of(run: Run) -> InputTable:
    (table,) = input_tables(load_run(run.path).trials)
    return table


def test_rows_and_columns_keep_the_order_of_the_paper(run: Run, make: MakeTrial) -> None:
    run.plan(
        make("WN", encoder=TWO, dataset="fsdd"),
        make("FD", "TM", encoder=TWO, dataset="sc10"),
        make("FD", encoder=TWO, dataset="esc10"),
        make("FD", "TST", "PS", encoder=ONE, dataset="nsynth128"),
        make("FD", encoder=ONE, dataset="sc35"),
    )
    table = table_of(run)
    assert [column.label for column in table.columns] == [
        "esc10",
        "sc10",
        "sc35",
        "nsynth128",
        "fsdd",
    ]
    assert [(row.encoder, row.chain) for row in table.rows] == [
        (ONE, ("FD",)),
        (ONE, ("FD", "TST", "PS")),
        (TWO, ("FD",)),
        (TWO, ("FD", "TM")),
        (TWO, ("WN",)),
    ]


def test_ours_stand_beside_the_papers_with_a_difference(run: Run, make: MakeTrial) -> None:
    trials = [
        make("FD", "TM", dataset="sc10"),
        make("FD", "TM", dataset="spoken-digits"),
        make("FD", "TM", dataset="esc50"),
        make("WN", dataset="sc10"),
    ]
    run.plan(*trials)
    for trial, test in zip(trials[:2], (0.853, 0.60), strict=True):
        run.done(trial, test=test)
    table = table_of(run)
    chain = next(row for row in table.rows if row.chain == ("FD", "TM"))
    esc50, sc10, digits = chain.entries
    assert (sc10.published, sc10.difference) == (0.893, pytest.approx(0.853 - 0.893))
    # Of another dataset: for orientation, and no target.
    assert (digits.published, digits.difference) == (0.893, None)
    assert table.columns[2].paper == ("SC-10", False, False)
    # No result yet: nothing to take a difference of.
    assert (esc50.published, esc50.difference) == (0.337, None)
    noise = next(row for row in table.rows if row.chain == ("WN",))
    assert noise.entries[0].cell is None
    assert noise.entries[1].published is None


def test_recordings_of_ones_own_have_no_published_number(run: Run, make: MakeTrial) -> None:
    run.plan(make("FD", dataset="folder", folder="birds"))
    table = table_of(run)
    assert table.columns[0].label == "birds (own recordings)"
    assert table.columns[0].paper is None
    assert table.columns[0].chance is None
    assert table.rows[0].entries[0].published is None


def test_two_folders_of_recordings_are_two_columns(run: Run, make: MakeTrial) -> None:
    run.plan(*(make("FD", dataset="folder", folder=name) for name in ("birds", "bells")))
    assert [column.folder for column in table_of(run).columns] == ["birds", "bells"]


def test_seeds_are_averaged_and_states_told_apart(run: Run, make: MakeTrial) -> None:
    trials = [make("FD", dataset="sc10", seed=seed) for seed in (0, 1, 2)]
    other = make("FD", dataset="sc35")
    run.plan(*trials, other)
    run.done(trials[0], test=0.60)
    run.done(trials[1], test=0.62)
    run.failed(trials[2])
    run.diverged(other)
    sc10, sc35 = table_of(run).rows[0].entries
    assert sc10.cell is not None
    assert sc10.cell.estimate.mean == pytest.approx(0.61)
    assert (sc10.cell.estimate.n, sc10.cell.num_trials) == (2, 3)
    assert sc35.cell is not None
    assert sc35.cell.state == "diverged"
    assert math.isnan(sc35.cell.estimate.mean)


def test_the_duel_is_between_rows_chosen_on_validation(run: Run, make: MakeTrial) -> None:
    for seed in (0, 1):
        run.done(make("FD", encoder=ONE, seed=seed), test=0.50 + 0.1 * seed)
        run.done(make("FD", "TST", encoder=ONE, seed=seed), test=0.90, valid=0.10)
        run.done(make("FD", "TM", encoder=TWO, seed=seed), test=0.55 + 0.102 * seed)
    chains = ((ONE, ("FD",)), (ONE, ("FD", "TST")), (TWO, ("FD", "TM")))
    run.plan(*(make(*chain, encoder=encoder, seed=seed) for encoder, chain in chains
               for seed in (0, 1)))  # fmt: skip
    table = table_of(run)
    (duel,) = table.duels
    assert (duel.best_encoder, duel.best.chain) == (TWO, ("FD", "TM"))
    assert duel.difference is not None
    assert duel.difference.mean == pytest.approx(0.051)
    headline = inputs_headline(table)
    assert "the row chosen on validation is 2-D FD → TM, with 60.1% ± 64.8 on test" in headline
    assert "2-D leads 1-D by 5.1 ± 1.3 points" in headline


def test_seeds_that_disagree_do_not_tell_the_encoders_apart(run: Run, make: MakeTrial) -> None:
    for seed, test in ((0, 0.40), (1, 0.70)):
        run.done(make("FD", encoder=ONE, seed=seed), test=0.50)
        run.done(make("FD", encoder=TWO, seed=seed), test=test)
    run.plan(*(make("FD", encoder=encoder, seed=seed) for encoder in (ONE, TWO) for seed in (0, 1)))
    assert "2-D lies 5.0 ± 190.6 points above 1-D, which 2 seeds do not tell apart" in (
        inputs_headline(table_of(run))
    )


def test_untrained_encoders_and_chance_stand_below(run: Run, make: MakeTrial) -> None:
    run.plan(make("FD", encoder=ONE), make("FD", encoder=TWO))
    run.untrained(make("FD", encoder=TWO), test=0.25)
    table = table_of(run)
    assert [row.encoder for row in table.untrained] == [ONE, TWO]
    assert table.untrained[0].estimates[0].n == 0
    assert table.untrained[1].estimates[0].mean == 0.25
    assert table.columns[0].chance == pytest.approx(0.1)


def test_a_run_without_a_result_says_so(run: Run, make: MakeTrial) -> None:
    run.plan(make("FD"), make("TM"))
    table = table_of(run)
    assert table.duels == ()
    assert inputs_headline(table) == "None of 2 cells has a result yet."


def test_a_field_of_one_encoder_splits_the_table_and_leaves_the_other_in_both(
    run: Run, make: MakeTrial
) -> None:
    run.plan(
        make("FD", encoder=ONE, stem="paper"),
        make("FD", encoder=ONE, stem="released"),
        make("FD", encoder=TWO),
    )
    tables = input_tables(load_run(run.path).trials)
    assert [table.setting for table in tables] == ["stem paper", "stem released"]
    assert [len(table.rows) for table in tables] == [2, 2]


def test_the_long_table_has_fractions(run: Run, make: MakeTrial) -> None:
    trial = make("FD", "TM", dataset="sc10")
    run.plan(trial)
    run.done(trial, test=0.80)
    row = input_frame([table_of(run)]).iloc[0]
    assert (row["value"], row["published"], row["state"]) == (0.80, 0.893, "done")
    assert row["paper_dataset"] == "SC-10"
