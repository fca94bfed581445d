"""The disturber of sweeps: it disturbs, and it sees what a disturbance bends."""

import itertools
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.chaos.campaign import Campaign
from benchmarks.chaos.compare import differences, strays
from benchmarks.chaos.deeds import DEEDS, choose_deed
from benchmarks.chaos.outcome import Copy
from benchmarks.chaos.result import render, result_of
from benchmarks.chaos.rounds import block_of
from benchmarks.chaos.sweeps import Shape
from clar_sweeps.checkpoint import load_checkpoint, save_checkpoint

# Long enough to be hit twice within a second each, on a machine that is not busy too.
SMALL = Shape(
    "small",
    """
  epochs: 20
  eval_every: 10
  warmup_epochs: 2
  learning_rate: 1e-3
axes:
  augment: [[FD], [WN]]
""",
    "two trials",
)


def number_of(kind: str) -> int:
    """The first round of seed 0 that does this without Ray."""
    numbers = itertools.count(1)
    return next(n for n in numbers if choose_deed("local", random.Random(f"0/{n}")).kind == kind)


class Disturbed(NamedTuple):
    """A copy that was disturbed, and the run that was not."""

    campaign: Campaign
    copy: Copy
    undisturbed: Path


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Disturbed:
    campaign = Campaign(tmp_path_factory.mktemp("chaos"), seed=0)
    numbers = [number_of("damaged checkpoint"), number_of("kill all")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.chaos.rounds._LONGEST_DELAY_SECONDS", 1.0)
        copy = campaign.disturb(SMALL, "local", numbers)
    campaign.await_ends()
    return Disturbed(campaign, copy, campaign.reference(SMALL).run)


@pytest.mark.slow
def test_a_disturbed_sweep_ends_as_the_undisturbed_one(disturbed: Disturbed) -> None:
    assert disturbed.campaign.faults() == []
    assert disturbed.copy.attempts == 3
    for each in disturbed.copy.rounds:
        assert each.exit_code == -9
        assert len(each.wound.hit) == 1
        assert each.wound.back_seconds is not None
    damaged, _ = disturbed.copy.rounds
    assert "its checkpoint.pt c" in damaged.what


@pytest.mark.slow
def test_the_result_counts_what_was_done(disturbed: Disturbed) -> None:
    result = json.loads(json.dumps(result_of(disturbed.campaign)))
    assert result["rounds"] == 2
    by_kind = {row["kind"]: row for row in result["kinds"]}
    assert by_kind["all"]["times"] == 2
    assert by_kind["all"]["interrupted"] == 2
    assert by_kind["damaged checkpoint"]["epochs_lost"] >= 1
    assert len(render(result["kinds"]).splitlines()) == 1 + 3


def bend_metrics(run: Path) -> None:
    summary = next(run.glob("trials/FD*/summary.json"))
    summary.write_text(summary.read_text().replace('"test_top1": 0', '"test_top1": 1', 1))


def bend_loss(run: Path) -> None:
    history = next(run.glob("trials/FD*/history.jsonl"))
    history.write_text(history.read_text().replace('"loss": 2', '"loss": 3', 1))


def lose_row(run: Path) -> None:
    history = next(run.glob("trials/FD*/history.jsonl"))
    lines = history.read_text().splitlines(keepends=True)
    history.write_text("".join(lines[:9] + lines[10:]))


def bend_weight(run: Path) -> None:
    path = next(run.glob("trials/FD*/checkpoint.pt"))
    trial_id = path.parent.name.rpartition("_")[2]
    state = load_checkpoint(path, trial_id=trial_id)
    name = next(iter(state["encoder"]))
    state["encoder"][name] = state["encoder"][name] * (1 + 1e-6)
    save_checkpoint(path, state, trial_id=trial_id)


def lose_trial(run: Path) -> None:
    shutil.rmtree(next(run.glob("trials/WN*")))


def reopen(run: Path) -> None:
    next(run.glob("trials/WN*/summary.json")).unlink()


@pytest.mark.parametrize(
    ("bend", "told"),
    [
        (bend_metrics, "metrics is"),
        (bend_loss, "history of epoch 1 differs"),
        (lose_row, "history has epochs [1, 2, 3, 4, 5, 6, 7, 8, 9, 11,"),
        (bend_weight, "values of the checkpoint differ, first ['.encoder."),
        (lose_trial, "is missing"),
        (reopen, "state is 'unfinished', was 'done'"),
    ],
)
def test_what_is_bent_or_lost_is_told(
    bend: Callable[[Path], None], told: str, disturbed: Disturbed, tmp_path: Path
) -> None:
    bent = tmp_path / "run"
    shutil.copytree(disturbed.undisturbed, bent)
    assert differences(disturbed.undisturbed, bent) == []
    bend(bent)
    lines = differences(disturbed.undisturbed, bent)
    assert lines
    assert told in lines[0]


@pytest.mark.parametrize("name", ["run.json", "trials/a/.summary.json.x1", "trials/a/live.json"])
def test_what_a_run_may_not_leave_is_told(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert strays(tmp_path) == [f"{name}: was left behind"]


def test_a_hundred_rounds_do_everything() -> None:
    def kinds() -> Iterator[str]:
        for number in range(1, 101):
            yield choose_deed(block_of(number).stage, random.Random(f"0/{number}")).kind

    assert set(kinds()) == {deed.kind for deed in DEEDS}
