import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from written_run import Run

from analysis.frames import COLUMNS, check_columns, load_run
from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError

MakeTrial = Callable[..., Trial]


def row_of(run: Run, name: str) -> "pd.Series[Any]":
    trials = load_run(run.path).trials
    return trials[trials["name"] == name].iloc[0]


def test_every_planned_trial_has_a_row_with_its_state(ragged: Run) -> None:
    trials = load_run(ragged.path).trials
    assert tuple(trials.columns) == COLUMNS
    states = ["done", "done", "failed", "diverged", "done", "unfinished"] + ["missing"] * 3
    assert trials["state"].tolist() == states
    assert trials["epoch"].tolist() == [6, 6, 2, 1, 6, 3, 0, 0, 0]
    assert trials["first"].tolist() == ["PS"] * 3 + ["FD"] * 3 + ["TM"] * 3
    assert trials["second"].tolist() == ["PS", "FD", "TM"] * 3


def test_only_done_trials_have_metrics(ragged: Run) -> None:
    trials = load_run(ragged.path).trials
    # The failed trial had evaluated: 0.99 is in its summary and no result.
    assert trials["test_top1"].dropna().tolist() == [0.50, 0.70, 0.60]
    assert trials["valid_knn_top1"].notna().sum() == 3


def test_the_gain_is_over_the_untrained_encoder_of_the_same_seed(run: Run, make: MakeTrial) -> None:
    trials = run.plan_pairs("FD", "TM", seeds=(0, 1))
    for trial in trials:
        run.done(trial, test=0.60)
    run.untrained(make("FD", seed=0), test=0.40)
    run.untrained(make("FD", seed=1), test=0.50)
    frame = load_run(run.path).trials
    assert frame["gain"].round(6).tolist() == [0.20] * 4 + [0.10] * 4


def test_without_an_untrained_encoder_there_is_no_gain(ragged: Run) -> None:
    trials = load_run(ragged.path).trials
    assert trials["gain"].isna().all()
    assert trials["untrained_test_top1"].isna().all()


def test_a_chain_that_is_no_pair_has_neither_first_nor_second(run: Run, make: MakeTrial) -> None:
    run.plan(make("FD", "TM", "TS"))
    row = load_run(run.path).trials.iloc[0]
    assert row["chain"] == "FD+TM+TS"
    assert pd.isna(row["first"])
    assert pd.isna(row["second"])


def test_records_at_further_seeds_are_included(square: Run, make: MakeTrial) -> None:
    square.done(make("FD", "TM", seed=7), test=0.80)
    square.untrained(make("FD", seed=7), test=0.30)
    trials = load_run(square.path).trials
    extra = trials[~trials["planned"]]
    assert extra["seed"].tolist() == [7]
    assert extra["gain"].iloc[0] == pytest.approx(0.50)
    assert len(trials) == 5


def test_records_of_other_configs_are_counted_and_left_out(square: Run, make: MakeTrial) -> None:
    square.done(make("FD", "TM", temperature=0.1), test=0.99)
    square.done(make("PS", "WN"), test=0.99)
    frames = load_run(square.path)
    assert frames.num_left_out == 2
    assert frames.trials["test_top1"].max() == 0.90


def test_a_record_of_another_meaning_of_the_fields_is_left_out(
    square: Run, make: MakeTrial
) -> None:
    other = make("FD", "TM", seed=7)._replace(id="000000000000")
    square.done(other, test=0.99)
    frames = load_run(square.path)
    assert frames.num_left_out == 1
    assert frames.trials["planned"].all()


def test_device_is_no_part_of_what_a_cell_is(square: Run, make: MakeTrial) -> None:
    square.done(make("FD", "TM", seed=7, device="cpu"), test=0.80)
    assert load_run(square.path).num_left_out == 0


