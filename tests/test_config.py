import contextlib
import json
import subprocess
import sys
from typing import get_args

import pytest
from pydantic import ValidationError

from clar_sweeps import config as config_module
from clar_sweeps.config import (
    Augmentation,
    Dataset,
    Encoder,
    Optimizer,
    TrialConfig,
    identity,
    make_trial,
    parse_config,
)
from clar_sweeps.faults import Fault


def config(**fields: object) -> TrialConfig:
    parsed = parse_config({"augment": ["FD", "TM"], **fields})
    assert isinstance(parsed, TrialConfig), parsed
    return parsed


def faults(**fields: object) -> list[Fault]:
    parsed = parse_config({"augment": ["FD", "TM"], **fields})
    assert isinstance(parsed, list)
    return parsed


def test_defaults_are_the_papers() -> None:
    paper = config()
    assert (paper.batch_size, paper.epochs, paper.warmup_epochs) == (1024, 1000, 10)
    assert (paper.optimizer, paper.learning_rate, paper.weight_decay) == ("lars", 1.0, 1e-4)
    assert (paper.temperature, paper.eval_every, paper.width) == (0.5, 10, 64)
    assert paper.features is not None
    assert (paper.features.window_length, paper.features.hop_length) == (256, 128)
    assert paper.features.num_bands == 128


def test_names_in_config_are_the_names_of_the_parts() -> None:
    from clar_sweeps.augment import OPERATIONS
    from clar_sweeps.data import DATASETS
    from clar_sweeps.models import ENCODERS
    from clar_sweeps.optim import OPTIMIZERS

    assert set(get_args(Augmentation)) == set(OPERATIONS)
    assert set(get_args(Dataset)) == set(DATASETS)
    assert set(get_args(Encoder)) == set(ENCODERS)
    assert set(get_args(Optimizer)) == set(OPTIMIZERS)


def test_pair_of_one_operation_with_itself_is_that_operation() -> None:
    assert config(augment=["FD", "FD"]) == config(augment=["FD"])
    assert identity(config(augment=["FD", "FD"])) == identity(config(augment=["FD"]))


def test_order_of_operations_is_part_of_the_identity() -> None:
    assert identity(config(augment=["FD", "TM"])) != identity(config(augment=["TM", "FD"]))


def test_one_probability_stands_for_all_operations() -> None:
    assert config(augment_probability=0.5) == config(augment_probability=[0.5, 0.5])


def test_fields_that_do_not_apply_leave_the_identity_alone() -> None:
    in_1d = config(encoder="resnet18_1d")
    assert in_1d == config(encoder="resnet18_1d", features={"num_bands": 64})
    assert config(dataset="fsdd") == config(dataset="fsdd", condition="hard")
    assert config(condition="medium") == config()
    assert config(epochs=12, eval_every=50) == config(epochs=12, eval_every=12)


def test_device_and_checkpoint_rhythm_stay_out_of_the_identity() -> None:
    assert identity(config(device="cuda", checkpoint_every=7)) == identity(config())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 1),
        ("width", 32),
        ("features", {"num_bands": 64}),
        ("learning_rate", 0.5),
        ("condition", "hard"),
        ("precision", "float32"),
        ("augment_backend", "audiomentations"),
        ("augment_probability", 0.5),
    ],
)
def test_a_field_that_changes_results_changes_the_identity(field: str, value: object) -> None:
    assert identity(config(**{field: value})) != identity(config())


def test_identity_is_pinned() -> None:
    # Records of users are found by this id: when it moves, SEMANTICS must be raised on purpose.
    assert config_module.SEMANTICS == 2
    assert identity(config()) == PINNED


PINNED = "b4fc47f2a2a5"


