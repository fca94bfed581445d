import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from read_report import page_of, svg_texts
from written_run import Run, trial_of

from analysis.cells import panels
from analysis.figures import draw_matrices
from analysis.frames import load_run
from analysis.matrices import pair_matrix
from analysis.report import write_report
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError

MakeTrial = Callable[..., Trial]

# The one link that leads out of the report.
PAPER_ADDRESS = "https://arxiv.org/abs/2010.09542"


def test_a_report_has_its_files(square: Run) -> None:
    report = write_report(square.path)
    assert report.page == square.path / "report" / "index.html"
    assert all(path.stat().st_size for path in report.files)
    assert sorted(path.name for path in report.files) == [
        "cells.csv",
        "cells.parquet",
        "effects.csv",
        "effects.parquet",
        "effects.pdf",
        "effects.png",
        "effects.svg",
        "gain.pdf",
        "gain.png",
        "gain.svg",
        "history.csv",
        "history.parquet",
        "index.html",
        "matrix.csv",
        "matrix.parquet",
        "matrix_means.tex",
        "matrix_test_knn_top1.pdf",
        "matrix_test_knn_top1.png",
        "matrix_test_knn_top1.svg",
        "matrix_test_knn_top1_2d.tex",
        "matrix_test_linear_top1.pdf",
        "matrix_test_linear_top1.png",
        "matrix_test_linear_top1.svg",
        "matrix_test_linear_top1_2d.tex",
        "matrix_test_top1.pdf",
        "matrix_test_top1.png",
        "matrix_test_top1.svg",
        "matrix_test_top1_2d.tex",
        "rank_stability.csv",
        "rank_stability.parquet",
        "report.md",
        "trials.csv",
        "trials.parquet",
        "verdicts.csv",
        "verdicts.parquet",
    ]
    assert sorted(path.name for path in report.page.parent.iterdir()) == sorted(
        ["trials", *(path.name for path in report.files)]
    )


def test_the_headline_says_result_baseline_mean_and_spread(square: Run) -> None:
    report = write_report(square.path)
    assert report.headlines == (
        "On spoken-digits (medium) with the 2-D encoder the pair chosen on validation is fade "
        "in/out, then time mask (FD → TM), with 90.0% test top-1 against 40.0% "
        "for the untrained encoder. The 4 cells average 67.5%, from 50.0% to 90.0%.",
    )
    assert str(report).splitlines() == [
        *report.headlines,
        "Not the paper's protocol: dataset spoken-digits (medium) instead of SC-10, operations "
        "FD TM instead of PS FD WN TM TS TST, epochs 6 instead of 1000, and 2 more.",
        "4 trials: 4 done",
        f"report: {report.page}",
    ]


def test_one_seed_gets_no_interval_and_the_report_says_so(square: Run) -> None:
    report = write_report(square.path)
    note = "One seed a cell, so no interval can be given."
    assert note in page_of(report).texts
    assert "± 0" not in report.page.read_text()
    assert "| FD → TM | 90.0 | 90.0 | – |" in (square.path / "report" / "report.md").read_text()


def test_two_seeds_get_an_interval(square: Run, make: MakeTrial) -> None:
    square.done(make("FD", "TM", seed=1), test=0.88)
    report = write_report(square.path)
    # t(0.975, 1) * 0.01 = 0.127.
    assert "89.0% ± 12.7 test top-1" in report.headlines[0]
    texts = svg_texts(square.path / "report" / "matrix_test_top1.svg")
    assert "± 12.7" in texts


def test_selection_on_validation_is_told(square: Run, make: MakeTrial) -> None:
    square.done(make("TM", "FD"), test=0.70, valid=0.95)
    report = write_report(square.path)
    assert "time mask, then fade in/out (TM → FD), with 70.0%" in report.headlines[0]
    assert any(
        "chosen on validation top-1 and reported on test" in t for t in page_of(report).texts
    )
    assert "**70.0** ◂" in (square.path / "report" / "report.md").read_text()


