import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clar_sweeps.errors import ConfigError
from clar_sweeps.sweep import json_schema, load_sweep, plan_from_json, plan_to_json

ROOT = Path(__file__).parents[1]
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str) -> Path:
        path = tmp_path / "sweep.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


GRID = """
name: grid
fixed: {epochs: 10, width: 8}
axes:
  augment: {pairs: [FD, TM, TS]}
  encoder: [resnet18_1d, resnet18_2d]
"""


def test_pairs_are_all_ordered_pairs_with_singles_on_the_diagonal(write: Write) -> None:
    sweep = load_sweep(write("name: a\naxes: {augment: {pairs: [FD, TM]}}"))
    assert [trial.config.augment for trial in sweep.trials] == [
        ("FD",),
        ("FD", "TM"),
        ("TM", "FD"),
        ("TM",),
    ]
    assert sweep.operations == ("FD", "TM")


def test_axes_make_a_product_seed_by_seed(write: Write) -> None:
    sweep = load_sweep(write(GRID), seeds=(0, 1))
    assert len(sweep.trials) == 3 * 3 * 2 * 2
    assert [trial.config.seed for trial in sweep.trials] == [0] * 18 + [1] * 18
    assert len({trial.id for trial in sweep.trials}) == 36


def test_each_encoder_and_seed_has_one_untrained_baseline(write: Write) -> None:
    sweep = load_sweep(write(GRID), seeds=(0, 1))
    assert len(sweep.baselines) == 4
    assert all(trial.config.epochs == 0 for trial in sweep.baselines)


def test_zipped_fields_move_together(write: Write) -> None:
    text = "name: a\nfixed: {augment: [FD]}\nzips: [{width: [8, 16], batch_size: [32, 64]}]"
    sweep = load_sweep(write(text))
    pairs = [(trial.config.width, trial.config.batch_size) for trial in sweep.trials]
    assert pairs == [(8, 32), (16, 64)]


def test_yaml_is_1_2(write: Write) -> None:
    text = "name: no\nfixed: {augment: [FD], learning_rate: 1e-3}"
    sweep = load_sweep(write(text))
    assert sweep.name == "no"
    assert sweep.trials[0].config.learning_rate == 0.001


def test_a_dotted_field_reaches_into_a_group(write: Write) -> None:
    text = "name: a\nfixed: {augment: [FD], features: {n_fft: 512, num_bands: 64}}"
    path = write(text + "\naxes: {features.hop_length: [128, 256]}")
    sweep = load_sweep(path, overrides=["features.num_bands=32"])
    features = [trial.config.features for trial in sweep.trials]
    assert [(f.num_bands, f.hop_length, f.n_fft) for f in features if f] == [
        (32, 128, 512),
        (32, 256, 512),
    ]


def test_an_override_replaces_an_axis(write: Write) -> None:
    sweep = load_sweep(write(GRID), overrides=["augment=[FD, TM]", "encoder=resnet18_2d"])
    assert [trial.config.augment for trial in sweep.trials] == [("FD", "TM")]
    assert sweep.operations == ()


def test_overrides_make_another_run_and_seeds_do_not(write: Write) -> None:
    path = write(GRID)
    assert load_sweep(path, seeds=(0, 1)).name == "grid"
    assert load_sweep(path, overrides=["width=4", "dataset=fsdd"]).name == (
        "grid_dataset=fsdd_width=4"
    )


def test_ids_of_seed_0_stay_when_a_seed_is_added(write: Write) -> None:
    path = write(GRID)
    before = {trial.id for trial in load_sweep(path).trials}
    assert before < {trial.id for trial in load_sweep(path, seeds=(0, 1)).trials}


def test_equal_trials_are_one_trial(write: Write) -> None:
    text = "name: a\nfixed: {augment: [FD], dataset: fsdd}\naxes: {condition: [clean, hard]}"
    assert len(load_sweep(write(text)).trials) == 1


