"""The measurement of commands: what it times, and what it makes of the times."""

import json
from pathlib import Path

import pytest
from tiny import tiny_config

from benchmarks.commands.__main__ import Section, _write
from benchmarks.commands.evaluating import Share, share_rows, take_steps
from benchmarks.commands.resuming import Resumed, resumption_rows
from benchmarks.commands.startup import (
    Command,
    Seconds,
    commands,
    startup_rows,
    summary_of,
    time_commands,
)
from benchmarks.step import SIZES
from clar_sweeps import data
from clar_sweeps.trainer import Trainer

PART = Section([["command"], ["b"]], {})


def test_share_of_evaluation_is_that_of_ten_epochs() -> None:
    share = Share(SIZES[0], epoch=20.0, steps=13, steps_an_epoch=28, evaluation=10.0)
    assert share.of_training == 0.05
    assert share_rows([share])[1][1:5] == ["20.0 s", "13 of 28", "10.0 s", "0.050"]


def test_median_and_range_of_seconds() -> None:
    assert summary_of([0.3, 0.1, 0.2]) == Seconds(0.2, 0.1, 0.3)
    assert str(Seconds(0.234, 0.2, 0.3)) == "0.23 (0.20-0.30)"


def test_round_before_the_first_is_not_counted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = f"import sys; open({str(log)!r}, 'a').write(sys.argv[1])"
    found = time_commands([Command("write", code, ("x",), 1.0)], rounds=2)
    assert log.read_text() == "xxx"
    assert 0 < found["write"].lowest <= found["write"].median <= found["write"].highest


def test_command_that_fails_is_not_timed() -> None:
    with pytest.raises(Exception, match="exit status 1"):
        time_commands([Command("fail", "raise SystemExit(1)")], rounds=1)


def test_goals_stand_beside_the_commands_that_have_one(tmp_path: Path) -> None:
    timed = commands(tmp_path)
    rows = startup_rows(timed, {each.name: Seconds(1.0, 1.0, 1.0) for each in timed})
    goals = {row[0]: row[2] for row in rows[1:] if row[2]}
    assert goals == {
        "`clar-sweep --help`": "below 0.3",
        "`clar-sweep plan sweeps/aug_pairs.yaml`": "below 1",
    }


def test_row_of_a_resumed_trial_has_a_cell_for_each_head() -> None:
    second = Seconds(1.0, 1.0, 1.0)
    resumed = Resumed(16, 9_000_000, second, second, second, second, second)
    head, row = resumption_rows([resumed])
    assert len(head) == len(row)
    assert row[0] == "2-D, width 16, checkpoint of 9 MB"


def test_parts_that_are_not_measured_again_stay_in_the_result(tmp_path: Path) -> None:
    out = tmp_path / "commands.json"
    for sections in ({"resumption": Section([["trial"], ["a"]], [1])}, {"startup": PART}):
        _write(out, sections, how=f"{list(sections)} on a quiet machine")
    assert list(json.loads(out.read_text())["sections"]) == ["startup", "resumption"]
    text = out.with_suffix(".md").read_text()
    assert text.count("on a quiet machine") == 2
    assert text.index("| b |") < text.index("| a |")


def test_parts_of_two_machines_are_not_put_together(tmp_path: Path) -> None:
    out = tmp_path / "commands.json"
    out.write_text(json.dumps({"machine": {"cpu": "another"}, "sections": {}}))
    with pytest.raises(SystemExit, match=r"commands.json: was measured on another machine"):
        _write(out, {"startup": PART}, how="quietly")


def test_epoch_is_left_after_its_time_and_not_before_a_step(digits: data.Waveforms) -> None:
    trainer = Trainer(tiny_config(), digits)
    told = trainer.on_step
    assert take_steps(trainer, most_seconds=0.0) == 1
    assert (trainer.epoch, trainer.on_step) == (0, told)
    assert take_steps(trainer, most_seconds=60.0) == trainer.training_set.steps_per_epoch
    assert trainer.epoch == 1
