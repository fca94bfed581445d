import pytest
import torch
from tiny import tiny_config

from clar_sweeps.data import Waveforms
from clar_sweeps.errors import ConfigError
from clar_sweeps.losses import UNLABELLED
from clar_sweeps.trainer.training_set import TrainingSet

# `digits` has 160 clips to train on.


def test_simclr_trains_on_all_clips_in_an_order_of_the_seed_alone(digits: Waveforms) -> None:
    one = TrainingSet(tiny_config(), digits)
    other = TrainingSet(tiny_config(method="clar", label_fraction=0.1, augment=["TS"]), digits)
    assert one.clips.tolist() == digits.indices("train").tolist()
    assert torch.equal(one.order(3), other.order(3))
    assert not torch.equal(one.order(3), one.order(4))
    assert sorted(one.order(0).tolist()) == one.clips.tolist()


def test_row_28_clar_keeps_unlabelled_clips_without_their_labels(digits: Waveforms) -> None:
    part = TrainingSet(tiny_config(method="clar", label_fraction=0.25), digits)
    assert len(part.clips) == 160
    labels = part.labels[part.clips]
    assert int((labels != UNLABELLED).sum()) == 40
    seen = part.clips[labels != UNLABELLED]
    assert part.labels[seen].tolist() == digits.labels[seen.numpy()].tolist()


def test_row_28_dropped_clips_are_not_trained_on(digits: Waveforms) -> None:
    config = tiny_config(method="clar", label_fraction=0.25, unlabelled="drop", batch_size=13)
    part = TrainingSet(config, digits)
    assert len(part.clips) == 40
    assert (part.labels[part.clips] != UNLABELLED).all()
    assert part.steps_per_epoch == 3


def test_row_42_supervised_goes_over_the_labelled_clips_alone(digits: Waveforms) -> None:
    config = tiny_config(method="supervised", label_fraction=0.25, batch_size=13)
    part = TrainingSet(config, digits)
    assert (len(part.clips), part.steps_per_epoch, part.clips_per_epoch) == (40, 3, 39)
    clar = TrainingSet(tiny_config(method="clar", label_fraction=0.25), digits)
    assert part.clips.tolist() == clar.clips[clar.labels[clar.clips] != UNLABELLED].tolist()


def test_row_42_equal_steps_go_over_few_labels_again_and_again(digits: Waveforms) -> None:
    fields = {"method": "supervised", "label_fraction": 0.1, "batch_size": 16}
    part = TrainingSet(tiny_config(**fields, supervised_budget="steps"), digits)
    assert len(part.clips) == 16
    assert part.steps_per_epoch == 160 // 16
    batches = part.batches(0)
    assert [len(batch) for batch in batches] == [16] * 10
    counts = torch.bincount(torch.cat(batches))[part.clips]
    assert counts.tolist() == [10] * 16
    assert part.clips_per_epoch == 160


def test_row_34_an_incomplete_last_batch_is_left_out_but_by_the_released_schedule(
    digits: Waveforms,
) -> None:
    paper = TrainingSet(tiny_config(batch_size=50), digits)
    released = TrainingSet(tiny_config(batch_size=50, schedule="released"), digits)
    assert [len(batch) for batch in paper.batches(0)] == [50, 50, 50]
    assert [len(batch) for batch in released.batches(0)] == [50, 50, 50, 10]
    assert (paper.whole_steps, released.whole_steps) == (3, 3)
    assert (paper.clips_per_epoch, released.clips_per_epoch) == (150, 160)


def test_a_batch_larger_than_the_clips_takes_them_all(
    digits: Waveforms, caplog: pytest.LogCaptureFixture
) -> None:
    part = TrainingSet(tiny_config(batch_size=1024), digits)
    assert (part.batch_size, part.steps_per_epoch) == (160, 1)
    assert "each step takes them all" in caplog.text


def test_too_few_labels_are_refused(digits: Waveforms) -> None:
    config = tiny_config(method="supervised", label_fraction=0.001)
    with pytest.raises(ConfigError, match=r"1 labelled clip, expected at least 2; raise label_fr"):
        TrainingSet(config, digits)


def test_equal_steps_are_counted_as_with_all_labels(digits: Waveforms) -> None:
    fields = {"method": "supervised", "batch_size": 48, "schedule": "released"}
    few = TrainingSet(tiny_config(label_fraction=0.5, supervised_budget="steps", **fields), digits)
    all_labels = TrainingSet(tiny_config(**fields), digits)
    # 160 clips are three whole batches and a rest that the released schedule keeps.
    assert (few.whole_steps, few.steps_per_epoch) == (3, 4)
    assert (all_labels.whole_steps, all_labels.steps_per_epoch) == (3, 4)
    assert [len(batch) for batch in few.batches(0)] == [48] * 4


def test_an_untrained_encoder_needs_no_batch(
    digits: Waveforms, caplog: pytest.LogCaptureFixture
) -> None:
    TrainingSet(tiny_config().untrained(), digits)
    assert not caplog.records


@pytest.mark.parametrize(("subset", "warned"), [("plain", True), ("stratified", False)])
def test_classes_that_no_label_shows_are_told(
    digits: Waveforms, caplog: pytest.LogCaptureFixture, subset: str, warned: bool
) -> None:
    TrainingSet(tiny_config(method="clar", label_fraction=0.05, label_subset=subset), digits)
    assert ("of 10 classes" in caplog.text) is warned
