import os
from pathlib import Path

import pytest
import torch
from tiny import tiny_config
from torch.nn import functional as F

from clar_sweeps import records, rng
from clar_sweeps.config import make_trial
from clar_sweeps.data import Waveforms
from clar_sweeps.losses import nt_xent
from clar_sweeps.trainer import Trainer, run_trial
from clar_sweeps.trainer.learning_rate import learning_rate_of

METHODS = [
    {"method": "simclr"},
    {"method": "supervised"},
    {"method": "clar"},
    {"method": "clar", "label_fraction": 0.1},
    {"method": "clar", "label_fraction": 0.1, "unlabelled": "drop", "batch_size": 8},
    {"method": "supervised", "label_fraction": 0.1, "supervised_budget": "steps"},
    {"method": "clar", "profile": "released", "features": {}, "batch_size": 24, "epochs": 2},
]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("fields", METHODS)
def test_a_trial_of_each_method_resumes_with_equal_numbers(
    digits: Waveforms, tmp_path: Path, fields: dict[str, object]
) -> None:
    config = tiny_config(**{"epochs": 2, **fields})
    whole = Trainer(config, digits)
    whole.train_epoch()
    whole.save(tmp_path / "half.pt", trial_id="t", progress={})
    last = whole.train_epoch()
    resumed = Trainer(config, digits)
    resumed.load(tmp_path / "half.pt", trial_id="t")
    again = resumed.train_epoch()
    assert again.losses == last.losses
    for one, other in zip(whole.parameters, resumed.parameters, strict=True):
        assert torch.equal(one, other)
    assert whole.evaluate() == resumed.evaluate()


def first_step(trainer: Trainer) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Views, labels and clips of the first step, drawn again from the trainer's streams."""
    clips = trainer.training_set.batches(0)[0]
    draws = rng.generator(trainer.config.seed, "augment", 0)
    waveforms = torch.from_numpy(trainer.waveforms.samples[clips.numpy()]).float() / 32768
    views = list(trainer.chain.two_views(waveforms, draws))
    return [trainer.features(view) for view in views], trainer.labels[clips], clips


def test_row_26_loss_of_clar_is_nt_xent_and_cross_entropy_on_both_views(digits: Waveforms) -> None:
    fields = {"batch_size": 160, "precision": "float32", "epochs": 1, "optimizer": "lars"}
    config = tiny_config(
        method="clar", label_fraction=0.5, cross_entropy_weight=0.3, learning_rate=1e-9, **fields
    )
    trainer = Trainer(config, digits)
    inputs, labels, clips = first_step(trainer)
    (z0, logits0), (z1, logits1) = (
        trainer.projection_head(trainer.encoder(view)) for view in inputs
    )
    seen = labels >= 0
    assert int(seen.sum()) == 80
    truth = torch.from_numpy(digits.labels)[clips]
    cross_entropy = sum(
        F.cross_entropy(logits[seen], truth[seen]).item() for logits in (logits0, logits1)
    )
    contrastive = nt_xent(z0, z1, 0.5).item()
    losses = trainer.train_epoch().losses
    assert losses["contrastive_loss"] == pytest.approx(contrastive, rel=1e-4)
    assert losses["cross_entropy"] == pytest.approx(cross_entropy, rel=1e-4)
    assert losses["loss"] == pytest.approx(contrastive + 0.3 * cross_entropy, rel=1e-4)


def test_row_25_supervised_training_takes_one_view(digits: Waveforms) -> None:
    fields = {"batch_size": 160, "precision": "float32", "epochs": 1, "learning_rate": 1e-9}
    trainer = Trainer(tiny_config(method="supervised", **fields), digits)
    (view, _), labels, _ = first_step(trainer)
    expected = F.cross_entropy(trainer.projection_head(trainer.encoder(view)), labels).item()
    assert trainer.train_epoch().losses == {"loss": pytest.approx(expected, rel=1e-4)}