def damage(place: Path, **changes: object) -> None:
    data = json.loads(place.read_text())
    place.write_text(json.dumps({**data, **changes}))


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}', "\udcff"])
def test_a_damaged_config_takes_only_its_own_trial_down(
    square: Run, make: MakeTrial, content: str
) -> None:
    path = square.folder(make("FD", "TM")) / "config.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    trials = load_run(square.path).trials
    assert trials["state"].tolist() == ["done", "failed", "done", "done"]
    note = trials["note"].iloc[1]
    assert path.parent.name in note
    assert "\n" not in note
    assert math.isnan(trials["test_top1"].iloc[1])


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"metrics": {"test_top1": 64.2, "valid_top1": 0.5}}, "test_top1 is 64.2, expected a frac"),
        ({"metrics": {"valid_top1": 0.5}}, "test_top1 is None, expected a fraction in [0, 1]"),
        ({"metrics": {"test_top1": math.nan, "valid_top1": 0.5}}, "test_top1 is nan"),
        ({"metrics": []}, "metrics is not a mapping"),
        ({"state": "perfect"}, "state 'perfect' is not one of done, failed, diverged"),
    ],
)
def test_a_summary_that_says_what_cannot_be_is_a_failure_with_a_note(
    square: Run, make: MakeTrial, changes: dict[str, object], rule: str
) -> None:
    path = square.folder(make("FD", "TM")) / "summary.json"
    damage(path, **changes)
    row = row_of(square, "FD-TM_2d_spoken-digits_s0")
    assert row["state"] == "failed"
    # Within the run, so that the line is the same wherever the run lies.
    assert row["note"].startswith(f"trials/{path.parent.name}/summary.json: ")
    assert rule in row["note"]
    assert "remove it and run again" in row["note"]


def test_a_record_in_the_folder_of_another_trial_is_a_failure(square: Run, make: MakeTrial) -> None:
    folder = square.folder(make("FD", "TM"))
    records.write_config(folder, make("FD", "TM", temperature=0.1))
    row = row_of(square, "FD-TM_2d_spoken-digits_s0")
    assert row["state"] == "failed"
    assert f"expected {make('FD', 'TM').id}" in row["note"]


def test_a_damaged_line_of_a_history_is_left_out(square: Run, make: MakeTrial) -> None:
    folder = square.folder(make("TM"))
    (folder / "history.jsonl").write_bytes(b'{"epoch": 1}\n{"loss": 2.0}\n5\n\xff\n{"epoch": 2}\n')
    row = row_of(square, "TM_2d_spoken-digits_s0")
    assert (row["state"], row["epoch"]) == ("done", 2)


def test_a_damaged_record_outside_the_plan_is_told(square: Run) -> None:
    folder = square.path / "trials" / "stray"
    folder.mkdir()
    (folder / "config.json").write_text("{")
    frames = load_run(square.path)
    assert len(frames.unreadable) == 1
    assert "stray" in frames.unreadable[0]
    assert frames.num_left_out == 0


def test_a_failed_untrained_encoder_is_told(ragged: Run, make: MakeTrial) -> None:
    untrained = make("FD", epochs=0, warmup_epochs=0.0)
    ragged.failed(untrained, message="no clips")
    assert load_run(ragged.path).untrained_faults == (
        "untrained_2d_spoken-digits_s0: RuntimeError: no clips",
    )


def test_a_run_without_a_plan_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"plan\.json: does not exist; check the run folder"):
        load_run(tmp_path)


def test_a_frame_without_its_columns_is_refused() -> None:
    with pytest.raises(RecordError, match=r"here: columns id, name, .* are absent; load it with"):
        check_columns(pd.DataFrame({"state": ["done"]}), "here")


def test_history_has_a_row_an_epoch(ragged: Run) -> None:
    history = load_run(ragged.path).history
    assert len(history) == 3 * 6 + 2 + 1 + 3
    last = history.iloc[-1]
    assert (last["epoch"], last["loss"]) == (3, 2.0)


def test_panels_are_told_apart_by_what_the_sweep_varies(run: Run, make: MakeTrial) -> None:
    run.plan(make("FD", temperature=0.1), make("FD", temperature=0.5), make("FD", "TM"))
    trials = load_run(run.path).trials
    label = "spoken-digits (medium), 2-D encoder"
    assert trials["panel"].unique().tolist() == [
        f"{label}, temperature 0.1",
        f"{label}, temperature 0.5",
    ]


def test_one_operation_and_a_pair_of_equal_chances_share_a_panel(run: Run, make: MakeTrial) -> None:
    run.plan(make("FD", augment_probability=0.5), make("FD", "TM", augment_probability=0.5))
    assert len(set(load_run(run.path).trials["panel"])) == 1


def test_provenance_tells_every_distinct_value(square: Run, make: MakeTrial) -> None:
    damage(square.folder(make("TM")) / "summary.json", provenance={"torch": "2.12.0"})
    provenance = load_run(square.path).provenance
    assert provenance["torch"] == ("2.11.0", "2.12.0")
    assert provenance["device"] == ("a processor",)