def test_plan_survives_json(write: Write) -> None:
    sweep = load_sweep(write(GRID), seeds=(0, 4))
    again = plan_from_json(json.loads(json.dumps(plan_to_json(sweep))), Path("plan.json"))
    assert again == sweep


FAULTY = """name: q
fixed:
  dataset: fsddd
  widht: 3
  seed: 2
  features:
    n_fft: 500
axes:
  augment: {pairs: [PS, TMM]}
  encoder: resnet
zips:
- {width: [1, 2], epochs: [3]}
seeds: [a]
extra: 1
"""


def test_all_faults_of_a_file_are_told_with_their_lines(write: Write) -> None:
    path = write(FAULTY)
    with pytest.raises(ConfigError) as error:
        load_sweep(path)
    fields = "name, description, fixed, axes, zips, seeds, resources, recovery"
    assert str(error.value).splitlines() == [
        f"{path}:3: fixed.dataset: 'fsddd' is not one of spoken-digits, instrument-notes, "
        "fsdd, sc10, sc35, nsynth11, nsynth128, esc10, esc50, folder; did you mean fsdd?",
        f"{path}:4: fixed.widht: unknown field; did you mean width?",
        f"{path}:5: fixed.seed: seeds are a list of their own; write seeds: [0, 1]",
        f"{path}:7: fixed.features.n_fft: 500 is not a multiple of 2 * num_bands = 256; use 512",
        f"{path}:9: axes.augment.pairs[1]: 'TMM' is not one of PS, FD, WN, MN, TM, TS, TST, TSR; "
        "did you mean TM?",
        f"{path}:10: axes.encoder: 'resnet' is not a list of values; write [resnet]",
        f"{path}:12: zips[0]: lists of unequal length (width 2, epochs 1); give each the same",
        f"{path}:13: seeds[0]: 'a' is not a whole number",
        f"{path}:14: extra: unknown field; the fields are {fields}",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("width=abc", "--set width: 'abc' is not a whole number"),
        ("width", "--set width: is not field=value; write it so"),
        ("seed=1", "--set seed: seeds are a list of their own; use --seeds 0,1"),
        ("widht=1", "--set widht: unknown field; did you mean width?"),
        ("augment=[FD,TMM]", "--set augment[1]: 'TMM' is not one of"),
    ],
)
def test_a_faulty_override_is_named(write: Write, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match="--set") as error:
        load_sweep(write(GRID), overrides=[override])
    assert str(error.value).startswith(message)


def test_a_duplicate_key_is_named_with_its_line(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"sweep\.yaml:2: not valid YAML: .*duplicate key"):
        load_sweep(write("name: a\nname: b\n"))


def test_a_field_set_twice_is_named(write: Write) -> None:
    text = "name: a\nfixed: {augment: [FD], width: 8}\naxes: {width: [8, 16]}"
    with pytest.raises(ConfigError, match=r"axes\.width: is set in fixed.width as well"):
        load_sweep(write(text))


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").rglob("*.yaml")), ids=lambda p: p.name)
def test_every_sweep_file_that_ships_is_valid_and_opens_with_its_command(path: Path) -> None:
    sweep = load_sweep(path)
    assert sweep.trials
    head = path.read_text(encoding="utf-8").split("\nname:")[0]
    assert f"clar-sweep run {path.relative_to(ROOT)}" in head
    assert "sweep.schema.json" in head


def test_schema_that_ships_is_the_schema_of_the_code() -> None:
    shipped = json.loads((ROOT / "sweeps" / "sweep.schema.json").read_text(encoding="utf-8"))
    assert shipped == json_schema()


def test_schema_completes_fields_and_refuses_unknown_ones() -> None:
    schema = json_schema()
    fixed = schema["properties"]["fixed"]
    assert {"augment", "width", "features.n_fft"} <= set(fixed["properties"])
    assert "seed" not in fixed["properties"]
    assert fixed["additionalProperties"] is False


