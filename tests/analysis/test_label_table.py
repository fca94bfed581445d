import math
from collections.abc import Callable

import pandas as pd
import pytest
from written_run import Run, label_trials

from analysis.frames import load_run, study_of
from analysis.headlines import labels_headline
from analysis.label_table import LabelTable, label_frame, label_tables
from analysis.studies import find
from clar_sweeps.config import Trial

MakeTrial = Callable[..., Trial]


def tables_of(run: Run) -> list[LabelTable]:
    return label_tables(load_run(run.path).trials)


def values_of(table: LabelTable) -> dict[tuple[str, str | None], list[float]]:
    return {
        (row.method, row.budget): [
            entry.cell.estimate.mean if entry.cell else math.nan for entry in row.entries
        ]
        for row in table.rows
    }


def test_rows_are_methods_and_columns_shares(labels: Run) -> None:
    (table,) = tables_of(labels)
    assert table.shares == (1.0, 0.2, 0.1, 0.01)
    assert values_of(table) == {
        ("supervised", "epochs"): [0.90, 0.80, 0.60, 0.20],
        ("simclr", None): [0.70],
        ("clar", None): [0.95, 0.85, 0.75, 0.65],
    }
    assert table.rows[1].spans
    assert table.untrained.mean == pytest.approx(0.30)
    assert table.chance == pytest.approx(0.10)


def test_a_run_of_three_methods_has_nine_trials_for_twelve_cells(labels: Run) -> None:
    frames = load_run(labels.path)
    assert frames.study == study_of(frames.sweep) == "labels"
    assert len(frames.trials) == 9
    assert frames.trials["label_fraction"].isna().sum() == 1


def test_numbers_of_another_dataset_are_no_target(labels: Run) -> None:
    (table,) = tables_of(labels)
    assert table.paper == ("SC-10", False, False)
    supervised = table.rows[0].entries
    assert [entry.published for entry in supervised] == [0.949, 0.864, 0.684, 0.286]
    assert table.rows[1].entries[0].published == 0.848
    assert all(entry.difference is None for row in table.rows for entry in row.entries)


def test_on_the_papers_dataset_encoder_and_chain_there_is_a_difference(run: Run) -> None:
    trials = label_trials(dataset="sc10")
    run.plan(*trials)
    run.done(trials[0], test=0.909)
    (table,) = tables_of(run)
    entry = table.rows[0].entries[0]
    assert entry.difference == pytest.approx(0.909 - 0.949)
    assert table.rows[0].entries[1].difference is None  # no result yet


def test_a_part_of_the_papers_dataset_has_no_difference(run: Run) -> None:
    trials = label_trials(dataset="sc10")
    run.plan(*trials)
    run.done(trials[0], test=0.909, provenance={"clips": {"train": 62, "valid": 9, "test": 9}})
    (study,) = find(load_run(run.path)).labels
    assert study.table.paper == ("SC-10", False, True)
    assert study.table.rows[0].entries[0].published == 0.949
    assert study.table.rows[0].entries[0].difference is None
    assert "training clips 62 instead of 18,620" in str(study.protocol)


@pytest.mark.parametrize("fields", [{"encoder": "resnet18_1d"}, {"chain": ("FD", "TM", "TS")}])
def test_another_encoder_or_chain_has_no_difference(run: Run, fields: dict[str, object]) -> None:
    trials = label_trials(dataset="sc10", **fields)  # type: ignore[arg-type]  # one of two
    run.plan(*trials)
    run.done(trials[0], test=0.909)
    (table,) = tables_of(run)
    assert table.rows[0].entries[0].published == 0.949
    assert table.rows[0].entries[0].difference is None


def test_a_dataset_that_is_nowhere_near_has_no_published_number(run: Run) -> None:
    run.plan(*label_trials(dataset="esc10"))
    frames = load_run(run.path)
    (study,) = find(frames).labels
    assert study.table.paper is None
    assert all(entry.published is None for row in study.table.rows for entry in row.entries)
    assert study.footnotes == ()


def test_equal_steps_have_a_row_that_shares_the_cell_of_all_labels(
    run: Run, make: MakeTrial
) -> None:
    trials = [
        make("FD", "TM", method="supervised", label_fraction=1.0),
        make("FD", "TM", method="supervised", label_fraction=0.1),
        make("FD", "TM", method="supervised", label_fraction=0.1, supervised_budget="steps"),
    ]
    run.plan(*trials)
    for trial, test in zip(trials, (0.90, 0.50, 0.60), strict=True):
        run.done(trial, test=test)
    (table,) = tables_of(run)
    assert values_of(table) == {
        ("supervised", "epochs"): [0.90, 0.50],
        ("supervised", "steps"): [0.90, 0.60],
    }
    # With all labels the two rows are one trial: nobody leads there.
    assert [lead.share for lead in table.leads] == [0.1]
    assert [entry.is_best for entry in table.rows[1].entries] == [True, True]
    assert [entry.published for entry in table.rows[1].entries] == [None, None]


