"""`plan --calibrate` as a user calls it, and what `run` and `report` make of the prediction."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sweep_desk import Desk, Finished

from clar_sweeps import records

TWO_CHAINS = """
  learning_rate: 1e-3
axes:
  augment: [[FD], [PS, FD]]
"""


@pytest.fixture(scope="module")
def sweep(desk: Desk) -> str:
    assert desk.clar_sweep("data", "prepare", "fsdd").returncode == 0
    return desk.write_sweep("chains", TWO_CHAINS)


def told(finished: Finished) -> list[str]:
    """Cells of the lines of a table and words of the others."""
    return [" ".join(line.split()) for line in finished.stdout.splitlines()]


def test_a_calibrated_run_is_compared_with_its_records(desk: Desk, sweep: str) -> None:
    run = desk.folder / "calibrated"
    planned = desk.clar_sweep("plan", sweep, "--run-dir", str(run), "--calibrate", "--local")
    assert planned.returncode == 0, planned.stderr
    assert "timing 4 parts of trials, " in planned.stderr
    kinds = ["untrained encoder 1", "other operations 1", "PS 1"]
    assert all(any(line.startswith(kind) for line in told(planned)) for kind in kinds)
    assert [path.name for path in run.iterdir() if path.name != ".lock"] == ["cost.json"]
    cost = records.read_cost(run)
    assert cost is not None
    assert all(seconds > 0 for seconds in cost.seconds.values())
    assert cost.wall_seconds is not None
    assert cost.wall_seconds > cost.slot_seconds
    assert cost.slots == 1

    trained = desk.clar_sweep("run", sweep, "--run-dir", str(run), "--local")
    assert trained.returncode == 0, trained.stderr
    known = records.read_cost(run)
    assert known is not None
    assert [command.trials for command in known.commands] == [3]
    folders = [path.parent for path in run.glob("*/*/summary.json")]
    needed = sum(file.stat().st_size for folder in folders for file in folder.iterdir())
    assert needed <= cost.disk_bytes <= 2.5 * needed

    assert desk.clar_sweep("report", str(run)).returncode == 0
    report = (run / "report" / "report.md").read_text()
    rows = report[report.index("## Cost: predicted and measured") :].split("\n\n")[1]
    assert rows.count("1 of 1") == 3
    assert "| wall time on 1 slot |" in rows

    again = desk.clar_sweep("plan", sweep, "--run-dir", str(run), "--calibrate", "--local")
    assert again.stdout.splitlines()[-1] == "nothing is to be run, so nothing was timed"


def test_neighbouring_slots_are_timed_at_once(desk: Desk, sweep: str) -> None:
    planned = desk.clar_sweep("plan", sweep, "--run-dir", "two", "--calibrate")
    assert planned.returncode == 0, planned.stderr
    cost = records.read_cost(desk.folder / "two")
    assert cost is not None
    assert f"on {cost.slots} slot" in planned.stdout


def test_on_a_cluster_no_end_is_predicted(desk: Desk, sweep: str) -> None:
    planned = desk.clar_sweep(
        "plan", sweep, "--run-dir", "far", "--calibrate", "--address", "head:6379"
    )
    assert planned.returncode == 0, planned.stderr
    assert "on the cluster at head:6379: as many hours over its slots" in planned.stdout
    cost = records.read_cost(desk.folder / "far")
    assert cost is not None
    assert cost.wall_seconds is None


def lie_there(desk: Desk) -> None:
    (desk.folder / "photos").mkdir()
    (desk.folder / "photos" / "cat.jpg").touch()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--local"], "--local: says how trials are timed; add --calibrate, or drop it"),
        (["--max-concurrent", "2"], "--max-concurrent: says how trials are timed; add"),
        (["--calibrate", "--max-concurrent", "0"], "--max-concurrent: 0 is not at least 1"),
        (["--calibrate", "--local", "--address", "h:1"], "--address: there is no cluster with"),
        (["--calibrate", "--run-dir", "photos"], "is no run folder and not empty"),
    ],
)
def test_what_cannot_be_timed_is_one_line(
    make_desk: Callable[[str], Desk], arguments: list[str], line: str
) -> None:
    desk = make_desk("refused")
    lie_there(desk)
    file = desk.write_sweep("chains", TWO_CHAINS)
    refused = desk.clar_sweep("plan", file, *arguments)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert line in refused.stderr
    assert not list(Path(desk.folder).glob("runs/*"))


def test_trials_of_several_ranks_are_refused(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk("ranks")
    file = desk.write_sweep("ranks", TWO_CHAINS + "resources: {ranks_per_trial: 2}\n")
    refused = desk.clar_sweep("plan", file, "--calibrate")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "--calibrate: a trial has 2 ranks, and only trials of one process can be timed; drop it, "
        "or set ranks_per_trial and gpus_per_trial to at most 1"
    ]


def test_a_run_goes_on_past_a_damaged_prediction(desk: Desk, sweep: str) -> None:
    (desk.folder / "damaged").mkdir()
    (desk.folder / "damaged" / "cost.json").write_text("{")
    trained = desk.clar_sweep("run", sweep, "--run-dir", "damaged", "--local")
    assert trained.returncode == 0, trained.stderr
    (line,) = [line for line in trained.stdout.splitlines() if "cost.json" in line]
    assert line.endswith("is not readable JSON; remove it and run again")


def test_a_folder_that_another_process_works_in_is_not_timed(
    make_desk: Callable[[str], Desk],
) -> None:
    desk = make_desk("driven")
    file = desk.write_sweep("chains", TWO_CHAINS)
    with records.locked(desk.folder / "busy", timeout_seconds=1.0):
        refused = desk.clar_sweep("plan", file, "--run-dir", "busy", "--calibrate")
    assert refused.returncode == 2
    assert "busy: another process works in it" in refused.stderr
    assert refused.stderr.count("\n") == 1
