import logging
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from disturbed import assert_equal_numbers, quick_trial

from clar_sweeps import records
from clar_sweeps.checkpoint import load_checkpoint, save_checkpoint
from clar_sweeps.data import Waveforms
from clar_sweeps.errors import DiskFullError, RankLostError, RunLockedError
from clar_sweeps.trainer import Trainer, run_trial
from clar_sweeps.trainer.failing import keep_failure, kind_of
from clar_sweeps.trainer.heartbeat import Heartbeat

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def undisturbed(prepared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder in which the quick trial was trained in one go."""
    run = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLAR_SWEEPS_CACHE", str(prepared_cache))
        train(run)
    return run


@pytest.fixture
def two_epochs(undisturbed: Path, digits: Waveforms, tmp_path: Path) -> Path:
    """A run folder whose trial was asked to stop after its second epoch."""
    stop_after(tmp_path, tmp_path, epoch=2)
    return tmp_path


def train(run: Path) -> tuple[records.State, Rows]:
    torch.set_num_threads(1)
    rows: Rows = []
    return run_trial(quick_trial(), run, rows.append), rows


def folder_of(run: Path) -> Path:
    return records.trial_folder(run, quick_trial())


def stop_after(
    run: Path, asked: Path, *, epoch: int, rows: Rows | None = None, **fields: object
) -> records.State:
    """Train until somebody asks for a stop during an epoch."""
    torch.set_num_threads(1)

    def report(row: dict[str, Any]) -> None:
        if rows is not None:
            rows.append(row)
        if row.get("epoch") == epoch - 1:
            records.request_stop(asked)

    state = run_trial(quick_trial(**fields), run, report)
    records.withdraw_stop([asked])
    return state


@pytest.mark.parametrize("asks_run", [True, False])
def test_a_stop_ends_it_after_the_epoch_with_a_checkpoint(
    digits: Waveforms, undisturbed: Path, tmp_path: Path, asks_run: bool
) -> None:
    asked = tmp_path if asks_run else folder_of(tmp_path)
    # checkpoint_every is of no part in the identity: without a stop there would be none yet.
    assert stop_after(tmp_path, asked, epoch=2, checkpoint_every=3) == "unfinished"
    assert records.state_of(tmp_path, quick_trial()) == "unfinished"
    assert records.read_live(folder_of(tmp_path)) is None
    state, rows = train(tmp_path)
    assert state == "done"
    assert [row["epoch"] for row in rows] == [3]
    assert_equal_numbers(tmp_path, undisturbed)


def test_a_stop_before_the_first_epoch_trains_none_and_one_after_the_last_comes_too_late(
    digits: Waveforms, undisturbed: Path, tmp_path: Path
) -> None:
    records.request_stop(tmp_path)
    assert train(tmp_path) == ("unfinished", [])
    records.withdraw_stop([tmp_path])
    assert stop_after(tmp_path, tmp_path, epoch=3) == "done"
    assert_equal_numbers(tmp_path, undisturbed)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def test_a_truncated_checkpoint_is_put_aside_and_the_one_before_used(
    two_epochs: Path, undisturbed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = folder_of(two_epochs)
    cut(folder / "checkpoint.pt")
    (folder / "checkpoint.damaged").write_bytes(b"from earlier")
    (folder / "history.jsonl").write_text("damaged as well")
    state, (note, *rows) = train(two_epochs)
    assert note["note"] == (
        f"{folder / 'checkpoint.pt'}: is truncated or damaged (its sha256 does not fit); put aside "
        "as checkpoint.damaged; the trial goes on after epoch 1, from checkpoint.previous.pt"
    )
    # The note is shown; a warning would be as well, where the trial is in the driver's process.
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert state == "done"
    assert [row["epoch"] for row in rows] == [2, 3]
    assert_equal_numbers(two_epochs, undisturbed)
    assert [path.name for path in folder.glob("checkpoint*")] == ["checkpoint.pt"]


@pytest.mark.parametrize("fault", ["truncated", "of another trial"])
def test_without_a_sound_checkpoint_it_starts_anew_and_says_so_of_each(
    two_epochs: Path, undisturbed: Path, fault: str
) -> None:
    folder = folder_of(two_epochs)
    paths = [folder / name for name in ("checkpoint.pt", "checkpoint.previous.pt")]
    if fault == "truncated":
        for path in paths:
            cut(path)
    else:
        elsewhere, other = two_epochs / "elsewhere", quick_trial(seed=1)
        run_trial(other, elsewhere, lambda row: None)
        for path in paths:
            shutil.copy(records.trial_folder(elsewhere, other) / "checkpoint.pt", path)
    state, rows = train(two_epochs)
    notes = [row["note"] for row in rows if "note" in row]
    assert [note.split(": ")[0] for note in notes] == [str(path) for path in paths]
    assert all(note.endswith("; the trial starts anew") for note in notes)
    assert state == "done"
    assert_equal_numbers(two_epochs, undisturbed)


def test_an_unsound_checkpoint_is_never_kept_in_place_of_a_sound_one(
    two_epochs: Path, undisturbed: Path
) -> None:
    folder = folder_of(two_epochs)
    cut(folder / "checkpoint.pt")
    sound = (folder / "checkpoint.previous.pt").read_bytes()
    records.request_stop(two_epochs)
    unsound = (folder / "checkpoint.pt").read_bytes()
    train(two_epochs)  # puts the unsound one aside, and stops before it trains
    assert (folder / "checkpoint.damaged").read_bytes() == unsound
    assert not (folder / "checkpoint.pt").exists()
    assert (folder / "checkpoint.previous.pt").read_bytes() == sound
    records.withdraw_stop([two_epochs])
    assert train(two_epochs)[0] == "done"
    assert_equal_numbers(two_epochs, undisturbed)


def test_a_checkpoint_of_another_precision_is_refused_and_kept(
    two_epochs: Path, undisturbed: Path
) -> None:
    folder = folder_of(two_epochs)
    path = folder / "checkpoint.pt"
    sound = path.read_bytes()
    state = load_checkpoint(path, trial_id=quick_trial().id)
    save_checkpoint(path, state | {"precision": "torch.bfloat16"}, trial_id=quick_trial().id)
    elsewhere = path.read_bytes()
    assert train(two_epochs)[0] == "failed"
    error = records.read_record(folder).summary["error"]
    assert error["message"].startswith(
        f"{path}: trained in bfloat16, here it would go on in float32; run it with --retry-failed"
    )
    assert path.read_bytes() == elsewhere
    path.write_bytes(sound)
    records.reopen(two_epochs, quick_trial())
    assert train(two_epochs)[0] == "done"
    assert_equal_numbers(two_epochs, undisturbed)


@pytest.mark.usefixtures("digits")
def test_a_trial_that_another_process_trains_as_well_is_left_to_it(tmp_path: Path) -> None:
    elsewhere = records.begin_live()._replace(host="elsewhere", pid=7)

    def report(row: dict[str, Any]) -> None:
        if row.get("epoch") == 1:
            records.write_live(folder_of(tmp_path), elsewhere)

    with pytest.raises(RunLockedError, match="process 7 on elsewhere trains this trial as well"):
        run_trial(quick_trial(), tmp_path, report)
    assert [row["epoch"] for row in records.read_history(folder_of(tmp_path))] == [1]
    assert records.state_of(tmp_path, quick_trial()) == "unfinished"
    assert records.read_failures(folder_of(tmp_path)) == []


def test_training_goes_on_where_no_sign_of_life_can_be_left(
    digits: Waveforms, undisturbed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("live.json", "stack.txt"):
        (folder_of(tmp_path) / name).mkdir(parents=True)
    assert train(tmp_path)[0] == "done"
    assert "no sign of life could be left" in caplog.text
    assert "a hang would leave no stack" in caplog.text
    assert_equal_numbers(tmp_path, undisturbed)


def test_no_stack_is_left_while_there_are_signs_of_life(tmp_path: Path) -> None:
    with Heartbeat(tmp_path, patience_seconds=0.8) as heartbeat:
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            heartbeat.step(1, 2)
            time.sleep(0.02)
        assert records.read_stack(tmp_path) == ""
        while not records.read_stack(tmp_path):
            assert time.monotonic() < until + 30
            time.sleep(0.02)


def test_a_checkpoint_that_cannot_be_read_just_now_is_not_given_up(two_epochs: Path) -> None:
    checkpoint = folder_of(two_epochs) / "checkpoint.pt"
    checkpoint.rename(checkpoint.with_name("elsewhere"))
    checkpoint.mkdir()  # an error of reading that root meets too
    with pytest.raises(IsADirectoryError):
        train(two_epochs)
    assert checkpoint.exists()
    assert (failure := records.read_failures(folder_of(two_epochs))[-1]).kind == "IsADirectoryError"
    assert failure.log == str(two_epochs / "run.log")


def test_an_error_is_kept_and_raised_and_closes_the_record_on_demand(
    digits: Waveforms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(trainer: Trainer) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(Trainer, "train_epoch", fail)
    folder = folder_of(tmp_path)
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            train(tmp_path)
    assert [failure.kind for failure in records.read_failures(folder)] == ["ValueError"] * 2
    assert records.read_live(folder) is None
    assert not (folder / "stack.txt").exists()
    assert records.state_of(tmp_path, quick_trial()) == "unfinished"
    records.close_unsuccessful(folder, quick_trial())
    error = records.read_record(folder).summary["error"]
    assert (error["type"], error["message"]) == ("ValueError", "broken")
    assert error["traceback"].endswith("ValueError: broken")
    assert error["log"] == str(tmp_path / "run.log")


def test_a_record_is_closed_even_where_the_reason_is_lost(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    records.write_config(folder, quick_trial())
    (folder / "failures.jsonl").write_text("damaged")
    records.close_unsuccessful(folder, quick_trial())
    assert records.read_record(folder).state == "failed"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("Tried to allocate"), "OutOfMemory"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"), "OutOfMemory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "OutOfMemory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "OutOfMemory"),
        (RankLostError("rank 1: OutOfMemoryError: CUDA out of memory. Tried"), "OutOfMemory"),
        (RankLostError("rank 1: its process died"), "RankLostError"),
        (RuntimeError("shape mismatch"), "RuntimeError"),
        (ValueError("CUDA out of memory"), "ValueError"),
    ],
)
def test_a_full_gpu_is_told_from_other_errors(error: Exception, kind: str) -> None:
    assert kind_of(error) == kind


def test_an_error_that_does_not_fit_on_the_disk_is_told_with_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, failure: records.Failure) -> None:
        raise DiskFullError("the disk at / is full")

    monkeypatch.setattr(records, "append_failure", full)
    with pytest.raises(DiskFullError, match=r"is full\. Training had ended by ValueError: broken"):
        keep_failure(tmp_path, tmp_path, ValueError("broken\nmore"))
