import json
import multiprocessing
import threading
import time
from math import nan
from pathlib import Path

import pytest

from clar_sweeps import records
from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.errors import RecordError


@pytest.fixture
def trial() -> Trial:
    return make_trial(TrialConfig(augment=("FD", "TM"), epochs=20))


def close(run: Path, trial: Trial, state: records.EndState = "done") -> Path:
    folder = records.trial_folder(run, trial)
    records.write_config(folder, trial)
    records.write_summary(
        folder, trial, state=state, metrics={"test_top1": 0.5}, cost={}, provenance={}
    )
    return folder


def test_state_follows_the_files(tmp_path: Path, trial: Trial) -> None:
    assert records.state_of(tmp_path, trial) == "missing"
    folder = records.trial_folder(tmp_path, trial)
    records.write_config(folder, trial)
    assert records.state_of(tmp_path, trial) == "unfinished"
    close(tmp_path, trial, "diverged")
    assert records.state_of(tmp_path, trial) == "diverged"
    records.reopen(tmp_path, trial)
    assert records.state_of(tmp_path, trial) == "unfinished"


def test_record_is_read_as_it_was_written(tmp_path: Path, trial: Trial) -> None:
    folder = close(tmp_path, trial)
    records.append_history(folder, {"epoch": 1, "loss": 2.5})
    record = records.read_record(folder)
    assert record.trial == trial
    assert record.state == "done"
    assert record.summary["metrics"] == {"test_top1": 0.5}
    assert record.history == [{"epoch": 1, "loss": 2.5}]


def test_untrained_encoders_have_a_room_of_their_own(tmp_path: Path, trial: Trial) -> None:
    close(tmp_path, make_trial(trial.config.untrained()))
    close(tmp_path, trial)
    for kind in ("trials", "untrained"):
        (config,) = tmp_path.glob(f"{kind}/*/config.json")
        assert records.read_record(config.parent).state == "done"


def test_a_metric_that_is_no_number_is_no_result(tmp_path: Path, trial: Trial) -> None:
    folder = records.trial_folder(tmp_path, trial)
    records.write_config(folder, trial)
    with pytest.raises(ValueError, match="valid_top1 is nan"):
        records.write_summary(
            folder, trial, state="done", metrics={"valid_top1": nan}, cost={}, provenance={}
        )
    assert not (folder / "summary.json").exists()


def test_history_is_put_back_to_what_the_checkpoint_holds(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        records.append_history(tmp_path, {"epoch": epoch})
    records.write_history(tmp_path, [{"epoch": 1}])
    assert records.read_history(tmp_path) == [{"epoch": 1}]


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    records.append_history(tmp_path, {"epoch": 1})
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"epoch": 2, "lo')
    assert records.read_history(tmp_path) == [{"epoch": 1}]
    records.append_history(tmp_path, {"epoch": 2})
    assert records.read_history(tmp_path) == [{"epoch": 1}, {"epoch": 2}]


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000])
def test_a_damaged_summary_is_named(tmp_path: Path, trial: Trial, content: str) -> None:
    folder = close(tmp_path, trial)
    (folder / "summary.json").write_text(content)
    with pytest.raises(RecordError, match=r"summary\.json: is not .*; remove it and run again"):
        records.read_record(folder)


def test_a_record_of_another_format_is_refused(tmp_path: Path, trial: Trial) -> None:
    folder = close(tmp_path, trial)
    opened = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(opened | {"format": 99}))
    with pytest.raises(RecordError, match="format is 99, expected 1"):
        records.read_record(folder)


def _hold(folder: Path, held: object, release: object) -> None:
    with records.locked(folder, timeout_seconds=0) as acquired:
        assert acquired
        held.set()  # type: ignore[attr-defined]  # an Event of a context has no public type
        release.wait(30)  # type: ignore[attr-defined]


def test_a_lock_held_by_another_process_is_not_given(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, held, release))
    process.start()
    try:
        assert held.wait(60)
        with records.locked(tmp_path, timeout_seconds=0.2) as acquired:
            assert not acquired
    finally:
        release.set()
        process.join()
    with records.locked(tmp_path, timeout_seconds=0.2) as acquired:
        assert acquired


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": "weird"}, "state 'weird' is not one of done, failed, diverged"),
        ({"state": ["done"]}, "is not one of done, failed, diverged"),
        ({"metrics": []}, "metrics is not a mapping"),
        ({"metrics": {"test_top1": "high"}}, "test_top1 is 'high', not a number"),
        ({"error": "text"}, "error is not a mapping"),
    ],
)
def test_a_summary_that_says_what_cannot_be_is_named(
    tmp_path: Path, trial: Trial, change: dict[str, object], message: str
) -> None:
    folder = close(tmp_path, trial)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | change))
    for read in (lambda: records.read_record(folder), lambda: records.state_of(tmp_path, trial)):
        with pytest.raises(RecordError) as error:
            read()
        assert message in str(error.value)
        assert str(error.value).startswith(str(folder / "summary.json"))


def test_a_done_trial_is_not_reopened(tmp_path: Path, trial: Trial) -> None:
    close(tmp_path, trial, "done")
    records.reopen(tmp_path, trial)
    assert records.state_of(tmp_path, trial) == "done"
    records.reopen(tmp_path / "empty", trial)
    assert not (tmp_path / "empty").exists()


def test_a_trial_is_reopened_once_another_process_lets_go(tmp_path: Path, trial: Trial) -> None:
    folder = close(tmp_path, trial, "failed")
    with records.locked(folder, timeout_seconds=0.0):
        assert not records.reopen(tmp_path, trial, timeout_seconds=0.1)
        assert records.state_of(tmp_path, trial) == "failed"
    holds = threading.Event()

    def hold() -> None:
        with records.locked(folder, timeout_seconds=0.0):
            holds.set()
            time.sleep(0.2)

    holding = threading.Thread(target=hold)
    holding.start()
    holds.wait()
    assert records.reopen(tmp_path, trial)
    assert records.state_of(tmp_path, trial) == "unfinished"
    holding.join()


def test_a_record_in_the_words_of_the_plan_is_of_its_config(tmp_path: Path, trial: Trial) -> None:
    folder = close(tmp_path, trial)
    assert records.read_record(folder, planned=trial).trial.config is trial.config
    assert records.read_record(folder).trial.config == trial.config


@pytest.mark.parametrize(("field", "value"), [("seed", False), ("width", 64.0), ("epochs", "20")])
def test_a_config_beside_the_plan_is_validated(
    tmp_path: Path, trial: Trial, field: str, value: object
) -> None:
    path = close(tmp_path, trial) / "config.json"
    opened = json.loads(path.read_text())
    assert field != "seed" or opened["config"]["seed"] == value  # to Python 0 is False
    opened["config"][field] = value
    path.write_text(json.dumps(opened))
    with pytest.raises(RecordError, match="is not a whole number"):
        records.read_record(path.parent, planned=trial)


@pytest.mark.parametrize("message", ["a name \udcff", "\ufeff", "9" * 4000, "\u2028"])
def test_texts_that_one_parser_refuses_are_read(tmp_path: Path, trial: Trial, message: str) -> None:
    folder = close(tmp_path, trial)
    path = folder / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "error": {"message": message}}))
    assert records.read_record(folder).summary["error"] == {"message": message}