def test_leader_and_second_are_chosen_on_validation(labels: Run, make: MakeTrial) -> None:
    chosen = make("FD", "TM", method="supervised", label_fraction=0.2, eval_every=3)
    labels.done(chosen, test=0.80, valid=0.99)
    (table,) = tables_of(labels)
    lead = next(lead for lead in table.leads if lead.share == 0.2)
    assert (lead.leader.method, lead.second.method) == ("supervised", "clar")
    assert lead.difference.mean == pytest.approx(0.80 - 0.85)
    bests = {row.method: [entry.is_best for entry in row.entries] for row in table.rows}
    assert bests["supervised"] == [False, True, False, False]
    assert bests["simclr"] == [False]


def test_a_lead_is_paired_by_seed(run: Run) -> None:
    for seed, shift in ((0, 0.0), (1, 0.2), (2, 0.1)):
        lead = 0.05 + 0.001 * seed
        for trial in label_trials(seed=seed):
            run.done(trial, test=0.4 + shift + (lead if trial.config.method == "clar" else 0))
    run.plan(*(trial for seed in range(3) for trial in label_trials(seed=seed)))
    (table,) = tables_of(run)
    # The seeds share their ups and downs: they are in no interval of a difference.
    assert table.leads[0].difference.mean == pytest.approx(0.051)
    assert table.leads[0].difference.half_width == pytest.approx(0.0025, abs=1e-4)
    assert (
        "with 100% of the labels CLAR is chosen on validation, and on test CLAR leads supervised "
        "by 5.1 ± 0.2 points"
    ) in labels_headline(table)


def test_states_are_told_apart_and_nothing_counts_as_zero(run: Run) -> None:
    trials = label_trials()
    run.plan(*trials)
    run.failed(trials[0])
    run.open(trials[1], epochs=3)
    (table,) = tables_of(run)
    cells = [entry.cell for entry in table.rows[0].entries]
    assert [cell and cell.state for cell in cells] == ["failed", "unfinished", "missing", "missing"]
    assert all(math.isnan(cell.estimate.mean) for cell in cells if cell)
    assert table.leads == ()
    assert "none of 9 cells has a result yet" in labels_headline(table)


def test_a_place_that_is_not_planned_is_not_missing(run: Run, make: MakeTrial) -> None:
    run.plan(
        make("FD", "TM", method="supervised", label_fraction=1.0),
        make("FD", "TM", method="clar", label_fraction=0.1),
    )
    (table,) = tables_of(run)
    assert table.rows[0].entries[1].cell is None
    assert label_frame([table])["state"].tolist() == [
        "missing",
        "not planned",
        "not planned",
        "missing",
    ]


def test_a_setting_has_a_table_of_its_own_that_shares_what_it_does_not_touch(
    run: Run, make: MakeTrial
) -> None:
    trials = [
        make("FD", "TM", method="supervised", label_fraction=0.1),
        make("FD", "TM"),
        make("FD", "TM", method="clar", label_fraction=0.1, unlabelled="keep"),
        make("FD", "TM", method="clar", label_fraction=0.1, unlabelled="drop"),
    ]
    run.plan(*trials)
    for trial, test in zip(trials, (0.5, 0.6, 0.7, 0.4), strict=True):
        run.done(trial, test=test)
    first, second = tables_of(run)
    assert [table.panel.setting for table in (first, second)] == [
        "unlabelled keep",
        "unlabelled drop",
    ]
    assert values_of(first)["clar", None] == [0.7]
    assert values_of(second)["clar", None] == [0.4]
    assert values_of(first)["simclr", None] == values_of(second)["simclr", None] == [0.6]


def test_what_differs_between_methods_alone_is_no_setting(run: Run, make: MakeTrial) -> None:
    run.plan(
        make("FD", "TM", method="simclr", temperature=0.1, batch_size=128),
        make("FD", "TM", method="supervised", batch_size=256),
    )
    (table,) = tables_of(run)
    assert [row.method for row in table.rows] == ["supervised", "simclr"]
    assert table.panel.setting == ""


def test_the_long_table_says_every_place_once(labels: Run) -> None:
    frame = label_frame(tables_of(labels))
    assert frame.groupby("method").size().to_dict() == {"clar": 4, "simclr": 1, "supervised": 4}
    simclr = frame[frame["method"] == "simclr"].iloc[0]
    assert pd.isna(simclr["label_fraction"])
    assert (simclr["value"], simclr["published"]) == (0.70, 0.848)