@pytest.mark.parametrize(("method", "term"), [("supervised", "loss"), ("clar", "cross_entropy")])
def test_training_with_labels_lowers_the_cross_entropy(
    digits: Waveforms, method: str, term: str
) -> None:
    fields = {"width": 8, "epochs": 8, "augment": ["FD"], "batch_size": 16, "learning_rate": 3e-3}
    trainer = Trainer(tiny_config(method=method, **fields), digits)
    losses = [trainer.train_epoch().losses[term] for _ in range(8)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_judges_learn_from_all_labels_whatever_training_saw(digits: Waveforms) -> None:
    fields = {"method": "supervised", "learning_rate": 1e-12, "epochs": 1}
    few, all_labels = (
        Trainer(tiny_config(label_fraction=share, **fields), digits) for share in (0.05, 1.0)
    )
    assert few.evaluate() == all_labels.evaluate()


def test_row_38_held_out_clips_are_augmented_on_demand_and_alike_each_time(
    digits: Waveforms,
) -> None:
    clean = Trainer(tiny_config(augment=["WN"]), digits)
    augmented = Trainer(tiny_config(augment=["WN"], evaluate_on="augmented"), digits)
    one, other = clean._represent("test"), augmented._represent("test")
    assert not torch.equal(one.representations, other.representations)
    assert torch.equal(other.representations, augmented._represent("test").representations)
    train = (trainer._represent("train").representations for trainer in (clean, augmented))
    assert torch.equal(*train)


def test_the_labelled_subset_is_in_the_record(digits: Waveforms, tmp_path: Path) -> None:
    trial = make_trial(tiny_config(method="clar", label_fraction=0.1, epochs=1, warmup_epochs=0))
    assert run_trial(trial, tmp_path, lambda row: None) == "done"
    folder = records.trial_folder(tmp_path, trial)
    manifest = records.read_json(folder / "labelled.json")
    train = {digits.clip_names[clip] for clip in digits.indices("train")}
    assert len(manifest["clips"]) == 16
    assert set(manifest["clips"]) < train
    record = records.read_record(folder)
    assert record.summary["provenance"]["labelled_sha256"] == manifest["sha256"]
    assert {"loss", "contrastive_loss", "cross_entropy"} < set(record.history[0])


def rates(trainer: Trainer, steps: int) -> list[float]:
    return [
        learning_rate_of(trainer.config, trainer.training_set, step=step) for step in range(steps)
    ]


def test_row_34_released_keeps_its_rate_at_one_percent_of_the_labels(digits: Waveforms) -> None:
    fields = {"schedule": "released", "method": "clar", "batch_size": 48}
    constant = Trainer(tiny_config(label_fraction=0.01, **fields), digits)
    assert set(rates(constant, 12)) == {1e-3}
    falling = Trainer(tiny_config(label_fraction=0.1, **fields), digits)
    assert len(set(rates(falling, 12))) > 5


def test_row_34_released_counts_too_few_steps_and_so_ends_early(digits: Waveforms) -> None:
    config = tiny_config(schedule="released", batch_size=48, epochs=8, warmup_epochs=0)
    trainer = Trainer(config, digits)
    # 160 clips are three batches and a rest of 16, which is trained on and not counted.
    assert trainer.training_set.steps_per_epoch == 4
    released = rates(trainer, 32)
    assert released[1:].index(min(released[1:])) + 1 == 24
    assert released[-1] > released[24]


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "simclr"},
        {"method": "supervised"},
        {"method": "clar", "label_fraction": 0.5},
        {"encoder": "resnet18_1d"},
        {"precision": "float32"},
    ],
)
def test_computing_activations_twice_changes_no_number(
    digits: Waveforms, fields: dict[str, object]
) -> None:
    trainers = [
        Trainer(tiny_config(recompute=how, **fields), digits) for how in ("never", "always")
    ]
    assert [trainer.recomputes for trainer in trainers] == [False, True]
    losses = [trainer.train_epoch().losses for trainer in trainers]
    assert losses[0] == losses[1]
    for one, other in zip(
        *(trainer.encoder.state_dict().values() for trainer in trainers), strict=True
    ):
        assert torch.equal(one, other)


def test_recompute_is_chosen_where_memory_is_short(
    digits: Waveforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not Trainer(tiny_config(), digits).recomputes
    monkeypatch.setattr("clar_sweeps.trainer.recompute.memory_bytes", lambda device: 1_000_000)
    assert Trainer(tiny_config(), digits).recomputes


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_activations_of_a_step_are_foretold_from_a_few_clips(
    digits: Waveforms, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """The choice turns where the activations of the whole batch, as they are kept, just fit."""
    config = tiny_config(width=16, batch_size=160, precision=precision)
    trainer = Trainer(config, digits)
    kept = 2 * trainer._kept_bytes(trainer.training_set.clips)
    share = 0.6 * torch.get_num_threads() / (os.cpu_count() or 1)
    for factor, recomputes in ((0.8, True), (1.25, False)):
        memory = int(factor * kept / share)
        monkeypatch.setattr(
            "clar_sweeps.trainer.recompute.memory_bytes", lambda _, bound=memory: bound
        )
        assert Trainer(config, digits).recomputes is recomputes