def test_identity_is_the_same_in_another_process() -> None:
    code = (
        "from clar_sweeps.config import *; import json, sys;"
        "print(identity(parse_config(json.loads(sys.argv[1]))))"
    )
    data = config().model_dump_json()
    answer = subprocess.run(
        [sys.executable, "-c", code, data], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == identity(config())


def test_config_survives_json() -> None:
    whole = config(augment_probability=[1, 0.5], features={"num_bands": 64})
    assert parse_config(json.loads(whole.model_dump_json())) == whole


def test_config_is_frozen() -> None:
    with pytest.raises(ValidationError):
        config().width = 3  # type: ignore[misc]


def test_untrained_encoder_is_one_for_all_chains_and_optimizers() -> None:
    one = config().untrained()
    other = config(augment=["PS"], optimizer="adamw", epochs=5, warmup_epochs=1).untrained()
    assert one == other
    assert make_trial(one).name == "untrained_2d_spoken-digits_s0"
    assert config(seed=1).untrained() != one
    assert config(width=32).untrained() != one


def test_a_cell_is_what_differs_in_the_seed_only() -> None:
    assert config(seed=3).cell() == config(seed=5).cell() == config()
    assert config(seed=3, width=8).cell() != config().cell()


def test_name_reads_chain_encoder_dataset_and_seed() -> None:
    trial = make_trial(config(seed=2))
    assert trial.name == "FD-TM_2d_spoken-digits_s2"
    assert trial.folder == f"FD-TM_2d_spoken-digits_s2_{trial.id}"


@pytest.mark.parametrize(
    ("fields", "place", "message"),
    [
        (
            {"augment": ["FD", "TMM"]},
            ("augment", 1),
            "'TMM' is not one of PS, FD, WN, MN, TM, TS, TST, TSR; did you mean TM?",
        ),
        ({"widht": 3}, ("widht",), "unknown field; did you mean width?"),
        (
            {"features": {"nfft": 512}},
            ("features", "nfft"),
            "unknown field; did you mean n_fft?",
        ),
        ({"augment": "FD"}, ("augment",), "'FD' is not a list; write [FD]"),
        ({"augment": []}, ("augment",), "the chain is empty; name at least one operation"),
        ({"epochs": "3"}, ("epochs",), "'3' is not a whole number"),
        ({"epochs": 3}, ("warmup_epochs",), "10 is more than epochs = 3; lower it"),
        (
            {"features": {"n_fft": 500}},
            ("features", "n_fft"),
            "500 is not a multiple of 2 * num_bands = 256; use 512",
        ),
        (
            {"augment_probability": [0.5]},
            ("augment_probability",),
            "1 numbers for 2 operations; give one each",
        ),
    ],
)
def test_a_fault_names_place_rule_value_and_remedy(
    fields: dict[str, object], place: tuple[str | int, ...], message: str
) -> None:
    assert faults(**fields) == [Fault(place, message)]


def test_all_faults_are_told_together() -> None:
    told = {fault.place[0] for fault in faults(width=0, epochs="3", learning_rate=-1.0, foo=1)}
    assert told == {"width", "epochs", "learning_rate", "foo"}


@pytest.mark.parametrize("num_bands", [8, 32, 40, 64, 80, 128])
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
def test_config_refuses_exactly_the_pictures_with_empty_mel_bands(
    num_bands: int, factor: int
) -> None:
    from clar_sweeps.features import SpectralFeatures

    n_fft = 2 * num_bands * factor
    picture = {"num_bands": num_bands, "n_fft": n_fft, "window_length": n_fft // 2}
    told = parse_config({"augment": ["FD"], "features": picture})
    with contextlib.ExitStack() as stack:
        if isinstance(told, list):
            number = told[0].message.split("leaves ")[1].split(" mel")[0]
            stack.enter_context(pytest.raises(ValueError, match=f"^{number} mel filters"))
        SpectralFeatures(**picture)


def test_only_a_pair_collapses() -> None:
    assert config(augment=["FD", "WN", "WN"]).augment == ("FD", "WN", "WN")
    unlike = config(augment=["FD", "FD"], augment_probability=[1.0, 0.5])
    assert unlike.augment == ("FD", "FD")


@pytest.mark.parametrize(
    "fields",
    [
        {"weight_decay": 0.0},
        {"augment_probability": 0.0},
        {"augment_probability": [1.0, 0.0]},
        {"method": "clar", "cross_entropy_weight": 0.0},
    ],
)
def test_zero_has_one_identity(fields: dict[str, object]) -> None:
    negative = json.loads(json.dumps(fields).replace("0.0", "-0.0"))
    assert str(negative) != str(fields)
    assert identity(config(**negative)) == identity(config(**fields))


def test_a_picture_is_checked_by_the_definition_that_it_ends_up_with() -> None:
    hundred = {"num_bands": 100}
    assert [fault.place for fault in faults(features=hundred)] == [("features", "n_fft")]
    released = config(profile="released", features=hundred)
    assert released.features is not None
    assert released.features.num_bands == 100


def test_parts_of_a_batch_are_checked_where_they_apply() -> None:
    assert config(profile="released", method="supervised", batch_size=6).batch_size == 6


def test_a_key_that_is_no_text_is_an_unknown_field() -> None:
    parsed = parse_config({"augment": ["FD"], 7: 1})  # type: ignore[dict-item]  # as YAML may have
    assert isinstance(parsed, list)
    assert parsed[0].message.startswith("unknown field")


def test_a_field_of_another_method_plays_no_part() -> None:
    # The nine trials of Table 2: SimCLR sees no labels, so its share of them is nothing.
    assert (
        config(label_fraction=0.1, label_subset="stratified", clar_head="four_layers") == config()
    )
    supervised = config(method="supervised")
    assert config(method="supervised", temperature=0.1, negative_shards=4) == supervised
    assert supervised.label_fraction == 1.0
    assert config(method="clar", unlabelled="drop", supervised_budget="steps") == config(
        method="clar"
    )
    one_d = {"encoder": "resnet18_1d"}
    assert config(stem="released") == config()
    assert config(**one_d).stem == "paper"
    assert identity(config(**one_d, stem="released")) != identity(config(**one_d))


def test_operations_that_both_definitions_share_are_one_trial() -> None:
    assert config(augment=["WN"], augment_definition="released") == config(augment=["WN"])
    assert config(augment_definition="released") != config()


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "supervised"},
        {"method": "clar"},
        {"method": "clar", "label_fraction": 0.2},
        {"method": "clar", "label_fraction": 0.2, "unlabelled": "drop"},
        {"method": "clar", "label_fraction": 0.2, "label_subset": "stratified"},
        {"method": "clar", "cross_entropy_weight": 0.5},
        {"method": "clar", "clar_head": "four_layers"},
        {"method": "supervised", "label_fraction": 0.2, "supervised_budget": "steps"},
        {"negative_shards": 4},
        {"schedule": "released"},
        {"evaluate_on": "augmented"},
        {"features": {"definition": "released"}},
        {"optimizer": "lars_adam"},
    ],
)
def test_a_field_of_the_protocol_is_part_of_the_identity(fields: dict[str, object]) -> None:
    assert identity(config(**fields)) != identity(config())
    without_last = dict(list(fields.items())[:-1])
    assert identity(config(**fields)) != identity(config(**without_last))


