from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from written_run import Run, label_trials

from analysis.reports import find_runs, write_reports
from clar_sweeps.cli import app
from clar_sweeps.config import Trial

MakeTrial = Callable[..., Trial]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: MakeTrial) -> Path:
    """`runs` in the current folder: a good run, a damaged one, one without a plan, a file."""
    monkeypatch.chdir(tmp_path)
    good = Run(Path("runs") / "good run")
    good.plan(make("FD"))
    good.done(make("FD"), test=0.5)
    labels = Run(Path("runs") / "labels")
    labels.plan(*label_trials())
    (Path("runs") / "damaged").mkdir()
    (Path("runs") / "damaged" / "plan.json").write_text("{")
    (Path("runs") / "killed" / "trials").mkdir(parents=True)
    (Path("runs") / "empty").mkdir()
    (Path("runs") / "notes.txt").write_text("a note")
    return Path("runs")


def report(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments], catch_exceptions=False)


def links(page: Path) -> list[str]:
    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value or "" for name, value in attrs if name == "href")

    Links().feed(page.read_text(encoding="utf-8"))
    return found


def test_runs_are_the_folders_that_hold_one(runs: Path) -> None:
    names = [run.name for run in find_runs(runs)]
    assert names == ["damaged", "good run", "killed", "labels"]


def test_a_bad_run_stops_no_other(runs: Path) -> None:
    written = write_reports(runs)
    assert [one.page for one in written.reports] == [
        runs / "good run" / "report" / "index.html",
        runs / "labels" / "report" / "index.html",
    ]
    assert all(one.page.exists() for one in written.reports)
    assert len(written.faults) == 2
    assert "damaged/plan.json: is not readable JSON" in written.faults[0]
    assert "killed/plan.json: does not exist" in written.faults[1]


def test_the_page_of_all_runs_links_each_with_its_headline(runs: Path) -> None:
    page = write_reports(runs).page
    assert page == runs / "index.html"
    assert links(page) == ["good%20run/report/index.html", "labels/report/index.html"]
    text = page.read_text(encoding="utf-8")
    assert (
        "On spoken-digits (medium) the row chosen on validation is 2-D FD, with 50.0% on test."
        in text
    )
    assert "Not the paper&#39;s protocol: dataset spoken-digits (medium) instead of SC-10" in text
    assert "No report: runs/damaged/plan.json: is not readable JSON" in text
    assert "9 trials: 9 missing" in text


def test_without_an_argument_all_runs_are_reported(runs: Path) -> None:
    result = report()
    assert result.exit_code == 2
    assert result.stdout.splitlines() == [
        "runs/good run/report/index.html",
        "runs/labels/report/index.html",
        "runs/index.html",
    ]
    lines = result.stderr.splitlines()
    assert lines[:4] == [
        "reading runs/damaged",
        "reading runs/good run",
        "reading runs/killed",
        "reading runs/labels",
    ]
    assert len(lines) == 6


def test_good_runs_alone_end_well(runs: Path) -> None:
    (runs / "damaged" / "plan.json").unlink()
    (runs / "killed" / "trials").rmdir()
    assert report().exit_code == 0


def test_an_argument_reports_that_run_alone(runs: Path) -> None:
    result = report("runs/good run", "--out", "elsewhere")
    assert result.exit_code == 0
    assert "report: elsewhere/index.html" in result.stdout
    assert not (runs / "index.html").exists()
    assert not (runs / "labels" / "report").exists()


def test_a_place_for_one_report_does_not_fit_all_runs(runs: Path) -> None:
    result = report("--out", "elsewhere")
    assert result.exit_code == 2
    assert result.stderr.strip() == "--out: is for one report; name the run as well"


def test_without_any_run_a_line_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = report()
    assert result.exit_code == 2
    assert "runs: holds no run; start one with 'clar-sweep run FILE'" in result.stderr
    assert not Path("runs").exists()
