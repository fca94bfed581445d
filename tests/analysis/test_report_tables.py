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
    return re.findall(r"<h2>(.*?)</h2>", report.page.read_text(encoding="utf-8"))


def test_a_label_run_has_its_files(labels_report: Report) -> None:
    assert {path.name for path in labels_report.files} == {
        "cells.csv",
        "history.csv",
        "index.html",
        "label_table.csv",
        "label_table.png",
        "label_table.svg",
        "label_table.tex",
        "learning_curves.csv",
        "learning_curves.png",
        "learning_curves.svg",
        "report.md",
        "trials.csv",
    }


def test_the_headline_of_labels_says_who_leads_at_which_share(labels_report: Report) -> None:
    (headline,) = labels_report.headlines
    at_one = "at the one seed that both have"
    assert headline == (
        "On spoken-digits (medium) with the 2-D encoder, trained with FD → TM: "
        f"with 100% of the labels CLAR lies 5.0 points above supervised {at_one}; "
        f"with 20% of the labels CLAR lies 5.0 points above supervised {at_one}; "
        f"with 10% of the labels CLAR lies 5.0 points above SimCLR {at_one}; "
        f"with 1% of the labels SimCLR lies 5.0 points above CLAR {at_one}. "
        "The untrained encoder has 30.0%."
    )


def test_figures_stand_above_tables_above_notes(labels_report: Report) -> None:
    order = ["Results", "Beside the paper", "Notes", "Trials", "Provenance", "Rebuild"]
    assert headings(labels_report) == order


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
    assert 'colspan="4">70.0<small>paper 84.8</small>' in html
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
    assert "best row is 2-D FD with 80.0%; 2-D lies 10.0 points above 1-D" in report.headlines[0]
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
