"""TensorBoard, W&B and MLflow: what they hold after a run that was interrupted, read back."""

import importlib.util
import json
import logging
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tiny import tiny_config

from clar_sweeps import records
from clar_sweeps.config import Trial, make_trial
from clar_sweeps.errors import ConfigError, DependencyError
from clar_sweeps.tuning.loggers import check_trackers, tracking
from clar_sweeps.tuning.loggers.tracking import Tracking, TrialLog

# Of packages that are not ours, such as MLflow's use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("default")

FINAL = {"test_top1": 0.5}


@pytest.fixture
def trial() -> Trial:
    return make_trial(tiny_config(epochs=4))


@pytest.fixture
def run(tmp_path: Path, trial: Trial) -> Path:
    """A run folder, named as a project would be, with the trial's record opened."""
    run = tmp_path / "demo"
    records.write_config(records.trial_folder(run, trial), trial)
    return run


@pytest.fixture
def drive(run: Path, trial: Trial) -> Callable[..., None]:
    """Drives a trial through some epochs, as a driver does that then is told to stop."""

    def through(name: str, *, start: int, stop: int, silent: tuple[int, ...] = ()) -> None:
        folder = records.trial_folder(run, trial)
        cut(folder, epoch=start - 1)
        with tracking([name], run) as (listener,):
            listener.started(trial)
            for epoch in range(start, stop + 1):
                row = {"epoch": epoch, "step": 3 * epoch, "loss": 1 / epoch}
                records.append_history(folder, row)
                if epoch not in silent:
                    listener.reported(trial, {**row, "epochs": 4})
            if stop == trial.config.epochs:
                end(folder, trial, "done")
                listener.ended(trial, records.read_record(folder))

    return through


def cut(folder: Path, *, epoch: int) -> None:
    """Drop the rows beyond an epoch, as a trial does that resumes there."""
    kept = [row for row in records.read_history(folder) if row["epoch"] <= epoch]
    (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))


def end(folder: Path, trial: Trial, state: records.EndState) -> None:
    metrics = FINAL if state == "done" else {}
    records.write_summary(folder, trial, state=state, metrics=metrics, cost={}, provenance={})


class Held(NamedTuple):
    """What a tracker holds of the one trial."""

    losses: list[tuple[int, float]]  # by epoch, in the order in which they stand
    final: dict[str, float]
    fields: Mapping[str, Any]
    state: str


def test_tensorboard_has_each_step_once_after_an_interruption(
    run: Path, trial: Trial, drive: Callable[..., None]
) -> None:
    drive("tensorboard", start=1, stop=3, silent=(2,))  # as a driver that was killed
    drive("tensorboard", start=3, stop=4)
    check(read_tensorboard(run, trial), state="STATUS_SUCCESS", width=2)


