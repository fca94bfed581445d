"""The page of one trial, at every end that a trial can have."""

import os
from pathlib import Path

import pytest
from read_report import Page
from written_run import Run

from analysis.line_chart import HEIGHT, WIDTH, line_chart
from analysis.report import write_report
from analysis.run_log import end_of
from clar_sweeps.config import Trial


def page_of(run: Run, trial: Trial) -> Page:
    write_report(run.path)
    return Page((run.path / "report" / "trials" / f"{trial.id}.html").read_text())


def test_a_page_has_config_curve_cost_and_provenance(run: Run) -> None:
    (trial, *_) = run.plan_pairs("FD", "TM", seeds=(0,))
    run.done(trial, test=0.50, valid=0.45, curve={3: 0.2, 6: 0.5})
    run.untrained(trial, test=0.40)
    page = page_of(run, trial)
    for text in ("FD, seed 0", "50.0", "45.0", "10.0", "training loss", "test top-1 (%)"):
        assert text in page.texts
    assert page.texts[page.texts.index("width") + 1 :][:2] == ["8", "instead of 64"]
    provenance = page.texts[page.texts.index("Provenance") :]
    assert provenance[provenance.index("torch") + 1] == "2.11.0"


def test_a_failed_trial_shows_the_end_of_its_traceback(run: Run) -> None:
    (trial, *_) = run.plan_pairs("FD", "TM", seeds=(0,))
    run.failed(trial, message="out of memory")
    assert "a long text" in page_of(run, trial).texts


def test_a_trial_that_has_not_begun_has_no_page_and_no_link(run: Run) -> None:
    begun, *missing = run.plan_pairs("FD", "TM", seeds=(0,))
    run.open(begun, epochs=3)
    report = write_report(run.path)
    pages = list((report.page.parent / "trials").iterdir())
    assert [page.stem for page in pages] == [begun.id]
    html = report.page.read_text()
    assert f"trials/{begun.id}.html" in html
    assert not any(trial.id + ".html" in html for trial in missing)


def test_pages_of_trials_that_are_gone_are_removed(square: Run) -> None:
    report = write_report(square.path)
    stale = report.page.parent / "trials" / "0123456789ab.html"
    stale.write_text("of an earlier plan")
    other = stale.with_name("about.html")
    other.write_text("of somebody else")
    write_report(square.path)
    assert not stale.exists()
    assert other.exists()


def test_other_seeds_of_a_cell_are_linked(run: Run) -> None:
    trials = run.plan_pairs("FD", "TM", seeds=(0, 1, 2))[::4]
    for trial in trials:
        run.done(trial, test=0.50 + 0.01 * trial.config.seed)
    page = page_of(run, trials[1])
    assert [f"{trials[seed].id}.html" in page.addresses for seed in (0, 1, 2)] == [
        True,
        False,
        True,
    ]


def test_the_end_of_a_trials_log_is_its_own(run: Run) -> None:
    first, second, *_ = run.plan_pairs("FD", "TM", seeds=(0,))
    for trial in (first, second):
        run.open(trial, epochs=3)
    stamp = "2026-01-01 10:00:00,000 17 INFO clar_sweeps.trainer.trial:"
    lines = [
        f"{stamp} {second.name} epoch 1/6 loss 9.9999",
        f"{stamp} {first.name} epoch 1/6 loss 1.2345",
        f"{stamp} {first.name} failed",
        "Traceback (most recent call last):",
        "ValueError: a reason",
        f"{stamp} another line",
        "of another",
    ]
    (run.path / "run.log").write_text("\n".join(lines))
    texts = " ".join(page_of(run, first).texts)
    assert "loss 1.2345" in texts
    assert "ValueError: a reason" in texts
    assert "9.9999" not in texts
    assert "of another" not in texts


@pytest.mark.parametrize("content", [b"", b"\xff\x00\xfe", b"no stamp at all\n" * 3])
def test_a_log_of_anything_leaves_a_page(square: Run, content: bytes) -> None:
    (square.path / "run.log").write_bytes(content)
    assert write_report(square.path).page.exists()


def test_a_log_that_is_a_link_or_a_pipe_is_left_alone(square: Run, tmp_path: Path) -> None:
    log, secret = square.path / "run.log", tmp_path / "secret"
    secret.write_text("of somebody else")
    log.symlink_to(secret)
    assert end_of(square.path) == b""
    log.unlink()
    os.mkfifo(log)
    assert end_of(square.path) == b""


def test_long_lines_keep_their_extremes() -> None:
    points = [(float(epoch), 0.5) for epoch in range(1, 10_001)]
    points[5000], points[7000] = (5001.0, 0.9), (7001.0, 0.1)
    chart = line_chart(points, title="loss")
    places = [tuple(map(float, place.split(","))) for place in chart.points.split()]
    assert len(places) < 700
    assert [place[0] for place in places] == sorted(place[0] for place in places)
    assert {min(y for _, y in places), max(y for _, y in places)} == {y for y, _ in chart.y_ticks}
    assert chart.summary == (
        "loss from 0.5 at epoch 1 to 0.5 at epoch 10000, lowest 0.1, highest 0.9"
    )


def test_a_line_stays_inside_its_drawing() -> None:
    for values in ([1.0, 1.0], [0.0, 0.0], [-1e9, 1e9], [3.0, 2.0, 5.0]):
        chart = line_chart(list(enumerate(values, 1)), title="loss")
        for place in chart.points.split():
            x, y = map(float, place.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


def test_a_record_that_cannot_be_read_has_a_page(run: Run) -> None:
    trial, *_ = run.plan_pairs("FD", "TM", seeds=(0,))
    run.done(trial, test=0.50)
    (run.folder(trial) / "summary.json").write_text("{")
    page = page_of(run, trial)
    assert "failed" in page.texts
