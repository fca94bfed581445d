"""Reports of run folders that others wrote, and of runs that are being written."""

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from read_report import Page, page_of
from written_run import Run

from analysis.frames import load_run
from analysis.report import write_report
from analysis.studies import find
from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError

MakeTrial = Callable[..., Trial]

HOSTILE = "<script>alert(1)</script> \\input{secret} | $x$ \x1b[31m [red]{{ 7*7 }} `code` ](x)"


def change(path: Path, **fields: Any) -> None:
    """Lay fields over those of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def states_of(run: Run) -> list[str]:
    """States of the trials, when all numbers of a report are made; drawing would take longer."""
    frames = load_run(run.path)
    find(frames)
    return frames.trials["state"].tolist()


def test_hostile_texts_are_shown_as_they_are(ragged: Run, make: MakeTrial) -> None:
    change(ragged.path / "plan.json", name=HOSTILE, description=HOSTILE)
    failed = ragged.folder(make("PS", "TM")) / "summary.json"
    change(failed, error={"type": HOSTILE, "message": HOSTILE, "traceback": HOSTILE})
    done = ragged.folder(make("PS")) / "summary.json"
    change(done, provenance={HOSTILE: HOSTILE, "dataset_digest": HOSTILE})
    report = write_report(ragged.path)
    pages = [report.page, *(report.page.parent / "trials").iterdir()]
    assert sum(len(Page(page.read_text()).scripts) for page in pages) == 1
    no_texts = (".png", ".csv", ".pdf", ".parquet")
    written = [path.read_text() for path in report.files if path.suffix not in no_texts]
    written += [page.read_text() for page in pages[1:]]
    for text in [*written, str(report)]:
        assert "\x1b" not in text
        assert "49" not in re.findall(r"\[red\](\S*)", text)
    markdown = (ragged.path / "report" / "report.md").read_text()
    assert markdown.count("<script>") == markdown.count(r"\<script>") > 0
    for path in report.files:
        if path.suffix == ".tex":
            assert r"\input" not in path.read_text()


@pytest.mark.parametrize(
    "row",
    [
        '{"epoch": 1, "loss": "high", "test_top1": "0.9"}',
        '{"epoch": 1, "loss": NaN, "test_top1": Infinity}',
        '{"epoch": 1, "test_top1": -1e308}',
        '{"epoch": 1, "loss": {"a": [1]}, "test_top1": [0.5], "id": "other"}',
        '{"epoch": true}',
        '{"epoch": 1, "test_top1": 0.5, "id": "other", "a name of its own": null}',
        '{"epoch": 1, "note": "\\ud800"}',
        '{"epoch": ' + "9" * 400 + "}",
        '{"epoch": ' + "9" * 5000 + "}",
        "[" * 100_000,
        "\x00\xff",
        '{"epoch": 1, "loss": ' + "9" * 400 + "}",
        '{"epoch": 1, "extra": {}}',
    ],
)
def test_a_history_of_anything_leaves_a_report(labels: Run, make: MakeTrial, row: str) -> None:
    path = next(labels.path.glob("trials/supervised-100pct_*")) / "history.jsonl"
    path.write_text(f"{path.read_text()}{row}\n")
    assert states_of(labels) == ["done"] * 9
    assert load_run(labels.path).history["id"].nunique() == 9
    assert write_report(labels.path).counts["done"] == 9


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metrics", {"test_top1": "0.9", "valid_top1": 0.9}),
        ("metrics", {"test_top1": float("nan"), "valid_top1": 0.9}),
        ("metrics", {"test_top1": 10**400, "valid_top1": 0.9}),
        ("cost", {"total_seconds": 10**400}),
        ("error", {"type": ["a"], "message": {"b": 1}}),
        ("provenance", {"clips": {"train": 10**30}, "torch": [[[]]], "dataset_digest": 5}),
        ("state", ["done"]),
    ],
)
def test_a_summary_of_anything_leaves_a_report(
    square: Run, make: MakeTrial, field: str, value: object
) -> None:
    change(square.folder(make("FD", "TM")) / "summary.json", **{field: value})
    assert len(states_of(square)) == 4


@pytest.mark.parametrize("name", ["config.json", "summary.json"])
@pytest.mark.parametrize("content", ["[" * 100_000, "9" * 5000, "null", '{"a": 1}', "\udcff"])
def test_a_file_of_anything_is_one_failed_trial(
    square: Run, make: MakeTrial, name: str, content: str
) -> None:
    path = square.folder(make("FD", "TM")) / name
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert states_of(square).count("failed") == 1


@pytest.mark.parametrize(
    "config", ["5", '"text"', "[]", "null", "{}", f'{{"seed": {"[" * 700}{"]" * 700}}}']
)
def test_a_config_of_anything_is_one_failed_trial(
    square: Run, make: MakeTrial, config: str
) -> None:
    path = square.folder(make("FD", "TM")) / "config.json"
    path.write_text(f'{{"format": 1, "id": "{make("FD", "TM").id}", "config": {config}}}')
    assert states_of(square).count("failed") == 1


@pytest.mark.parametrize("name", ["config.json", "summary.json", "history.jsonl"])
def test_a_folder_in_the_place_of_a_file_is_told(square: Run, make: MakeTrial, name: str) -> None:
    path = square.folder(make("FD", "TM")) / name
    path.unlink()
    path.mkdir()
    assert states_of(square).count("failed") == 1


def test_links_in_a_circle_are_told(square: Run, make: MakeTrial) -> None:
    path = square.folder(make("FD", "TM")) / "summary.json"
    path.unlink()
    path.symlink_to(path.name)
    assert len(states_of(square)) == 4


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "9" * 5000,
        "[]",
        '{"name": 1}',
        '{"trials": {"a": 1}}',
        '{"name": "a", "description": "", "operations": [], "trials": [5]}',
        f'{{"name": "a", "description": "", "operations": [], "trials": {"[" * 700}{"]" * 700}}}',
        "\x00",
    ],
)
def test_a_plan_of_anything_is_one_line(square: Run, content: str) -> None:
    (square.path / "plan.json").write_text(content)
    with pytest.raises(RecordError) as caught:
        load_run(square.path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_run_that_is_being_written_has_a_report_at_any_moment(run: Run) -> None:
    trials = run.plan_pairs("FD", "TM")
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            for trial in trials:
                run.open(trial, epochs=1)
                run.done(trial, test=0.5)
                folder = run.folder(trial)
                (folder / "live.json").write_text("{")
                (folder / "live.json").unlink()
                (folder / "summary.json").unlink()
                (folder / "history.jsonl").unlink()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30):
            assert load_run(run.path).trials["note"].dropna().tolist() == []
    finally:
        ended.set()
        writer.join()
    assert records.state_of(run.path, trials[0]) == "unfinished"


def test_the_page_shows_no_more_than_a_browser_bears(
    run: Run, make: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in (("page.MOST_TRIALS", 3), ("report.MOST_STUDIES", 1)):
        monkeypatch.setattr(f"analysis.{name}", most)
    monkeypatch.setattr("analysis.report.MOST_FAILURES", 1)
    trials = [make("FD", temperature=t, seed=seed) for t in (0.1, 0.2) for seed in (0, 1)]
    run.plan(*trials)
    for trial in trials[:2]:
        run.failed(trial)
    for trial in trials[2:]:
        run.done(trial, test=0.5)
    report = write_report(run.path)
    texts = page_of(report).texts
    markdown = (run.path / "report" / "report.md").read_text()
    for words in ("The first 3 of 4;", "The first 1 of 2;", "The first 1 of 2 settings"):
        assert any(words in text for text in texts), words
    assert "The first 1 of 2 settings" in markdown
    assert [path.name for path in report.files if path.suffix == ".svg"] == [
        "input_table_temperature-0.1.svg"
    ]
    assert len(report.headlines) == 1
    assert report.protocols[0]
    assert "temperature 0.2" not in markdown
    assert "temperature 0.2" in (run.path / "report" / "input_table.csv").read_text()


def test_each_record_is_read_once(square: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counting(folder: Path, *, planned: Trial | None = None) -> records.Record:
        read.append(folder)
        return records.read_record(folder, planned=planned)

    monkeypatch.setattr("analysis.frames.read_record", counting)
    load_run(square.path)
    assert len(read) == len(set(read)) == 5  # four trials and their untrained encoder
