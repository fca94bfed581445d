from typing import Any

import pytest
from written_run import trial_of

from analysis.footnotes import footnotes_of_inputs, footnotes_of_labels, footnotes_of_pairs
from analysis.frames import Study
from analysis.protocol import Protocol, compare, operation_differences, place_differences
from clar_sweeps.config import TrialConfig

PAPERS: dict[str, Any] = {
    "dataset": "sc10",
    "epochs": 1000,
    "warmup_epochs": 10.0,
    "width": 64,
    "eval_every": 10,
}


def config(*augment: str, **fields: Any) -> TrialConfig:
    return trial_of(*(augment or ("FD", "TM")), **{**PAPERS, **fields}).config


def protocol(*configs: TrialConfig, study: Study = "pairs") -> Protocol:
    return compare(configs, study=study)


@pytest.mark.parametrize("encoder", ["resnet18_1d", "resnet18_2d"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"method": "supervised"},
        {"method": "supervised", "label_fraction": 0.01},
        {"method": "clar", "label_fraction": 0.1},
        {"device": "cpu", "checkpoint_every": 50, "seed": 4, "precision": "bfloat16"},
    ],
)
def test_defaults_are_the_papers(encoder: str, fields: dict[str, Any]) -> None:
    found = protocol(config(encoder=encoder, **fields), study="labels")
    assert found.is_papers
    assert str(found) == "Protocol as in the paper."


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"epochs": 20}, "epochs 20 instead of 1000"),
        ({"batch_size": 64}, "batch 64 instead of 1024"),
        ({"width": 16}, "width 16 instead of 64"),
        ({"optimizer": "adamw"}, "optimizer adamw instead of lars"),
        ({"learning_rate": 0.002}, "learning rate 0.002 instead of 1"),
        ({"weight_decay": 0.0}, "weight decay 0 instead of 0.0001"),
        ({"warmup_epochs": 0.5}, "warm-up epochs 0.5 instead of 10"),
        ({"schedule": "released"}, "definition of the schedule released instead of paper"),
        ({"temperature": 0.1}, "temperature 0.1 instead of 0.5"),
        ({"negative_shards": 4}, "negative shards 4 instead of 1"),
        ({"augment_probability": 0.5}, "chance of an operation 0.5 instead of 1"),
        ({"augment_definition": "released"}, "definition of the operations released instead of"),
        ({"evaluate_on": "augmented"}, "held-out clips augmented instead of clean"),
        ({"features": {"num_bands": 64}}, "bands of the picture 64 instead of 128"),
        ({"encoder": "resnet18_1d", "stem": "released"}, "1-D stem released instead of paper"),
        ({"dataset": "fsdd"}, "dataset fsdd instead of SC-10"),
        ({"dataset": "spoken-digits", "condition": "hard"}, "dataset spoken-digits (hard) instead"),
    ],
)
def test_every_field_that_differs_is_told(fields: dict[str, Any], told: str) -> None:
    found = protocol(config(**fields))
    assert not found.is_papers
    assert str(found).startswith("Not a reproduction: ")
    assert told in str(found)
    assert len(found.differences) == 1


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"clar_head": "four_layers"}, "CLAR head four_layers instead of three_layers"),
        ({"cross_entropy_weight": 2.0}, "cross entropy weight 2 instead of 1"),
        ({"unlabelled": "drop"}, "unlabelled clips drop instead of keep"),
        ({"label_subset": "stratified"}, "subset of labels stratified instead of plain"),
    ],
)
def test_fields_of_clar_are_told(fields: dict[str, Any], told: str) -> None:
    found = protocol(config(method="clar", label_fraction=0.1, **fields), study="labels")
    assert str(found) == f"Not a reproduction: {told}."


def test_the_released_profile_is_named_and_its_fields_as_well() -> None:
    given = {"profile": "released", "dataset": "sc10", "encoder": "resnet18_1d", "augment": ["FD"]}
    told = str(protocol(TrialConfig.model_validate({**given, "augment": ("FD",)})))
    for part in ("profile released", "epochs 1020", "optimizer lars_adam", "held-out clips"):
        assert part in told


