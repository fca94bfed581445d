import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_config
from torch import Tensor

from clar_sweeps import records
from clar_sweeps.checkpoint import load_checkpoint, save_checkpoint
from clar_sweeps.config import Trial, make_trial
from clar_sweeps.data import Waveforms
from clar_sweeps.errors import ConfigError, DataError, DivergedError
from clar_sweeps.trainer import Trainer, run_trial

Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def weights(trainer: Trainer) -> dict[str, Tensor]:
    heads = {f"head.{k}": v for k, v in trainer.projection_head.state_dict().items()}
    return {k: v.clone() for k, v in trainer.encoder.state_dict().items()} | heads


def assert_equal_weights(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def without_times(rows: Rows) -> Rows:
    return [{k: v for k, v in row.items() if "second" not in k} for row in rows]


def run(trial: Trial, folder: Path) -> tuple[records.State, Rows]:
    rows: Rows = []
    return run_trial(trial, folder, rows.append), rows


@pytest.mark.parametrize("optimizer", ["adamw", "lars"])
@pytest.mark.parametrize("encoder", ["resnet18_2d", "resnet18_1d"])
def test_same_seed_gives_the_same_weights_bit_for_bit(
    digits: Waveforms, encoder: str, optimizer: str
) -> None:
    config = tiny_config(encoder=encoder, optimizer=optimizer)
    trainers = [Trainer(config, digits) for _ in range(2)]
    losses = [trainer.train_epoch().losses for trainer in trainers]
    assert losses[0] == losses[1]
    assert_equal_weights(*map(weights, trainers))


def test_another_seed_gives_other_weights_and_another_order(digits: Waveforms) -> None:
    trainers = [Trainer(tiny_config(seed=seed), digits) for seed in (0, 1)]
    assert not torch.equal(*(trainer.encoder.conv1.weight for trainer in trainers))
    assert not torch.equal(*(trainer.training_set.order(0) for trainer in trainers))


def test_cells_of_one_seed_start_from_the_same_weights(digits: Waveforms) -> None:
    chains = (["FD", "TM"], ["TS"])
    trainers = [Trainer(tiny_config(augment=chain), digits) for chain in chains]
    assert_equal_weights(*map(weights, trainers))


LOAD_AND_TRAIN = """
import sys, json, torch
from pathlib import Path
torch.set_num_threads(1)
from clar_sweeps import data
from clar_sweeps.config import TrialConfig
from clar_sweeps.trainer import Trainer
config = TrialConfig.model_validate_json(sys.argv[1])
trainer = Trainer(config, data.load("spoken-digits", condition="clean"))
trainer.load(Path(sys.argv[2]), trial_id="t")
while trainer.epoch < config.epochs:
    trainer.train_epoch()
trainer.save(Path(sys.argv[3]), trial_id="t", progress={})
print(json.dumps(trainer.evaluate()))
"""


@pytest.mark.parametrize("optimizer", ["adamw", "lars"])
def test_training_resumed_in_a_new_process_equals_training_in_one_go(
    digits: Waveforms, tmp_path: Path, optimizer: str
) -> None:
    config = tiny_config(optimizer=optimizer, augment=["PS", "TST"], epochs=4)
    whole = Trainer(config, digits)
    for _ in range(2):
        whole.train_epoch()
    # Saved in the middle of the undisturbed run: saving itself must not disturb.
    whole.save(tmp_path / "half.pt", trial_id="t", progress={})
    for _ in range(2):
        whole.train_epoch()
    answer = subprocess.run(
        [
            sys.executable,
            "-c",
            LOAD_AND_TRAIN,
            config.model_dump_json(),
            str(tmp_path / "half.pt"),
            str(tmp_path / "end.pt"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    resumed = Trainer(config, digits)
    resumed.load(tmp_path / "end.pt", trial_id="t")
    assert_equal_weights(weights(whole), weights(resumed))
    assert json.loads(answer.stdout) == whole.evaluate()


def test_training_lowers_the_loss(digits: Waveforms) -> None:
    trainer = Trainer(tiny_config(width=8, epochs=6), digits)
    losses = [trainer.train_epoch().losses["loss"] for _ in range(6)]
    assert losses[-1] < losses[0] - 0.3


def test_evaluation_leaves_the_encoder_as_it_is(digits: Waveforms) -> None:
    trainer = Trainer(tiny_config(), digits)
    trainer.train_epoch()
    before = weights(trainer)
    metrics = trainer.evaluate()
    assert_equal_weights(before, weights(trainer))
    assert set(metrics) == {
        f"{split}_{judge}"
        for split in ("valid", "test")
        for judge in ("top1", "linear_top1", "knn_top1")
    }
    assert all(0 <= value <= 1 for value in metrics.values())


def test_training_leaves_the_global_generator_and_the_cache_alone(digits: Waveforms) -> None:
    state, sample = torch.random.get_rng_state(), digits.samples[:50].copy()
    trainer = Trainer(tiny_config(augment=["WN", "TM"]), digits)
    trainer.train_epoch()
    trainer.evaluate()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (digits.samples[:50] == sample).all()


def test_a_loss_that_is_not_finite_names_epoch_and_step(digits: Waveforms) -> None:
    trainer = Trainer(tiny_config(learning_rate=1e30, warmup_epochs=0), digits)
    with pytest.raises(DivergedError, match=r"loss is (nan|inf) at epoch 1, step [23]"):
        trainer.train_epoch()


def test_a_trial_leaves_its_whole_record(digits: Waveforms, tmp_path: Path) -> None:
    trial = make_trial(tiny_config())
    state, rows = run(trial, tmp_path)
    record = records.read_record(records.trial_folder(tmp_path, trial))
    assert state == record.state == "done"
    assert record.trial == trial
    assert [row["epoch"] for row in record.history] == [1, 2, 3, 4]
    assert [row["epoch"] for row in record.history if "test_top1" in row] == [2, 4]
    assert record.summary["metrics"]["test_top1"] == record.history[-1]["test_top1"]
    assert record.summary["provenance"]["dataset_digest"] == digits.digest
    assert record.summary["provenance"]["clips"] == {"train": 160, "valid": 40, "test": 40}
    assert record.summary["cost"]["train_seconds"] > 0
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]


def test_a_done_trial_is_not_trained_again(digits: Waveforms, tmp_path: Path) -> None:
    trial = make_trial(tiny_config(epochs=1, warmup_epochs=0))
    run(trial, tmp_path)
    summary = records.trial_folder(tmp_path, trial) / "summary.json"
    written = summary.stat().st_mtime_ns
    assert run(trial, tmp_path) == ("done", [])
    assert summary.stat().st_mtime_ns == written


class Interrupted(BaseException):
    """Stands for a signal that ends the process between two epochs."""


def test_an_interrupted_trial_goes_on_and_ends_with_equal_numbers(
    digits: Waveforms, tmp_path: Path
) -> None:
    trial = make_trial(tiny_config())
    run(trial, tmp_path / "undisturbed")

    def interrupt(row: dict[str, float | int | str]) -> None:
        if row["epoch"] == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        run_trial(trial, tmp_path / "disturbed", interrupt)
    folder = records.trial_folder(tmp_path / "disturbed", trial)
    # As if the kill had come after the line of an epoch and before its checkpoint.
    records.append_history(folder, {"epoch": 4, "loss": 9.9})
    state, rows = run(trial, tmp_path / "disturbed")
    assert state == "done"
    assert [row["epoch"] for row in rows] == [4]
    one, other = (
        records.read_record(records.trial_folder(tmp_path / name, trial))
        for name in ("undisturbed", "disturbed")
    )
    assert without_times(one.history) == without_times(other.history)
    assert one.summary["metrics"] == other.summary["metrics"]


def test_a_diverged_trial_has_a_record(digits: Waveforms, tmp_path: Path) -> None:
    trial = make_trial(tiny_config(learning_rate=1e30, warmup_epochs=0))
    with pytest.raises(DivergedError):
        run(trial, tmp_path)
    folder = records.trial_folder(tmp_path, trial)
    records.close_unsuccessful(folder, trial)
    assert records.state_of(tmp_path, trial) == "diverged"
    error = records.read_record(folder).summary["error"]
    assert error["type"] == "DivergedError"
    assert "at epoch" in error["message"]


def test_a_failed_trial_has_a_record_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAR_SWEEPS_CACHE", str(tmp_path / "empty"))
    trial = make_trial(tiny_config())
    assert run(trial, tmp_path)[0] == "failed"
    error = records.read_record(records.trial_folder(tmp_path, trial)).summary["error"]
    assert error["type"] == "DataError"
    assert "clar-sweep data prepare" in error["message"]


def test_the_untrained_encoder_is_judged_without_training(
    digits: Waveforms, tmp_path: Path
) -> None:
    trial = make_trial(tiny_config().untrained())
    state, rows = run(trial, tmp_path)
    record = records.read_record(records.trial_folder(tmp_path, trial))
    assert (state, rows, record.history) == ("done", [], [])
    assert record.summary["metrics"]["test_top1"] > 0.1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_is_recorded(digits: Waveforms, tmp_path: Path, precision: str) -> None:
    trial = make_trial(tiny_config(epochs=1, warmup_epochs=0, precision=precision))
    run(trial, tmp_path)
    record = records.read_record(records.trial_folder(tmp_path, trial))
    assert record.summary["provenance"]["precision"] == precision


@pytest.mark.gpu
def test_a_gpu_ends_near_the_cpu(digits: Waveforms) -> None:
    # Draws differ between devices, so what is compared is what draws nothing on them.
    values = []
    for device in ("cpu", "cuda"):
        config = tiny_config(device=device, precision="float32", width=16).untrained()
        values.append(Trainer(config, digits).evaluate()["test_linear_top1"])
    assert values[0] == pytest.approx(values[1], abs=0.02)


def test_an_update_that_breaks_the_weights_is_a_divergence(digits: Waveforms) -> None:
    # One step: its loss is finite, the weights after it are not.
    breaking = {"learning_rate": 1e38, "weight_decay": 1e4, "warmup_epochs": 0}
    config = tiny_config(**breaking, epochs=1, batch_size=100_000)
    with pytest.raises(DivergedError, match="a weight is not finite at epoch 1, step 1"):
        Trainer(config, digits).train_epoch()


def test_weights_that_are_finite_and_useless_are_a_divergence(
    digits: Waveforms, tmp_path: Path
) -> None:
    trial = make_trial(
        tiny_config(learning_rate=1e30, warmup_epochs=0, epochs=1, batch_size=100_000)
    )
    with pytest.raises(DivergedError):
        run(trial, tmp_path)
    folder = records.trial_folder(tmp_path, trial)
    records.close_unsuccessful(folder, trial)
    assert records.state_of(tmp_path, trial) == "diverged"
    error = records.read_record(folder).summary["error"]
    assert "is not finite at epoch 1, step 1" in error["message"]


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("precision", "torch.float64", ConfigError, "trained in float64, here it would go on in"),
        ("dataset_digest", "f00", DataError, r"trained on other clips \(digest f00\)"),
    ],
)
def test_a_checkpoint_of_other_clips_or_precision_is_refused_and_changes_nothing(
    digits: Waveforms, tmp_path: Path, field: str, value: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / "checkpoint.pt"
    trainer = Trainer(tiny_config(), digits)
    trainer.save(path, trial_id="t", progress={})
    save_checkpoint(path, {**load_checkpoint(path, trial_id="t"), field: value}, trial_id="t")
    other = Trainer(tiny_config(), digits)
    other.train_epoch()
    before = weights(other)
    with pytest.raises(error, match=message):
        other.load(path, trial_id="t")
    assert_equal_weights(before, weights(other))


def test_a_sound_checkpoint_of_other_clips_is_not_given_up(
    digits: Waveforms, tmp_path: Path
) -> None:
    trial = make_trial(tiny_config(epochs=2))
    folder = records.trial_folder(tmp_path, trial)
    folder.mkdir(parents=True)
    path = folder / "checkpoint.pt"
    Trainer(trial.config, digits).save(path, trial_id=trial.id, progress={})
    state = load_checkpoint(path, trial_id=trial.id)
    save_checkpoint(path, {**state, "dataset_digest": "f00"}, trial_id=trial.id)
    written = path.read_bytes()
    assert run(trial, tmp_path)[0] == "failed"
    error = records.read_record(folder).summary["error"]
    assert "prepare those of before, or delete the trial's folder" in error["message"]
    assert path.read_bytes() == written


def test_what_a_killed_writer_left_aside_is_removed(digits: Waveforms, tmp_path: Path) -> None:
    trial = make_trial(tiny_config(epochs=1, warmup_epochs=0))
    folder = records.trial_folder(tmp_path, trial)
    folder.mkdir(parents=True)
    (folder / ".checkpoint.pt.7ogft2lr").write_bytes(b"half")
    run(trial, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        "checkpoint.pt",
        "config.json",
        "history.jsonl",
        "summary.json",
    ]


@pytest.mark.parametrize("num_bands", [8, 16])
def test_a_picture_that_shrinks_to_a_point_is_trained_in_float32_on_a_cpu(
    digits: Waveforms, num_bands: int
) -> None:
    picture = {"num_bands": num_bands, "window_length": 256, "hop_length": 1024, "n_fft": 256}
    config = tiny_config(features=picture, batch_size=8)
    trainers = [Trainer(config, digits) for _ in range(2)]
    assert trainers[0].autocast_dtype is None
    for trainer in trainers:
        trainer.train_epoch()
    assert_equal_weights(*map(weights, trainers))
    with pytest.raises(ConfigError, match="bfloat16 on a CPU needs a picture above 16 bands"):
        Trainer(tiny_config(features=picture, precision="bfloat16"), digits)
