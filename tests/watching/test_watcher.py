"""What a watcher reads of a run, when, and what follows from it."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from watched_run import WatchedRun

from clar_sweeps import records
from clar_sweeps.errors import RecordError
from clar_sweeps.watching.snapshot import Standing, to_json
from clar_sweeps.watching.view import describe_driver
from clar_sweeps.watching.watcher import Watcher


@pytest.fixture
def run(tmp_path: Path) -> WatchedRun:
    return WatchedRun(tmp_path)


@pytest.fixture
def watcher(run: WatchedRun) -> Watcher:
    return Watcher(run.path, clock=run.clock)


def test_a_snapshot_tells_states_results_and_who_drives(run: WatchedRun, watcher: Watcher) -> None:
    done, failed, going, waiting = run.sweep.trials[:4]
    run.done(done, 0.25)
    run.failed(failed)
    run.trained(waiting, 1, 2)
    run.lives(going, epoch=1, step=5, loss=4.5)
    run.drive(going, waiting=1)
    run.now += 3.0
    snapshot = watcher.read()
    assert snapshot.counts == {"done": 1, "failed": 1, "unfinished": 2, "missing": 5}
    assert (snapshot.ended, snapshot.unsuccessful, snapshot.failed) == (2, 1, (failed,))
    assert snapshot.standings[done.id] == Standing("done", top1=0.25, seconds=40.0)
    assert snapshot.standings[failed.id].error == "clip 7 is empty"
    assert snapshot.standings[waiting.id] == Standing("unfinished", epoch=2)
    (running,) = snapshot.running
    assert (running.trial, running.epochs_trained, running.is_late) == (going, 1.5, False)
    assert snapshot.is_driven
    assert snapshot.elapsed_seconds == pytest.approx(0.0)


def test_a_folder_without_a_driver_has_no_time_left(run: WatchedRun, watcher: Watcher) -> None:
    run.done(run.sweep.trials[0])
    snapshot = watcher.read()
    assert (snapshot.driver, snapshot.left, snapshot.elapsed_seconds) == (None, None, None)
    assert not snapshot.is_driven


def test_without_a_driver_trials_that_live_are_told_with_their_process(
    run: WatchedRun, watcher: Watcher
) -> None:
    here, elsewhere, killed, old = run.sweep.trials[:4]
    run.lives(here, epoch=1)
    run.lives(elsewhere, host="gpu8", pid=88)
    ended = subprocess.Popen(["true"])
    ended.wait()
    run.lives(killed, pid=ended.pid)
    run.lives(old, host="gpu8", at=run.now - 3600)
    snapshot = watcher.read()
    assert [each.trial for each in snapshot.running] == [here, elsewhere]
    assert not snapshot.is_driven
    assert describe_driver(snapshot) == (
        f"nobody drives it; {here.name} is trained by process {os.getpid()} on "
        f"{socket.gethostname()}, {elsewhere.name} is trained by process 88 on gpu8"
    )


def test_what_is_no_run_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is not a run folder"):
        Watcher(tmp_path).read()


def test_an_ended_trial_is_not_read_again(run: WatchedRun, watcher: Watcher) -> None:
    first, second = run.sweep.trials[:2]
    run.done(first, 0.25)
    run.drive(second)
    assert watcher.read().counts["done"] == 1
    run.done(first, 0.75)  # it never happens; that it goes unseen shows that nothing was read
    for _ in range(3):
        run.now += 20.0
        run.drive(second)
        assert watcher.read().standings[first.id].top1 == 0.25


def test_a_trial_that_leaves_the_drivers_list_is_read_at_once(
    run: WatchedRun, watcher: Watcher
) -> None:
    trial = run.sweep.trials[0]
    run.lives(trial, epoch=3)
    run.drive(trial)
    assert watcher.read().standings[trial.id] == Standing("unfinished", epoch=3)
    run.done(trial, 0.75)
    run.now += 1.0
    run.drive()
    snapshot = watcher.read()
    assert (snapshot.running, snapshot.standings[trial.id].top1) == ((), 0.75)


def test_a_trial_that_was_never_seen_running_is_found_later(
    run: WatchedRun, watcher: Watcher
) -> None:
    run.drive()
    watcher.read()
    run.done(run.sweep.trials[0])
    run.now += 5.0
    assert watcher.read().ended == 0
    run.now += 30.0
    assert watcher.read().ended == 1


def test_a_trial_that_somebody_tells_of_is_read_at_once(run: WatchedRun, watcher: Watcher) -> None:
    trial = run.sweep.trials[0]
    run.drive()
    watcher.read()
    run.done(trial)
    watcher.notice(trial)
    assert watcher.read().ended == 1


def test_when_the_driver_leaves_all_is_looked_at_once_more(
    run: WatchedRun, watcher: Watcher
) -> None:
    run.drive()
    watcher.read()
    run.done(run.sweep.trials[0])
    records.end_driver(run.path)
    assert watcher.read().ended == 1


def test_a_new_driver_has_everything_read_anew(run: WatchedRun, watcher: Watcher) -> None:
    trial = run.sweep.trials[0]
    run.failed(trial)
    run.drive()
    assert watcher.read().failed == (trial,)
    records.reopen(run.path, trial)
    run.now += 1.0
    run.drive(since=run.now)
    snapshot = watcher.read()
    assert (snapshot.failed, snapshot.counts["unfinished"]) == ((), 1)


def test_a_damaged_summary_counts_as_failed_and_hides_nothing(
    run: WatchedRun, watcher: Watcher
) -> None:
    bad, wrong, done = run.sweep.trials[:3]
    for trial in (bad, wrong, done):
        run.done(trial)
    (run.folder(bad) / "summary.json").write_text("{")
    (run.folder(wrong) / "summary.json").write_text(
        json.dumps({"state": "done", "metrics": {"test_top1": "\x1b[2J"}, "cost": []})
    )
    snapshot = watcher.read()
    assert snapshot.counts["failed"] == 1
    assert "is not readable JSON" in snapshot.standings[bad.id].error
    assert snapshot.standings[wrong.id] == Standing("done")


def test_signs_are_judged_by_their_change_not_by_clocks_that_differ(
    run: WatchedRun, watcher: Watcher
) -> None:
    ahead = 500.0  # the other machine's clock
    trial = run.sweep.trials[0]
    for _ in range(3):
        run.lives(trial, at=run.now - ahead, since=run.begun - ahead)
        run.drive(trial, at=run.now - ahead, since=run.begun - ahead)
        snapshot = watcher.read()
        run.now += 5.0
    assert snapshot.running[0].silent_seconds == 0.0
    assert not snapshot.running[0].is_late
    assert snapshot.elapsed_seconds == pytest.approx(10.0)
    run.now += 65.0
    snapshot = watcher.read()
    assert snapshot.running[0].is_late
    assert snapshot.driver_silent_seconds == pytest.approx(70.0)


def test_an_old_sign_is_late_at_first_sight(run: WatchedRun, watcher: Watcher) -> None:
    trial = run.sweep.trials[0]
    run.lives(trial)
    run.drive(trial)
    run.now += 180.0
    (running,) = watcher.read().running
    assert (running.is_late, running.silent_seconds) == (True, 180.0)


def test_a_driver_of_this_machine_that_died_drives_nothing(
    run: WatchedRun, watcher: Watcher
) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    trial = run.sweep.trials[0]
    run.lives(trial, epoch=2)
    run.drive(trial, host=socket.gethostname(), pid=process.pid)
    snapshot = watcher.read()
    assert (snapshot.driver_is_gone, snapshot.is_driven, snapshot.running) == (True, False, ())
    run.drive(trial, host=socket.gethostname(), pid=os.getpid())
    assert watcher.read().is_driven


def test_the_first_epoch_of_a_running_trial_is_learnt_from(
    run: WatchedRun, watcher: Watcher
) -> None:
    going = run.sweep.trials[0]
    run.lives(going, epoch=0)
    run.drive(going, waiting=2, slots=1)
    assert watcher.read().left is None
    run.now += 12.0
    run.trained(going, 1)
    run.lives(going, since=run.begun, epoch=1, step=2, steps=10)  # 1.2 epochs in 12 s
    run.drive(going, waiting=2, slots=1)
    left = watcher.read().left
    assert left is not None
    # The untrained encoder that waits first counts as an epoch.
    assert left.seconds == pytest.approx(28.0 + 10.0 + 40.0)


def test_epochs_of_an_earlier_process_do_not_count_as_fast(
    run: WatchedRun, watcher: Watcher
) -> None:
    going = run.sweep.trials[0]
    run.trained(going, 1, 2, 3, seconds=9.0)
    run.now += 10.0
    run.lives(going, since=run.begun, epoch=3)
    run.drive(going)
    left = watcher.read().left
    assert left is not None
    assert left.seconds == pytest.approx(10.0)


def test_steps_of_an_evaluation_are_no_part_of_an_epoch(run: WatchedRun, watcher: Watcher) -> None:
    going = run.sweep.trials[0]
    run.lives(going, epoch=2, phase="evaluating", step=4, steps=8)
    run.drive(going)
    assert watcher.read().running[0].epochs_trained == 2.0


def test_only_what_the_driver_waits_for_is_left(run: WatchedRun, watcher: Watcher) -> None:
    run.done(run.sweep.trials[0], seconds=40.0)
    run.done(run.sweep.baselines[0], seconds=1.0)
    run.drive(waiting=2, slots=1)
    left = watcher.read().left
    assert left is not None
    assert left.seconds == pytest.approx(80.0)


def test_a_run_that_was_asked_to_stop_says_when_its_epochs_end(
    run: WatchedRun, watcher: Watcher
) -> None:
    going = run.sweep.trials[0]
    run.trained(going, 1)
    run.now += 15.0
    run.lives(going, since=run.begun, epoch=1, step=5)
    run.drive(going)
    records.request_stop(run.path)
    snapshot = watcher.read()
    assert snapshot.stopping
    assert snapshot.stopping_seconds == pytest.approx(5.0)


def test_a_plan_that_grows_is_followed(run: WatchedRun, watcher: Watcher) -> None:
    assert len(watcher.read().sweep.trials) == 9
    (grown := run.path.parent / "grown").mkdir()
    other = WatchedRun(grown, seeds=(0, 1))
    shutil.copy(other.path / "plan.json", run.path / "plan.json")
    os.utime(run.path / "plan.json", ns=(1, 1))
    assert len(watcher.read().sweep.trials) == 18


def test_json_tells_the_epochs_of_trials_that_have_ended(run: WatchedRun, watcher: Watcher) -> None:
    done, failed = run.sweep.trials[:2]
    run.done(done)
    run.trained(failed, 1)
    run.failed(failed)
    told = {row["id"]: row["epoch"] for row in to_json(watcher.read())["trials"]}
    assert (told[done.id], told[failed.id]) == (done.config.epochs, 1)


def test_json_has_the_keys_that_it_documents(run: WatchedRun, watcher: Watcher) -> None:
    going = run.sweep.trials[0]
    run.lives(going, epoch=1)
    run.drive(going)
    told = json.loads(json.dumps(to_json(watcher.read())))
    documented = str(to_json.__doc__)
    nested = [*told, *told["driver"], *told["running"][0], *told["trials"][0]]
    assert [key for key in nested if f"`{key}`" not in documented] == []
    assert [key for key in told["running"][0]["live"] if f"`{key}`" not in documented] == []
    assert (told["format"], len(told["trials"]), told["left"]) == (1, 9, None)