def test_values_of_several_trials_are_told_together() -> None:
    configs = [config(epochs=epochs, warmup_epochs=1.0) for epochs in (20, 40, 1000)]
    told = str(protocol(*configs))
    assert "epochs 20 or 40 in part instead of 1000" in told


def test_the_weightiest_difference_comes_first() -> None:
    told = str(
        protocol(config(dataset="fsdd", epochs=2, width=16, warmup_epochs=1.0, temperature=0.1))
    )
    places = [told.index(word) for word in ("dataset", "epochs 2", "width", "temperature")]
    assert places == sorted(places)


def test_a_batch_of_512_is_the_papers_in_table_1_alone() -> None:
    assert protocol(config(batch_size=512), study="inputs").is_papers
    assert not protocol(config(batch_size=512), study="pairs").is_papers


def test_datasets_of_table_1_are_the_papers_each() -> None:
    same = [config(dataset=name) for name in ("esc10", "nsynth128", "sc35")]
    assert protocol(*same, study="inputs").is_papers
    told = str(protocol(*same, config(dataset="instrument-notes"), study="inputs"))
    assert told == "Not a reproduction: dataset instrument-notes instead of NSynth-128."
    # Figure 4 and Table 2 are of one dataset.
    assert "dataset esc10 instead of SC-10" in str(protocol(config(dataset="esc10")))


def test_how_often_is_evaluated_matters_to_curves_alone() -> None:
    rarely = config(eval_every=100)
    assert protocol(rarely).is_papers
    assert "evaluation every (epochs) 100" in str(protocol(rarely, study="labels"))


def test_more_seeds_are_no_departure() -> None:
    found = compare([config()], study="pairs", num_seeds=3)
    assert found.is_papers
    assert str(found) == "Protocol as in the paper; 3 seeds where the paper has one run."


def test_matrices_of_another_method_are_no_figure_4() -> None:
    told = str(protocol(config(method="supervised"), config()))
    assert told == "Not a reproduction: method supervised in part instead of simclr."


def test_places_of_a_label_table_are_compared_with_section_6() -> None:
    assert place_differences("resnet18_2d", ("FD", "TM")) == []
    told = [str(difference) for difference in place_differences("resnet18_1d", ("FD", "TST"))]
    assert told == ["encoder 1-D instead of 2-D", "operations FD → TST instead of FD → TM"]


def test_operations_of_a_matrix_are_compared_with_figure_4() -> None:
    assert operation_differences(("TST", "PS", "FD", "WN", "TM", "TS")) == []
    assert operation_differences(("TST", "PS", "FD", "MN", "TM", "TS")) == []
    (difference,) = operation_differences(("FD", "TM"))
    assert str(difference) == "operations FD TM instead of PS FD WN TM TS TST"


def test_footnotes_stand_where_they_apply() -> None:
    two = "89.3 in Table 1 and Figure 4, 84.8 in Table 2"
    shift = "time-stretching"
    rows = [("resnet18_2d", ("FD", "TM")), ("resnet18_2d", ("FD", "TM", "TS"))]
    told = " ".join(footnotes_of_inputs(rows, ["SC-10"]))
    assert two in told
    assert shift in told
    assert "ECS" not in told
    assert footnotes_of_inputs(rows, []) == ()
    assert "ECS" in " ".join(footnotes_of_inputs([], ["ESC-50"]))
    assert two not in " ".join(footnotes_of_inputs(rows[1:], ["SC-10"]))
    assert two in " ".join(footnotes_of_labels(["simclr"]))
    assert "66.3 points" in " ".join(footnotes_of_labels(["supervised", "clar"]))
    assert "66.3 points" not in " ".join(footnotes_of_labels(["clar"]))
    assert "±" in " ".join(footnotes_of_pairs(["TM", "TS"], ["resnet18_1d"]))
    assert "fading" not in " ".join(footnotes_of_pairs(["TM", "TS"], ["resnet18_1d"]))