def test_a_thousand_trials_expand_in_a_moment(write: Write) -> None:
    path = write(GRID)
    started = time.process_time()
    assert len(load_sweep(path, seeds=tuple(range(60))).trials) == 1080
    assert time.process_time() - started < 5


def test_an_override_reaches_into_a_group_that_is_null(write: Write) -> None:
    text = "name: a\nfixed: {augment: [FD], features: null}"
    sweep = load_sweep(write(text), overrides=["features.num_bands=64"])
    assert sweep.trials[0].config.features is not None
    assert sweep.trials[0].config.features.num_bands == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "axes: {features.hop_length: [64, 128], features: [{num_bands: 64}]}",
            "axes.features: is set in axes.features.hop_length as well",
        ),
        ("fixed: {epochs: 0}", "fixed.epochs: 0 is not at least 1"),
        (
            "fixed: {augment_probability: [1, 0.5]}\naxes: {augment: {pairs: [FD, TM]}}",
            "fixed.augment_probability: a list does not fit pairs; give one number for all",
        ),
        ("seeds: [9223372036854775808]", "seeds[0]: 9223372036854775808 is not below"),
        ("fixed: {2020-01-01: 3}", "fixed.2020-01-01: unknown field"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(write: Write, text: str, message: str) -> None:
    path = write("name: a\n" + text + ("" if "pairs" in text else "\nzips: [{augment: [[FD]]}]"))
    with pytest.raises(ConfigError) as error:
        load_sweep(path)
    assert message in str(error.value)


def test_equal_untrained_encoders_are_one_baseline(write: Write) -> None:
    text = "name: a\nzips: [{augment: [[FD], [TM]], checkpoint_every: [1, 5]}]"
    assert len(load_sweep(write(text)).baselines) == 1


def test_an_override_given_twice_is_refused(write: Write) -> None:
    with pytest.raises(ConfigError, match="--set width: is given twice"):
        load_sweep(write(GRID), overrides=["width=4", "width=8"])


ZIPPED = """
name: zipped
fixed: {augment: [FD]}
zips:
  - dataset: [esc10, sc10, esc50]
    batch_size: [512, 1024, 512]
"""


def zipped_with(tmp_path: Path, *overrides: str) -> list[tuple[str, int]]:
    path = tmp_path / "sweep.yaml"
    path.write_text(ZIPPED)
    trials = load_sweep(path, overrides=overrides).trials
    return [(trial.config.dataset, trial.config.batch_size) for trial in trials]


def test_an_override_of_the_first_zipped_field_picks_its_positions(tmp_path: Path) -> None:
    assert zipped_with(tmp_path, "dataset=sc10") == [("sc10", 1024)]


def test_an_override_of_another_zipped_field_replaces_its_list(tmp_path: Path) -> None:
    expected = [("esc10", 256), ("sc10", 256), ("esc50", 256)]
    assert zipped_with(tmp_path, "batch_size=256") == expected
    assert zipped_with(tmp_path, "dataset=fsdd", "batch_size=64") == [("fsdd", 64)]


def test_a_value_that_a_zip_does_not_have_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        zipped_with(tmp_path, "dataset=fsdd")
    assert str(told.value) == (
        "--set dataset: 'fsdd' is not among the values that go with batch_size; set batch_size too"
    )


def test_a_long_name_of_a_run_is_cut_and_stays_its_own(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(ZIPPED)
    long = ["features.n_fft=2048", "features.window_length=512", "features.num_bands=128"]
    long += [f"{name}=0.001" for name in ("learning_rate", "weight_decay", "temperature")]
    one, other = (
        load_sweep(path, overrides=[*long, f"epochs={epochs}", "warmup_epochs=0"]).name
        for epochs in (5, 6)
    )
    assert len(one) == len(other) == 100
    assert one != other
    assert one.startswith("zipped_epochs=5_features.n_fft=2048")
