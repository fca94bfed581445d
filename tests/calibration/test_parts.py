"""What trials are made up of, on 240 clean spoken digits, 160 of them to train on."""

from tiny import tiny_config

from clar_sweeps import data
from clar_sweeps.calibration.parts import Makeup, make_up
from clar_sweeps.config import make_trial


def makeup(**fields: object) -> Makeup:
    trial = make_trial(tiny_config(**fields))
    return make_up([trial])[trial.id]


def test_steps_evaluations_and_checkpoints_are_counted(digits: data.Waveforms) -> None:
    steps = len(digits.indices("train")) // 48
    made = makeup(epochs=5, eval_every=2, checkpoint_every=3)
    assert made.num_steps == 5 * steps
    assert made.num_evaluations == 3  # after 2, 4, and the last
    assert made.num_checkpoints == 2
    assert made.num_views == 2
    assert made.augmented_batches == 0.0
    assert makeup(method="supervised").num_views == 1


def test_an_untrained_encoder_is_one_evaluation(digits: data.Waveforms) -> None:
    made = makeup(epochs=0)
    assert made.parts == (made.evaluation,)
    assert (made.num_steps, made.num_evaluations, made.num_checkpoints) == (0, 1, 0)


def test_what_scales_or_only_decides_results_is_timed_once(digits: data.Waveforms) -> None:
    first = makeup()
    for same in (
        makeup(epochs=8),
        makeup(eval_every=1),
        makeup(seed=3),
        makeup(learning_rate=0.5, temperature=0.1, weight_decay=0.1),
        makeup(augment=["TM", "FD"]),
    ):
        assert set(same.parts) == set(first.parts)
    labelled = makeup(method="clar", label_fraction=0.1)
    assert labelled.parts == makeup(method="clar", label_fraction=1.0).parts


def test_what_decides_the_cost_of_a_step_is_timed_apart(digits: data.Waveforms) -> None:
    first = makeup()
    for other in (
        makeup(width=4),
        makeup(batch_size=24),
        makeup(method="clar"),
        makeup(optimizer="lars"),
        makeup(recompute="always"),
        makeup(precision="float32"),
        makeup(encoder="resnet18_1d"),
    ):
        assert other.steps != first.steps
    # The encoder is judged alike, whatever trained it.
    assert makeup(method="clar").evaluation == first.evaluation
    assert makeup(width=4).evaluation != first.evaluation


def test_operations_are_timed_for_all_encoders_together(digits: data.Waveforms) -> None:
    assert makeup(encoder="resnet18_1d").operations == makeup(width=8).operations
    assert makeup(batch_size=24).operations != makeup().operations
    assert (
        makeup(augment=["PS", "PS", "FD"]).operations.count(makeup(augment=["PS"]).operations[0])
        == 2
    )


def test_few_labels_make_smaller_steps(digits: data.Waveforms) -> None:
    few = round(0.1 * len(digits.indices("train")))
    made = makeup(method="supervised", label_fraction=0.1)
    assert made.num_steps == 4
    assert made.steps is not None
    assert made.steps.config.batch_size == few
    assert made.record_bytes > makeup(method="supervised").record_bytes


def test_augmented_held_out_clips_cost_operations_too(digits: data.Waveforms) -> None:
    held_out = len(digits.indices("valid")) + len(digits.indices("test"))
    made = makeup(evaluate_on="augmented")
    assert made.augmented_batches == 2 * held_out / 48