def test_a_partial_run_tells_all_states_apart(ragged: Run) -> None:
    report = write_report(ragged.path)
    assert report.counts == {
        "done": 3,
        "failed": 1,
        "diverged": 1,
        "unfinished": 1,
        "missing": 3,
    }
    assert "The 3 of 9 cells that have a result average 60.0%" in report.headlines[0]
    assert "not evaluated yet" in report.headlines[0]
    markdown = (ragged.path / "report" / "report.md").read_text()
    assert "| **PS** | 50.0 | **70.0** ◂ | failed | **60.0** (2 of 3) |" in markdown
    assert "| **FD** | diverged | 60.0 | epoch 3/6 | **60.0** (1 of 3) |" in markdown
    assert "| **TM** | – | – | – | **–** (0 of 3) |" in markdown
    assert "| **mean** | **50.0** (1 of 3) | **65.0** (2 of 3) | **–** (0 of 3) |" in markdown
    assert "| PS-TM_2d_spoken-digits_s0 | failed | RuntimeError: out of memory |" in markdown
    assert "0.0 |" not in markdown.replace("50.0", "").replace("60.0", "").replace("70.0", "")


def test_the_picture_has_the_texts_of_all_cells(ragged: Run) -> None:
    write_report(ragged.path)
    texts = svg_texts(ragged.path / "report" / "matrix_test_top1.svg")
    for text in ("50.0", "70.0", "60.0", "65.0", "failed", "diverged", "epoch", "3/6"):
        assert text in texts
    assert texts.count("2 of 3") == 2
    assert "3 of 9" in texts
    for name in ("first augmentation", "second augmentation", "pitch shift", "fade in/out"):
        assert name in texts
    assert "0.0" not in texts


def test_a_run_without_any_result_has_a_report(run: Run) -> None:
    run.plan_pairs("FD", "TM")
    report = write_report(run.path)
    assert report.headlines == (
        "On spoken-digits (medium) with the 2-D encoder none of 4 cells has a result yet.",
    )
    assert report.counts["missing"] == report.num_trials == 4
    texts = svg_texts(run.path / "report" / "matrix_test_top1.svg")
    assert not [text for text in texts if text.replace(".", "").isdigit()]
    assert page_of(report).texts


def test_only_failures_have_a_report(run: Run) -> None:
    for trial in run.plan_pairs("FD", "TM"):
        run.failed(trial, message="a | b\nc <d>")
    report = write_report(run.path)
    assert "RuntimeError: a | b c <d>" in page_of(report).texts
    assert r"RuntimeError: a \| b c \<d>" in (run.path / "report" / "report.md").read_text()


def test_a_sweep_without_pairs_gets_tables(run: Run, make: MakeTrial) -> None:
    trials = [make("FD"), make("FD", "TM", "TS")]
    run.plan(*trials)
    run.done(trials[0], test=0.50)
    run.done(trials[1], test=0.80)
    report = write_report(run.path)
    assert not [path for path in report.files if "matrix" in path.name]
    assert "FD → TM → TS" in page_of(report).texts
    markdown = (run.path / "report" / "report.md").read_text()
    assert "| FD → TM → TS | 80.0 | 80.0 | – | – | 1 of 1 |" in markdown


def test_encoders_share_a_figure(run: Run, make: MakeTrial) -> None:
    trials = [
        make(*pair, encoder=encoder)
        for encoder in ("resnet18_2d", "resnet18_1d")
        for pair in (("FD",), ("FD", "TM"), ("TM", "FD"), ("TM",))
    ]
    run.plan(*trials, operations=("FD", "TM"))
    for place, trial in enumerate(trials):
        run.done(trial, test=0.50 + 0.01 * place)
    report = write_report(run.path)
    texts = svg_texts(run.path / "report" / "matrix_test_top1.svg")
    titles = [text for text in texts if text.startswith("spoken-digits")]
    assert titles == [
        "spoken-digits (medium), 1-D encoder (ResNet-18)",
        "spoken-digits (medium), 2-D encoder (ResNet-18)",
    ]
    assert len(report.headlines) == 2


def test_settings_that_vary_get_a_figure_each(run: Run, make: MakeTrial) -> None:
    trials = [
        make(*pair, temperature=temperature)
        for temperature in (0.1, 0.5)
        for pair in (("FD",), ("FD", "TM"), ("TM", "FD"), ("TM",))
    ]
    run.plan(*trials, operations=("FD", "TM"))
    for trial in trials:
        run.done(trial, test=trial.config.temperature)
    names = {path.name for path in write_report(run.path).files}
    assert "matrix_test_top1_spoken-digits-medium-temperature-0.1.svg" in names
    matrix = pd.read_csv(run.path / "report" / "matrix.csv")
    corners = matrix[(matrix["kind"] == "mean_all") & (matrix["metric"] == "test_top1")]
    assert corners["value"].tolist() == [0.1, 0.5]