def test_wandb_continues_the_same_run(
    run: Path, trial: Trial, drive: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    drive("wandb", start=1, stop=2)
    drive("wandb", start=2, stop=4)
    files = sorted(run.glob("wandb/offline-run-*/*.wandb"))
    assert [file.name for file in files] == [f"run-{trial.id}.wandb"] * 2
    wait_until_written(files[-1])
    # Offline W&B does not know what it has sent before: the last file holds all.
    check(read_wandb(files[-1]), state="done", width=2)


def test_mlflow_continues_the_same_run(
    run: Path, trial: Trial, drive: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    drive("mlflow", start=1, stop=2)
    drive("mlflow", start=2, stop=4)
    check(read_mlflow(run), state="done FINISHED", width="2")


def check(held: Held, *, state: str, width: object) -> None:
    assert [epoch for epoch, _ in held.losses] == [1, 2, 3, 4]
    assert [loss for _, loss in held.losses] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert held.final == {"final/test_top1": 0.5}
    assert held.fields["width"] == width
    assert held.state == state


def test_a_failed_trial_is_shown_as_failed(run: Path, trial: Trial) -> None:
    folder = records.trial_folder(run, trial)
    end(folder, trial, "failed")
    with tracking(["tensorboard"], run) as (listener,):
        listener.ended(trial, records.read_record(folder))
    assert read_tensorboard(run, trial).state == "STATUS_FAILURE"


def test_a_retried_trial_has_each_step_once(run: Path, trial: Trial) -> None:
    folder = records.trial_folder(run, trial)
    with tracking(["tensorboard"], run) as (listener,):
        for epochs in ((1, 2), (2, 3, 4)):  # the second process repeats an epoch
            listener.started(trial)
            cut(folder, epoch=epochs[0] - 1)
            for epoch in epochs:
                row = {"epoch": epoch, "loss": 1 / epoch}
                records.append_history(folder, row)
                listener.reported(trial, row)
            if epochs[0] == 1:
                listener.restarted(trial, "its process died")
    assert [epoch for epoch, _ in read_tensorboard(run, trial).losses] == [1, 2, 3, 4]


class Full:
    """A tracker whose disk is full."""

    def __init__(self, run: Path) -> None:
        self.asked = 0

    def open(self, trial: Trial) -> TrialLog:
        self.asked += 1
        raise OSError(28, "No space left on device")


def test_a_tracker_that_fails_is_told_once_and_left_out(
    run: Path, trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    full = Full(run)
    listener = Tracking("tensorboard", lambda run: full, run)
    with caplog.at_level(logging.WARNING):
        for epoch in (1, 2, 3):
            listener.reported(trial, {"epoch": epoch, "loss": 1.0})
        listener.close()
    assert full.asked == 1
    (record,) = caplog.records
    assert record.getMessage().startswith("--log tensorboard: [Errno 28] No space left")


def test_an_unwritable_folder_ends_no_run(
    run: Path, trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    (run / "tensorboard").write_text("in the way")
    with caplog.at_level(logging.WARNING), tracking(["tensorboard"], run) as (listener,):
        listener.reported(trial, {"epoch": 1, "loss": 1.0})
    assert "Not a directory" in caplog.text or "File exists" in caplog.text


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--log tensorbord: .*; did you mean tensorboard"):
        check_trackers(["tensorbord"])


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"pip install 'clar-sweeps\[mlflow\]'"):
        check_trackers(["mlflow"])


def test_wandb_without_a_key_is_refused_before_it_could_ask(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    # In a process of its own, for wandb reads its settings once.
    code = "from clar_sweeps.tuning.loggers import check_trackers; check_trackers(['wandb'])"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("WANDB_")},
        "HOME": str(tmp_path),
        "NETRC": str(tmp_path / "netrc"),
    }
    asked = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert "ConfigError: --log wandb: no API key is known; run 'wandb login'" in asked.stderr
    environment["WANDB_MODE"] = "offline"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)


def read_tensorboard(run: Path, trial: Trial) -> Held:
    (file,) = (run / "tensorboard" / trial.folder).iterdir()
    losses, final, state = [], {}, ""
    fields: dict[str, Any] = {}
    for event in map(Event.FromString, frames(file.read_bytes())):
        for value in event.summary.value:
            plugin = HParamsPluginData.FromString(value.metadata.plugin_data.content)
            for name, entry in plugin.session_start_info.hparams.items():
                fields[name] = getattr(entry, entry.WhichOneof("kind"))
            if value.tag == "_hparams_/session_end_info":
                kinds = plugin.session_end_info.DESCRIPTOR.fields_by_name["status"].enum_type
                state = kinds.values_by_number[plugin.session_end_info.status].name
            elif value.tag == "loss":
                losses.append((event.step, value.simple_value))
            elif value.tag.startswith("final/"):
                final[value.tag] = value.simple_value
    return Held(losses, final, fields, state)


def frames(content: bytes) -> Iterator[bytes]:
    """Entries of a TFRecord file: length, checksum, entry, checksum."""
    at = 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        yield content[at + 12 : at + 12 + length]
        at += 12 + length + 4


def wait_until_written(file: Path) -> None:
    """W&B's service goes on writing for a moment when `finish` has returned."""
    deadline = time.monotonic() + 20
    while b"final" not in file.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)


def read_wandb(file: Path) -> Held:
    from wandb.proto.wandb_internal_pb2 import Record

    losses, final, fields = [], {}, {}
    for record in map(Record.FromString, chunks(file.read_bytes())):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            fields |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "history":
            row = {
                item.key or item.nested_key[0]: json.loads(item.value_json)
                for item in record.history.item
            }
            losses.append((row["_step"], row["loss"]))
        elif kind == "summary":
            for item in record.summary.update:
                final[item.key or item.nested_key[0]] = json.loads(item.value_json)
    shown = {name: value for name, value in final.items() if name.startswith("final/")}
    return Held(losses, shown, fields, final["state"])


def chunks(content: bytes) -> Iterator[bytes]:
    """Entries of a LevelDB log behind W&B's seven bytes, in blocks of 32 KiB."""
    at, entry = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:  # too near to the block's end for another header
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        entry += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield entry
            entry = b""


def read_mlflow(run: Path) -> Held:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{run / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("demo")
    assert experiment is not None
    (held,) = client.search_runs([experiment.experiment_id])
    losses = [
        (entry.step, entry.value) for entry in client.get_metric_history(held.info.run_id, "loss")
    ]
    final = {name: value for name, value in held.data.metrics.items() if name[:6] == "final/"}
    state = f"{held.data.tags['clar_sweeps.state']} {held.info.status}"
    return Held(losses, final, held.data.params, state)
