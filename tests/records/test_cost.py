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
    records.add_command(tmp_path, seconds=3.0, ended=[FIRST])
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
    records.add_command(tmp_path, seconds=30.0, ended=[THIRD, FIRST, "f" * 12])
    partly = records.read_cost(tmp_path)
    assert partly is not None
    assert partly.commands == (Command(30.0, 2),)
    assert partly.measured_wall_seconds is None
    records.add_command(tmp_path, seconds=45.0, ended=[SECOND])
    wholly = records.read_cost(tmp_path)
    assert wholly is not None
    assert wholly.measured_wall_seconds == 75.0