def test_the_page_is_sound_and_needs_no_network(ragged: Run) -> None:
    report = write_report(ragged.path)
    page = page_of(report)
    assert len(page.scripts) == 1
    assert len(page.ids) == len(set(page.ids))
    for address in set(page.addresses) - {PAPER_ADDRESS}:
        here = address.startswith(("#", "data:image/png;base64,"))
        assert here or (report.page.parent / address).exists()
    html = report.page.read_text(encoding="utf-8")
    for name in ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink", PAPER_ADDRESS):
        html = html.replace(name, "")
    assert "://" not in html
    assert "@import" not in html


def test_texts_of_a_user_are_escaped(square: Run) -> None:
    plan = square.path / "plan.json"
    data = json.loads(plan.read_text())
    plan.write_text(json.dumps({**data, "description": "<script>alert(1)</script> & more"}))
    page = page_of(write_report(square.path))
    assert len(page.scripts) == 1
    assert "alert" not in page.scripts[0]
    assert "<script>alert(1)</script> & more" in page.texts


def test_tables_come_back_as_they_were(ragged: Run) -> None:
    write_report(ragged.path)
    frame = load_run(ragged.path).trials
    back = pd.read_csv(ragged.path / "report" / "trials.csv").astype(frame.dtypes.to_dict())
    pd.testing.assert_frame_equal(back, frame)
    matrix = pd.read_csv(ragged.path / "report" / "matrix.csv")
    cell = matrix[(matrix["metric"] == "test_top1") & (matrix["kind"] == "cell")]
    assert cell["value"].tolist()[:2] == [0.50, 0.70]
    assert math.isnan(cell["value"].tolist()[2])


def test_left_out_and_further_records_are_told(square: Run, make: MakeTrial) -> None:
    square.done(make("PS", "WN"), test=0.99)
    square.done(make("FD", "TM", seed=4), test=0.80)
    texts = page_of(write_report(square.path)).texts
    assert "1 record of other configs is left out." in texts
    assert "1 trial at seeds beside those of the plan included." in texts


def test_a_damaged_record_is_told_and_the_rest_stands(square: Run, make: MakeTrial) -> None:
    (square.folder(make("FD", "TM")) / "summary.json").write_text("{")
    report = write_report(square.path)
    assert report.counts["failed"] == 1
    assert any("summary.json: is not readable JSON" in text for text in page_of(report).texts)
    assert "(TM → FD), with 70.0%" in report.headlines[0]


def test_a_folder_without_a_plan_leaves_no_report(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"plan\.json: does not exist"):
        write_report(tmp_path)
    assert not (tmp_path / "report").exists()


def test_a_report_goes_where_it_is_told(square: Run, tmp_path: Path) -> None:
    report = write_report(square.path, tmp_path / "else where")
    assert report.page.parent == tmp_path / "else where"
    assert not (square.path / "report").exists()
    assert any(text.startswith("clar-sweep report run ") for text in page_of(report).texts)


def test_drawing_leaves_no_global_figure_behind(square: Run) -> None:
    frames = load_run(square.path)
    (panel,) = panels(frames.trials)
    matrix = pair_matrix(frames.trials, frames.sweep.operations, panel)
    drawing = draw_matrices([matrix], "a_name")
    assert drawing.png.startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in sys.modules


def test_a_report_needs_neither_torch_nor_ray() -> None:
    code = (
        "import sys, analysis.report; "
        "print([name for name in ('torch', 'ray', 'matplotlib.pyplot') if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("evaluate_on", ["clean", "augmented"])
def test_a_report_says_when_the_untrained_encoder_had_another_test(
    tmp_path: Path, evaluate_on: str
) -> None:
    run = Run(tmp_path / "run")
    trial = trial_of("FD", evaluate_on=evaluate_on)
    run.plan(trial, operations=("FD", "TM"))
    run.done(trial, test=0.5)
    text = (write_report(run.path).page.parent / "report.md").read_text()
    assert ("judged on augmented held-out clips" in text) is (evaluate_on == "augmented")
