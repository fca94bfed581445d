"""A trial of two processes under Ray, one of which is killed, beside one left in peace."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from sweep_desk import Desk
from torch import Tensor
from trainer.many_ranks import on_ranks

from clar_sweeps import records
from clar_sweeps.checkpoint import load_checkpoint
from clar_sweeps.config import TrialConfig, make_trial, parse_config
from clar_sweeps.records import Failure
from clar_sweeps.trainer import run_trial
from clar_sweeps.trainer.following import follow
from clar_sweeps.trainer.ranks import Ranks

ONE = """
  augment: [WN]
  learning_rate: 1e-3
  eval_every: 40
  precision: float32
seeds: [0]
resources: {ranks_per_trial: 2}
"""
EPOCHS = 40  # so that the trial is still in training when its second rank has been found
MARK = "CLAR_TEST_RANKS"


class Outcome(NamedTuple):
    """What the two runs left behind."""

    undisturbed: Path  # a run folder
    disturbed: Path
    failures: list[Failure]
    listening: set[str]  # addresses while two ranks trained
    left_over: dict[int, str]


def train_in_peace(ranks: Ranks, order: dict[str, Any], cache: str, run: str) -> str:
    """Train a trial without Ray."""
    os.environ["CLAR_SWEEPS_CACHE"] = cache
    config = parse_config(order)
    assert isinstance(config, TrialConfig)
    if ranks.leads:
        return run_trial(make_trial(config), Path(run), lambda row: None, ranks=ranks)
    follow(config, ranks)
    return ""


@pytest.fixture(scope="module")
def outcome(make_desk: Callable[[str], Desk]) -> Outcome:
    """A trial of two ranks under Ray, of which the second is killed once; then in peace."""
    desk = make_desk("ranks")
    file = desk.write_sweep("one", ONE)
    options = ("--set", f"epochs={EPOCHS}", "--set", "batch_size=20", "--run-dir")
    mark = str(desk.folder)
    process = subprocess.Popen(
        desk.command("run", file, *options, "disturbed"),
        cwd=desk.folder,
        env={**desk.environment, MARK: mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        (rank,) = wait_for(lambda: training_rank(desk.folder / "disturbed", mark))
        listening = addresses_of(processes(mark))
        os.kill(rank, signal.SIGKILL)
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
        left_over = processes(mark)
    finally:
        for left in processes(mark):
            os.kill(left, signal.SIGKILL)
        process.wait()
    (folder,) = (desk.folder / "disturbed" / "trials").iterdir()
    config = records.read_record(folder).trial.config.model_dump(mode="json")
    undisturbed = str(desk.folder / "undisturbed")
    cache = desk.environment["CLAR_SWEEPS_CACHE"]
    assert on_ranks(2, train_in_peace, config, cache, undisturbed) == ["done", ""]
    return Outcome(
        undisturbed=Path(undisturbed),
        disturbed=desk.folder / "disturbed",
        failures=records.read_failures(folder),
        listening=listening,
        left_over=left_over,
    )


def wait_for(look: Callable[[], list[int]]) -> list[int]:
    deadline = time.monotonic() + 240
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def training_rank(run: Path, mark: str) -> list[int]:
    """The process that is rank 1, once the trial has trained some epochs."""
    lives = [records.read_live(folder) for folder in run.glob("trials/*")]
    if not any(live is not None and live.epoch > 2 for live in lives):
        return []
    return [process for process, name in processes(mark).items() if "_Rank" in name]


def processes(mark: str) -> dict[int, str]:
    """Those that carry the mark, with their command; a zombie has no environment to show."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().decode()
        except OSError:  # ended meanwhile, or not ours to see
            continue
    return found


def addresses_of(found: dict[int, str]) -> set[str]:
    """Where processes listen."""
    answer = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True)
    rows = [row for row in answer.stdout.splitlines() if any(f"pid={p}," in row for p in found)]
    return {row.split()[3].rpartition(":")[0] for row in rows}


def numbers_of(run: Path) -> tuple[Any, Any, dict[str, Tensor]]:
    """All that must not depend on kills: metrics, history less times, and weights."""
    (folder,) = (run / "trials").iterdir()
    record = records.read_record(folder)
    assert record.state == "done"
    assert record.summary["provenance"]["ranks"] == 2
    history = [{k: v for k, v in row.items() if "second" not in k} for row in record.history]
    state = load_checkpoint(folder / "checkpoint.pt", trial_id=record.trial.id)
    return record.summary["metrics"], history, {**state["encoder"], **state["projection_head"]}


def test_a_trial_whose_rank_was_killed_ends_with_equal_numbers(outcome: Outcome) -> None:
    metrics, history, weights = numbers_of(outcome.disturbed)
    expected_metrics, expected_history, expected_weights = numbers_of(outcome.undisturbed)
    assert len(history) == EPOCHS
    assert metrics == expected_metrics
    assert history == expected_history
    assert weights.keys() == expected_weights.keys()
    assert all(torch.equal(weights[name], expected_weights[name]) for name in weights)


def test_a_killed_rank_is_named_and_the_trial_is_retried(outcome: Outcome) -> None:
    (failure,) = outcome.failures
    assert failure.kind == "RankLostError"
    assert "rank 1: its process died" in failure.message


def test_ranks_leave_no_process_and_listen_on_loopback_only(outcome: Outcome) -> None:
    assert outcome.left_over == {}
    assert outcome.listening <= {"127.0.0.1", "[::ffff:127.0.0.1]"}
    assert outcome.listening


# An order's first rank is where all agrees, and its second on a machine with another torch.
REFUSED = """
from pathlib import Path
from ray import tune
import ray
from clar_sweeps.config import TrialConfig
from clar_sweeps.tuning import trainable
from clar_sweeps.tuning.nodes import Expected
from clar_sweeps.tuning.trainable import Order

class Leader:
    def train(self, order):
        told = []
        tune.report = told.append
        trainable.refuse_unless_agreed = lambda expected, run: None
        trainable.train_in_ray(order)
        return told

ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
places = ray.util.placement_group([{"CPU": 1}, {"CPU": 1}])
strategy = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(places, 0)
leader = ray.remote(Leader).options(num_cpus=1, scheduling_strategy=strategy).remote()
order = Order(
    config=TrialConfig(dataset="fsdd", augment=("FD",)).model_dump(mode="json"),
    run=str(Path.cwd()),
    cpus=2,
    gpus=0,
    ranks=2,
    patience_seconds=60,
    attempt=0,
    is_one_of_many=False,
    expected=Expected("token", {"torch": "0.1"}, []),
    set_up=str,
)
print(*ray.get(leader.train.remote(order._asdict())))
ray.shutdown()
"""


def test_a_machine_that_does_not_agree_is_refused_where_it_has_another_rank(desk: Desk) -> None:
    quiet = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "disabled"}
    answer = subprocess.run(
        [sys.executable, "-c", REFUSED],
        env={**desk.environment, **quiet, "RAY_USAGE_STATS_ENABLED": "0"},
        cwd=desk.folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    told = answer.stdout.splitlines()[-1]
    assert re.fullmatch(r"\{'refused': 'node .*: torch is 2\..*, expected 0.1 as here; .*'\}", told)
    assert not [*desk.folder.glob("trials/*")]
