import math
import re
from collections.abc import Callable

import pandas as pd
import pytest
from read_report import page_of, svg_texts
from written_run import Run, label_trials, write_labels

from analysis.report import Report, write_report
from clar_sweeps.config import Trial

MakeTrial = Callable[..., Trial]


@pytest.fixture
def inputs(run: Run, make: MakeTrial) -> Run:
    """FD on two datasets and both encoders: sc10 0.70 and 0.80, spoken-digits 0.50 and missing."""
    trials = [
        make("FD", encoder=encoder, dataset=dataset)
        for dataset in ("sc10", "spoken-digits")
        for encoder in ("resnet18_1d", "resnet18_2d")
    ]
    run.plan(*trials)
    for trial, test in zip(trials, (0.70, 0.80, 0.50), strict=False):
        run.done(trial, test=test)
    return run


@pytest.fixture(scope="module")
def labels_report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of the nine trials of `labels`."""
    run = Run(tmp_path_factory.mktemp("labels") / "run")
    write_labels(run)
    return write_report(run.path)


def headings(report: Report) -> list[str]:
    return re.findall(r"<h2[^>]*>(.*?)</h2>", report.page.read_text(encoding="utf-8"))


def test_a_label_run_has_its_files(labels_report: Report) -> None:
    assert {path.name for path in labels_report.files} == {
        "cells.csv",
        "cells.parquet",
        "history.csv",
        "history.parquet",
        "index.html",
        "label_table.csv",
        "label_table.parquet",
        "label_table.pdf",
        "label_table.png",
        "label_table.svg",
        "label_table.tex",
        "learning_curves.csv",
        "learning_curves.parquet",
        "learning_curves.pdf",
        "learning_curves.png",
        "learning_curves.svg",
        "report.md",
        "trials.csv",
        "trials.parquet",
        "verdicts.csv",
        "verdicts.parquet",
    }


def test_the_headline_of_labels_says_who_leads_at_which_share(labels_report: Report) -> None:
    (headline,) = labels_report.headlines
    at_one = "at the one seed that both have"
    assert headline == (
        "On spoken-digits (medium) with the 2-D encoder, trained with FD → TM: "
        f"with 100% of the labels CLAR is chosen on validation, and on test "
        f"CLAR lies 5.0 points above supervised {at_one}; "
        f"with 20% of the labels CLAR is chosen on validation, and on test "
        f"CLAR lies 5.0 points above supervised {at_one}; "
        f"with 10% of the labels CLAR is chosen on validation, and on test "
        f"CLAR lies 5.0 points above SimCLR {at_one}; "
        f"with 1% of the labels SimCLR is chosen on validation, and on test "
        f"SimCLR lies 5.0 points above CLAR {at_one}. "
        "The untrained encoder has 30.0%."
    )


def test_figures_stand_above_tables_above_notes(labels_report: Report) -> None:
    order = ["Results", "Beside the paper", "Verdicts", "Notes", "Trials", "Provenance"]
    assert headings(labels_report) == [*order, "Cite and rebuild"]


def test_a_table_opens_with_what_is_no_reproduction(labels_report: Report) -> None:
    line = (
        "Not a reproduction: dataset spoken-digits (medium) instead of SC-10, epochs 6 instead of "
        "1000, width 8 instead of 64, warm-up epochs 1 instead of 10, evaluation every (epochs) 3 "
        "instead of 10."
    )
    assert line in page_of(labels_report).texts
    folder = labels_report.page.parent
    assert f"**{line}**" in (folder / "report.md").read_text()
    assert line in (folder / "label_table.tex").read_text()
    for name in ("label_table.svg", "learning_curves.svg"):
        assert "Not a reproduction: dataset" in " ".join(svg_texts(folder / name))


def test_the_label_table_has_one_value_of_simclr_for_all_shares(labels_report: Report) -> None:
    html = " ".join(labels_report.page.read_text(encoding="utf-8").split())
    assert re.search(
        r'colspan="4"> ?<a href="trials/\w+.html">70.0</a> <small>paper 84.8</small>', html
    )
    markdown = (labels_report.page.parent / "report.md").read_text()
    assert "| **SimCLR** | 70.0 (paper 84.8) | ← | ← | ← |" in markdown
    assert "| **CLAR** | **95.0** ◂ (paper 96.1) | **85.0** ◂ (paper 90.5) |" in markdown
    assert "| untrained | 30.0 | ← | ← | ← |" in markdown


def test_the_label_figure_has_shares_and_methods(labels_report: Report) -> None:
    texts = svg_texts(labels_report.page.parent / "label_table.svg")
    for text in ("100%", "20%", "10%", "1%", "supervised", "SimCLR", "CLAR", "untrained 30.0"):
        assert text in texts
    assert "the paper, on SC-10" in texts


def test_unfinished_label_runs_show_their_curves_so_far(run: Run) -> None:
    trials = label_trials(eval_every=2)
    run.plan(*trials)
    run.evaluated(trials[0], {2: 0.4, 4: 0.5}, epochs=5)
    run.failed(trials[1])
    report = write_report(run.path)
    texts = svg_texts(run.path / "report" / "learning_curves.svg")
    assert any("Still running: curves so far" in text for text in texts)
    assert texts.count("no evaluation yet") == 3
    assert "none of 9 cells has a result yet" in report.headlines[0]
    markdown = (run.path / "report" / "report.md").read_text()
    assert "| **supervised** | epoch 5/6 (paper 94.9) | failed (paper 86.4) | – (paper" in markdown
    history = pd.read_csv(run.path / "report" / "learning_curves.csv")
    assert history["value"].tolist() == [0.4, 0.5]


def test_an_input_run_stands_beside_table_1(inputs: Run) -> None:
    report = write_report(inputs.path)
    markdown = (inputs.path / "report" / "report.md").read_text()
    header = "| operations | sc10 | spoken-digits (medium) (paper: SC-10, another dataset) |"
    assert header in markdown
    assert "| **FD** | 70.0 (paper 67.7: +2.3) | **50.0** ◂ (paper 67.7) |" in markdown
    assert "| **FD** | **80.0** ◂ (paper 70.2: +9.8) | – (paper 70.2) |" in markdown
    assert "is 2-D FD, with 80.0% on test; 2-D lies 10.0 points above 1-D" in report.headlines[0]
    assert "So far 3 of 4 cells have a result." in report.headlines[0]
    texts = svg_texts(inputs.path / "report" / "input_table.svg")
    assert "missing" in texts
    assert "hollow: the paper on SC-10" in texts


def test_a_matrix_shows_what_the_paper_prints_of_it(square: Run) -> None:
    report = write_report(square.path)
    texts = svg_texts(square.path / "report" / "matrix_test_top1.svg")
    assert "The paper, on SC-10: mean 67.0 ± 1.36, highest 89.3." in texts
    markdown = (square.path / "report" / "report.md").read_text()
    assert "| **2-D encoder** | 67.5 (paper 67.0 ± 1.36) | 90.0 (paper 89.3) | 40.0 |" in markdown
    assert "The paper prints no single cell of Figure 4." in page_of(report).texts


def test_the_papers_protocol_is_called_so(run: Run, make: MakeTrial) -> None:
    fields = {"epochs": 1000, "warmup_epochs": 10.0, "width": 64, "eval_every": 10}
    run.plan(make("FD", "TM", dataset="sc10", **fields))
    report = write_report(run.path)
    assert "Protocol as in the paper." in page_of(report).texts
    assert "Not a reproduction" not in report.page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["square", "labels", "inputs"])
def test_equal_records_give_equal_files(name: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(name)
    first = write_report(run.path)
    contents = [path.read_bytes() for path in first.files]
    again = write_report(run.path)
    assert [path.read_bytes() for path in again.files] == contents


def test_bold_says_what_it_leaves_out_where_simclr_leads(labels_report: Report) -> None:
    note = (
        "Bold is the highest of its column on validation; SimCLR, whose value spans all columns, "
        "is bold only where it leads everywhere on validation."
    )
    assert note in page_of(labels_report).texts


def test_bold_needs_no_exception_where_simclr_leads_nowhere(run: Run) -> None:
    trials = label_trials()
    run.plan(*trials)
    for trial in trials:
        run.done(trial, test=0.2 if trial.config.method == "simclr" else 0.8)
    texts = page_of(write_report(run.path)).texts
    assert "Bold is the highest of its column on validation." in texts


def test_below_a_headline_stands_what_it_is_not(inputs: Run) -> None:
    report = write_report(inputs.path)
    line = (
        "Not the paper's protocol: dataset spoken-digits (medium) instead of SC-10, epochs 6 "
        "instead of 1000, width 8 instead of 64, and 1 more."
    )
    assert report.protocols == (line,)
    assert str(report).splitlines()[:2] == [report.headlines[0], line]
    texts = page_of(report).texts
    assert texts[texts.index(report.headlines[0]) + 1] == line


def test_a_part_of_a_dataset_is_named_where_the_paper_stands_beside_it(
    run: Run, make: MakeTrial
) -> None:
    trials = [make("FD", dataset=name) for name in ("sc10", "sc35")]
    run.plan(*trials)
    run.done(
        trials[0], test=0.7, provenance={"clips": {"train": 62, "valid": 2_494, "test": 2_552}}
    )
    run.done(trials[1], test=0.7)
    report = write_report(run.path)
    texts = page_of(report).texts
    assert "paper: SC-10, all of its clips" in texts
    assert "training clips of sc10 62 instead of 18,620" in report.protocols[0]
    table = pd.read_csv(report.page.parent / "input_table.csv").set_index("dataset")
    assert math.isnan(table.loc["sc10", "difference"])
    assert not math.isnan(table.loc["sc35", "difference"])
    assert "sc35 clips" not in report.protocols[0]


def test_results_of_different_clips_are_told(run: Run, make: MakeTrial) -> None:
    trials = [make("FD", seed=seed) for seed in (0, 1)]
    run.plan(*trials)
    run.done(trials[0], test=0.5)
    run.done(trials[1], test=0.6)
    told = "different sets of clips"
    assert not any(told in text for text in page_of(write_report(run.path)).texts)
    run.done(trials[1], test=0.6, provenance={"dataset_digest": "4567cdef"})
    assert (
        "Results of 2 different sets of clips of spoken-digits (medium) are averaged here: their "
        "digests are 0123abcd, 4567cdef. Compare trials of one set alone."
    ) in page_of(write_report(run.path)).texts


def test_every_table_scrolls_inside_its_card(labels_report: Report) -> None:
    html = labels_report.page.read_text(encoding="utf-8")
    cards = re.findall(r'<div class="scroll[^>]*><table>', html)
    assert len(cards) == html.count("<table>")
    assert re.search(r"\.scroll \{[^}]*overflow-x: auto", html)
