"""The prediction that a run folder keeps."""

from pathlib import Path

import pytest

from clar_sweeps import records
from clar_sweeps.errors import RecordError
from clar_sweeps.records.cost import Command, Cost, KindCost

FIRST, SECOND, THIRD = (str(number) * 12 for number in (1, 2, 3))
COST = Cost(
    format=1,
    at=1.7e9,
    slots=2,
    wall_seconds=70.0,
    disk_bytes=4_000_000,
    kinds=(
        KindCost("PS", {FIRST: 40.0, SECOND: 60.0}),
        KindCost("untrained encoder", {THIRD: 5.0}),
    ),
)


def test_a_prediction_survives_the_round_trip(tmp_path: Path) -> None:
    records.write_cost(tmp_path / "run", COST)
    assert records.read_cost(tmp_path / "run") == COST
    assert (len(COST.seconds), COST.slot_seconds) == (3, 105.0)


def test_a_prediction_without_wall_time_survives_too(tmp_path: Path) -> None:
    on_cluster = COST._replace(wall_seconds=None)
    records.write_cost(tmp_path, on_cluster)
    assert records.read_cost(tmp_path) == on_cluster


def test_there_may_be_none(tmp_path: Path) -> None:
    assert records.read_cost(tmp_path) is None
    records.add_command(tmp_path, seconds=3.0, slots=2, ended=[FIRST])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b'{"format": 1, "kinds"',
        b"[]",
        b'{"format": 2}',
        b"",
        b'{"format": 1, "at": 1.0, "slots": 2, "wall_seconds": 1e999, "disk_bytes": 1, '
        b'"kinds": []}',
        b'{"format": 1, "at": 1.0, "slots": 2, "wall_seconds": 1.0, "disk_bytes": 1, "kinds": '
        b'[{"kind": "PS", "trials": {"../../x": 1.0}}]}',
    ],
)
def test_damage_is_told_in_one_line_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cost.json").write_bytes(content)
    with pytest.raises(RecordError, match=r"cost\.json: .*; remove it") as error:
        records.read_cost(tmp_path)
    assert "\n" not in str(error.value)


def test_the_wall_time_is_known_when_the_commands_have_ended_all_that_was_predicted(
    tmp_path: Path,
) -> None:
    records.write_cost(tmp_path, COST)
    records.add_command(tmp_path, seconds=30.0, slots=2, ended=[THIRD, FIRST])
    partly = records.read_cost(tmp_path)
    assert partly is not None
    assert partly.commands == (Command(30.0, slots=2, trials=2, others=0),)
    assert partly.measured_wall_seconds is None
    records.add_command(tmp_path, seconds=45.0, slots=2, ended=[SECOND])
    wholly = records.read_cost(tmp_path)
    assert wholly is not None
    assert wholly.measured_wall_seconds == 75.0


def test_what_runs_after_the_end_of_what_was_predicted_is_not_added(tmp_path: Path) -> None:
    records.write_cost(tmp_path, COST)
    records.add_command(tmp_path, seconds=75.0, slots=2, ended=[FIRST, SECOND, THIRD])
    records.add_command(tmp_path, seconds=140.0, slots=2, ended=["f" * 12])  # another seed
    after = records.read_cost(tmp_path)
    assert after is not None
    assert after.measured_wall_seconds == 75.0


@pytest.mark.parametrize(("slots", "others"), [(1, []), (2, ["f" * 12])])
def test_a_run_of_other_slots_or_of_more_trials_is_no_measurement(
    tmp_path: Path, slots: int, others: list[str]
) -> None:
    records.write_cost(tmp_path, COST)
    ended = [FIRST, SECOND, THIRD, *others]
    records.add_command(tmp_path, seconds=75.0, slots=slots, ended=ended)
    after = records.read_cost(tmp_path)
    assert after is not None
    assert after.is_over
    assert after.measured_wall_seconds is None
