import json
import random
import signal
import time
from pathlib import Path

import pytest
from disturbed import (
    assert_equal_numbers,
    quick_trial,
    started,
    train,
    train_and_die_at,
    train_and_die_between_renames,
    train_and_hang,
)
from small_disk import run_on_small_disk

from clar_sweeps import records
from clar_sweeps.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def undisturbed(prepared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder in which the quick trial was trained in one go."""
    run = tmp_path_factory.mktemp("undisturbed")
    process = started(train, run, prepared_cache)
    process.join()
    assert process.exitcode == 0
    return run


def sound_epochs(run: Path) -> list[int]:
    """Epochs of the checkpoints that could be gone on from."""
    folder = records.trial_folder(run, quick_trial())
    paths = [folder / name for name in ("checkpoint.pt", "checkpoint.previous.pt")]
    states = [load_checkpoint(path, trial_id=quick_trial().id) for path in paths if path.exists()]
    return [state["epoch"] for state in states]


def test_killed_before_every_sync_and_rename_in_turn_it_ends_with_equal_numbers(
    prepared_cache: Path, undisturbed: Path, tmp_path: Path
) -> None:
    kills, last = 0, 0
    while True:
        process = started(train_and_die_at, tmp_path, prepared_cache, kills + 1)
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        best = max(sound_epochs(tmp_path), default=0)
        assert best >= last, "an epoch that was kept is lost"
        last = best
    assert kills >= 10
    assert_equal_numbers(tmp_path, undisturbed)


def test_killed_at_random_moments_it_ends_with_equal_numbers(
    prepared_cache: Path, undisturbed: Path, tmp_path: Path
) -> None:
    moments = random.Random(4)
    for _ in range(6):
        process = started(train, tmp_path, prepared_cache)
        time.sleep(moments.uniform(0.05, 0.6))
        process.kill()
        process.join()
    process = started(train, tmp_path, prepared_cache)
    process.join()
    assert process.exitcode == 0
    assert_equal_numbers(tmp_path, undisturbed)


def test_killed_between_the_two_renames_it_goes_on_from_the_checkpoint_before(
    prepared_cache: Path, undisturbed: Path, tmp_path: Path
) -> None:
    process = started(train_and_die_between_renames, tmp_path, prepared_cache, 2)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    folder = records.trial_folder(tmp_path, quick_trial())
    assert not (folder / "checkpoint.pt").exists()
    assert sound_epochs(tmp_path) == [1]
    live = records.read_live(folder)
    assert live is not None
    assert (live.pid, live.epoch) == (process.pid, 1)
    process = started(train, tmp_path, prepared_cache)
    process.join()
    assert_equal_numbers(tmp_path, undisturbed)
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        "checkpoint.pt",
        "config.json",
        "history.jsonl",
        "labelled.json",
        "summary.json",
    ]


@pytest.mark.parametrize("how", ["asleep", "holding the interpreter", "in a thread"])
def test_a_trial_that_hangs_leaves_the_place_and_goes_on_when_it_is_ended(
    prepared_cache: Path, undisturbed: Path, tmp_path: Path, how: str
) -> None:
    folder = records.trial_folder(tmp_path, quick_trial())
    process = started(train_and_hang, tmp_path, prepared_cache, how)
    deadline = time.monotonic() + 30
    while "stand_still" not in records.read_stack(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    live = records.read_live(folder)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    innermost, *callers = records.read_stack(folder).splitlines()
    assert "in stand_still" in innermost
    assert any("in run_trial" in caller for caller in callers)
    assert live is not None
    assert live.phase == "training"
    if how == "asleep":
        process = started(train, tmp_path, prepared_cache)
        process.join()
        assert records.read_stack(folder) == ""
        assert_equal_numbers(tmp_path, undisturbed)


FILL = """
import sys
from pathlib import Path
from disturbed import train_on_a_disk_that_is_full, assert_equal_numbers
train_on_a_disk_that_is_full(Path(sys.argv[1]), Path({cache!r}))
assert_equal_numbers(Path(sys.argv[1]), Path({other!r}))
print((Path(sys.argv[1]) / "messages.json").read_text())
"""


def test_on_a_disk_that_is_full_it_waits_for_space_and_ends_with_equal_numbers(
    prepared_cache: Path, undisturbed: Path, tmp_path: Path
) -> None:
    code = FILL.format(cache=str(prepared_cache), other=str(undisturbed))
    answer = run_on_small_disk(code, tmp_path, options="size=1m")
    assert answer.returncode == 0, answer.stderr
    messages = json.loads(answer.stdout.splitlines()[-1])
    did_not_fit = {message.split(": ")[0].rsplit("/")[-1] for message in messages}
    assert did_not_fit >= {"config.json", "labelled.json", "checkpoint.pt"}
    assert "live.json" not in did_not_fit  # training goes on without
    assert all(f"the disk at {tmp_path} is full" in message for message in messages)