def test_untrained_encoder_is_one_for_all_methods() -> None:
    clar = config(method="clar", label_fraction=0.1, profile="released", features={})
    assert identity(clar.untrained()) != identity(config().untrained())  # another picture
    paper = config(method="clar", label_fraction=0.1, evaluate_on="augmented")
    assert paper.untrained() == config().untrained()


def test_a_profile_is_other_defaults_and_nothing_else() -> None:
    released = config(profile="released", dataset="sc10")
    assert (released.optimizer, released.weight_decay, released.epochs) == ("lars_adam", 1e-6, 1020)
    assert released.features is not None
    assert released.features.definition == "released"
    assert released.features.window_length == 2048
    assert (released.negative_shards, released.evaluate_on) == (4, "augmented")
    fields = released.model_dump(mode="json")
    # The same fields under another label: what is done identifies a trial.
    assert identity(config(**fields | {"profile": "paper"})) == identity(released)
    assert parse_config(fields) == released


def test_what_is_given_stands_under_any_profile() -> None:
    given = {"epochs": 30, "optimizer": "adamw", "features": {"num_bands": 64, "n_fft": 1024}}
    released = config(profile="released", **given)
    assert (released.epochs, released.optimizer) == (30, "adamw")
    assert released.features is not None
    assert (released.features.num_bands, released.features.n_fft) == (64, 1024)
    assert released.features.window_length == 1024  # as long as the transform, as in the code


def test_batch_and_epochs_of_released_depend_on_dataset_and_method() -> None:
    def batch_and_epochs(**fields: object) -> tuple[int, int]:
        released = config(profile="released", **fields)
        return released.batch_size, released.epochs

    assert batch_and_epochs(dataset="sc35") == (512, 1020)
    assert batch_and_epochs(dataset="nsynth11") == (128, 120)
    assert batch_and_epochs(dataset="nsynth128") == (64, 120)
    assert batch_and_epochs(dataset="esc10") == (128, 2000)
    assert batch_and_epochs(dataset="esc50", method="clar") == (256, 2000)


def test_released_drops_unlabelled_clips_but_of_nsynth() -> None:
    few = {"profile": "released", "method": "clar", "label_fraction": 0.1}
    assert config(**few, dataset="sc10").unlabelled == "drop"
    assert config(**few, dataset="nsynth128").unlabelled == "keep"


def test_names_tell_methods_and_shares_apart() -> None:
    def name(**fields: object) -> str:
        return make_trial(config(**fields)).name

    assert name(method="clar", label_fraction=0.01) == "clar-1pct_FD-TM_2d_spoken-digits_s0"
    steps = {"method": "supervised", "label_fraction": 0.125, "supervised_budget": "steps"}
    assert name(**steps) == "supervised-12.5pct-steps_FD-TM_2d_spoken-digits_s0"
    assert name(dataset="folder", folder="birds") == "FD-TM_2d_birds_s0"


def test_own_recordings_need_a_name() -> None:
    (fault,) = faults(dataset="folder")
    assert fault.place == ("folder",)
    assert fault.message.startswith("is required with dataset folder")
    (fault,) = faults(dataset="folder", folder="../birds")
    assert "other signs than" in fault.message


def test_parts_of_a_batch_hold_two_clips_at_least() -> None:
    (fault,) = faults(batch_size=6, negative_shards=4)
    assert fault == Fault(
        ("negative_shards",), "4 parts of a batch of 6 leave no two clips each; give at most 3"
    )
