"""What a run hands out, and what it makes of what happens; without Ray and without training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clar_sweeps import records
from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.errors import DiskFullError, RecordError
from clar_sweeps.records import DIVERGED, OUT_OF_MEMORY, Record
from clar_sweeps.tuning.deaths import describe_death
from clar_sweeps.tuning.events import Broadcast
from clar_sweeps.tuning.retries import HUNG, NODE_LOST, PROCESS_DIED
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.slots import Machine, Slots

TWO = Slots(1, 0, 2, Machine(2, 0))
PACKED = Slots(1, 0.25, 4, Machine(8, 1))


class Heard:
    """A listener that remembers, in words."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def started(self, trial: Trial) -> None:
        self.words.append(f"started {trial.config.seed}")

    def reported(self, trial: Trial, row: Mapping[str, Any]) -> None:
        self.words.append(f"reported {trial.config.seed} {row['epoch']}")

    def restarted(self, trial: Trial, why: str) -> None:
        self.words.append(f"restarted {trial.config.seed}: {why}")

    def ended(self, trial: Trial, record: Record | None) -> None:
        self.words.append(f"ended {trial.config.seed} {record.state if record else None}")

    def note(self, text: str) -> None:
        self.words.append(text)


@pytest.fixture
def trials() -> list[Trial]:
    return [
        make_trial(TrialConfig.model_validate({"augment": ("FD",), "seed": seed}))
        for seed in range(4)
    ]


@pytest.fixture
def heard() -> Heard:
    return Heard()


class Run:
    """A schedule and what a process of a trial would do to its folder."""

    def __init__(self, folder: Path, trials: list[Trial], heard: Heard, slots: Slots) -> None:
        self.folder = folder
        self.now = 0.0
        self.nums: list[int] = []
        self.schedule = Schedule(
            trials,
            folder,
            slots=slots,
            max_retries=1,
            listener=heard,
            use_slots=self.nums.append,
            clock=lambda: self.now,
        )

    def start(self) -> Trial:
        trial = self.schedule.next()
        assert trial is not None
        self.schedule.started(trial)
        place = records.trial_folder(self.folder, trial)
        if not (place / "config.json").exists():
            records.write_config(place, trial)
        return trial

    def fail(self, trial: Trial, kind: str, message: str = "a reason") -> None:
        """As if the trial had written it down itself."""
        death = describe_death(kind, message, trace="", log=Path("run.log"))
        records.append_failure(records.trial_folder(self.folder, trial), death)
        self.die(trial)

    def die(self, trial: Trial, kind: str = PROCESS_DIED) -> None:
        death = describe_death(kind, "its process died", trace="", log=Path("ray.log"))
        self.schedule.interrupted(trial, death)


@pytest.fixture
def run(tmp_path: Path, trials: list[Trial], heard: Heard) -> Run:
    return Run(tmp_path, trials, heard, TWO)


def test_trials_go_out_in_order_and_no_more_than_there_are_slots(
    run: Run, trials: list[Trial]
) -> None:
    assert [run.start(), run.start()] == trials[:2]
    assert run.schedule.next() is None
    assert (run.schedule.running, run.schedule.num_waiting) == (trials[:2], 2)
    run.schedule.returned(trials[0])
    assert run.start() == trials[2]
    assert not run.schedule.is_over


def test_a_run_is_over_when_nothing_waits_and_nothing_runs(run: Run, trials: list[Trial]) -> None:
    for _ in trials:
        run.schedule.returned(run.start())
    assert run.schedule.is_over
    assert run.schedule.next() is None


def test_an_interrupted_trial_waits_behind_the_others_and_is_given_up_in_the_end(
    run: Run, trials: list[Trial], heard: Heard
) -> None:
    bad = run.start()
    run.fail(bad, "ValueError", "first line\nclip 7 is empty")
    assert heard.words[-1] == "restarted 0: clip 7 is empty; retry 1 of 1"
    assert run.schedule.waiting == [*trials[1:], bad]
    for _ in trials[1:]:
        run.schedule.returned(run.start())
    assert run.start() == bad
    run.fail(bad, "ValueError", "clip 7 is empty")
    assert heard.words[-1] == "ended 0 failed"
    record = records.read_record(records.trial_folder(run.folder, bad))
    assert record.summary["error"]["message"] == "clip 7 is empty"
    assert run.schedule.is_over


def test_a_divergence_that_comes_again_ends_the_trial_in_whichever_run(
    tmp_path: Path, trials: list[Trial], heard: Heard
) -> None:
    run = Run(tmp_path, trials[:1], heard, TWO)
    run.fail(run.start(), DIVERGED, "loss is nan at epoch 3, step 7; lower the learning rate")
    assert heard.words[-1].endswith("retry 1 of 1")
    # The driver is killed; the same command has all retries anew.
    run = Run(tmp_path, trials[:1], heard, TWO)
    run.fail(run.start(), DIVERGED, "loss is nan at epoch 3, step 7; lower the learning rate")
    assert heard.words[-1] == "ended 0 diverged"


def test_a_trial_that_diverged_and_was_then_killed_ends_as_diverged(
    tmp_path: Path, trials: list[Trial], heard: Heard
) -> None:
    run = Run(tmp_path, trials[:1], heard, TWO)
    run.fail(run.start(), DIVERGED, "loss is nan at epoch 3, step 7; lower the learning rate")
    run.die(run.start())
    assert heard.words[-1] == "ended 0 diverged"
    # Taken up again, only what is new counts.
    records.reopen(tmp_path, trials[0])
    run = Run(tmp_path, trials[:1], heard, TWO)
    for _ in range(2):
        run.die(run.start())
    assert heard.words[-1] == "ended 0 failed"


@pytest.mark.parametrize("kind", [PROCESS_DIED, HUNG])
def test_what_a_trial_could_not_write_is_written_for_it(
    run: Run, trials: list[Trial], kind: str
) -> None:
    folder = records.trial_folder(run.folder, run.start())
    run.die(trials[0], kind)
    assert [failure.kind for failure in records.read_failures(folder)] == [kind]


def test_a_process_that_dies_before_it_makes_a_folder_ends_as_well(
    run: Run, trials: list[Trial]
) -> None:
    for _ in range(2):
        trial = run.schedule.next()
        while trial != trials[0]:
            assert trial is not None
            run.schedule.started(trial)
            run.schedule.returned(trial)
            trial = run.schedule.next()
        run.die(trials[0])
    assert records.state_of(run.folder, trials[0]) == "failed"


def test_a_trial_whose_node_was_lost_is_the_next_one(
    run: Run, trials: list[Trial], heard: Heard
) -> None:
    for epoch in (1, 2, 3):  # more often than there are retries
        assert run.start() == trials[0]
        run.schedule.reported(trials[0], {"epoch": epoch})
        run.die(trials[0], NODE_LOST)
        assert heard.words[-1].endswith("; a retry that does not count")


def test_a_trial_that_another_process_holds_is_left_to_it(run: Run, trials: list[Trial]) -> None:
    run.schedule = Run(run.folder, trials, Heard(), TWO).schedule
    for _ in range(2):
        while run.start() != trials[0]:
            run.schedule.returned(next(t for t in run.schedule.running if t != trials[0]))
        with records.locked(records.trial_folder(run.folder, trials[0]), timeout_seconds=0.0):
            run.die(trials[0])
    assert records.state_of(run.folder, trials[0]) == "unfinished"


def test_out_of_memory_on_a_shared_gpu_makes_room_once_for_those_that_shared_it(
    tmp_path: Path, trials: list[Trial], heard: Heard
) -> None:
    run = Run(tmp_path, trials, heard, PACKED)
    started = [run.start() for _ in range(4)]
    run.fail(started[0], OUT_OF_MEMORY)
    run.fail(started[1], OUT_OF_MEMORY)  # had no more room than the first
    assert run.schedule.slots.gpus == 0.3333
    assert run.nums == [3]
    notes = [word for word in heard.words if "one fewer on each" in word]
    assert notes == [
        f"{started[0].name}: out of memory on a GPU that trials share; those that start from now "
        "on are one fewer on each: 3 at once, 1 CPU and 0.3333 GPU each"
    ]
    assert run.schedule.waiting == [started[1], started[0]]


def test_out_of_memory_on_a_whole_gpu_counts(
    tmp_path: Path, trials: list[Trial], heard: Heard
) -> None:
    run = Run(tmp_path, trials[:1], heard, PACKED._replace(gpus=1.0, num=1))
    for _ in range(2):
        run.fail(run.start(), OUT_OF_MEMORY)
    assert heard.words[-1] == "ended 0 failed"


def test_a_note_of_a_trial_is_told_with_its_name(run: Run, heard: Heard) -> None:
    trial = run.start()
    run.schedule.reported(trial, {"note": "checkpoint.pt is truncated"})
    assert heard.words[-1] == f"{trial.name}: checkpoint.pt is truncated"


def test_a_run_that_is_asked_to_stop_hands_out_nothing_more(
    run: Run, trials: list[Trial], heard: Heard
) -> None:
    trial = run.start()
    records.request_stop(run.folder)
    assert not run.schedule.look()  # too soon to look again
    run.now = 1.0
    assert run.schedule.look()
    assert heard.words[-1] == "asked to stop: 1 trial ends its epoch"
    assert run.schedule.next() is None
    assert not run.schedule.is_over
    run.die(trial)
    assert heard.words[-1] == "ended 0 unfinished"  # no retry
    assert run.schedule.is_over


def test_a_request_is_seen_before_the_next_trial_is_handed_out(run: Run) -> None:
    records.request_stop(run.folder)
    assert run.schedule.next() is None
    assert run.schedule.is_over


def test_a_request_that_the_last_trial_sees_first_is_told_too(
    run: Run, trials: list[Trial], heard: Heard
) -> None:
    for _ in trials[1:]:
        run.schedule.returned(run.start())
    last = run.start()
    records.request_stop(run.folder)
    run.schedule.returned(last)
    assert heard.words[-2:] == ["asked to stop: 1 trial ends its epoch", "ended 3 unfinished"]
    assert run.schedule.stopping


def test_a_trial_stopped_by_name_is_passed_over_and_others_go_on(
    run: Run, trials: list[Trial], heard: Heard
) -> None:
    folder = records.trial_folder(run.folder, trials[0])
    folder.mkdir(parents=True)
    records.request_stop(folder)
    assert run.start() == trials[1]
    assert heard.words[0] == "ended 0 None"


def test_stopping_asks_the_trials_in_training_and_takes_it_back_in_the_end(
    run: Run, trials: list[Trial]
) -> None:
    folders = [records.trial_folder(run.folder, run.start()) for _ in range(2)]
    run.schedule.stop()
    assert all(records.stop_requested(folder) for folder in folders)
    assert not records.stop_requested(run.folder)  # others may train in it
    run.schedule.close()
    assert not records.stop_requested(*folders)


def test_a_trial_that_was_handed_out_and_has_no_folder_yet_is_asked_to_stop(
    run: Run, trials: list[Trial]
) -> None:
    assert run.schedule.next() == trials[0]
    run.schedule.stop()
    assert records.stop_requested(records.trial_folder(run.folder, trials[0]))


def test_a_trial_that_starts_in_a_run_that_stops_is_asked_to_stop(
    run: Run, trials: list[Trial]
) -> None:
    assert run.schedule.next() == trials[0]
    run.schedule.stopping = True  # a signal came just before it was noted down as handed out
    run.schedule.started(trials[0])
    assert records.stop_requested(records.trial_folder(run.folder, trials[0]))


def test_a_run_that_stops_drops_what_got_no_process(
    run: Run, trials: list[Trial], heard: Heard
) -> None:
    run.start()
    assert run.schedule.next() == trials[1]  # and there is no room for it
    run.schedule.stop()
    assert not run.schedule.is_idle
    run.schedule.returned(trials[0])
    assert run.schedule.is_idle
    assert not run.schedule.is_over
    run.schedule.drop_unstarted()
    assert run.schedule.is_over
    assert heard.words[-1] == "ended 1 None"


def test_a_locked_trial_is_tried_again_for_a_while_and_then_left_out_by_name(
    run: Run, trials: list[Trial], heard: Heard
) -> None:
    locked = run.start()
    run.schedule.locked(locked)
    told = "another process still holds it; tried again for at most 15 min"
    assert heard.words[-1] == f"restarted 0: {told}"
    assert run.schedule.waiting == [*trials[1:], locked]
    for _ in trials[1:]:
        run.schedule.returned(run.start())
    for minutes in (5, 14):
        run.now = 60.0 * minutes
        assert run.start() == locked
        run.schedule.locked(locked)
        assert heard.words[-1] == "restarted 0: "  # that has been told
    run.now = 60.0 * 15
    assert run.start() == locked
    run.schedule.locked(locked)
    note, end = heard.words[-2:]
    folder = records.trial_folder(run.folder, locked)
    assert note.startswith(
        f"{locked.name}: left out, for another process has held {folder} for more than 15 min; "
    )
    assert note.endswith("then the same command goes on")
    assert end == "ended 0 unfinished"
    assert run.schedule.is_over


def test_a_trial_that_got_its_lock_has_all_the_time_anew(
    tmp_path: Path, trials: list[Trial], heard: Heard
) -> None:
    run = Run(tmp_path, trials[:1], heard, TWO)
    run.schedule.locked(run.start())
    run.die(run.start())  # it had the lock
    run.now += 3600.0
    run.schedule.locked(run.start())
    run.schedule.reported(run.start(), {"epoch": 1})
    run.now += 3600.0
    run.schedule.locked(trials[0])  # taken from it by another process
    assert run.schedule.waiting == trials[:1]


def test_a_locked_trial_is_not_waited_for_where_the_run_stops(run: Run, heard: Heard) -> None:
    trial = run.start()
    run.schedule.stop()
    run.schedule.locked(trial)
    assert heard.words[-1] == "ended 0 unfinished"
    assert run.schedule.is_over


def many(folder: Path, heard: Heard, num: int) -> Run:
    """A run of many trials, each of which is given up when it fails."""
    trials = [
        make_trial(TrialConfig.model_validate({"augment": ("FD",), "seed": seed}))
        for seed in range(num)
    ]
    run = Run(folder, trials, heard, TWO)
    run.schedule = Schedule(trials, folder, slots=TWO, max_retries=0, listener=heard)
    return run


def test_a_run_stops_when_trial_after_trial_fails_with_no_epoch_trained(
    tmp_path: Path, heard: Heard
) -> None:
    run = many(tmp_path, heard, 9)
    for _ in range(4):
        run.die(run.start())
    assert not run.schedule.stopping
    run.fail(run.start(), "ImportError", "first line\nno module named librosa")
    assert heard.words[-1] == (
        "5 trials in a row were given up before they had trained an epoch, so no more are "
        "started; the last for: no module named librosa"
    )
    assert run.schedule.next() is None
    assert run.schedule.is_over
    assert run.schedule.fault is None  # exit code 1, with the outcome


def test_the_last_trials_of_a_run_may_all_fail_with_no_more_said(
    tmp_path: Path, heard: Heard
) -> None:
    run = many(tmp_path, heard, 5)
    for _ in range(5):
        run.die(run.start())
    assert heard.words[-1] == "ended 4 failed"
    assert not run.schedule.stopping


def test_an_epoch_of_a_trial_that_fails_later_lets_the_run_go_on(
    tmp_path: Path, heard: Heard
) -> None:
    run = many(tmp_path, heard, 9)
    for _ in range(8):
        trial = run.start()
        run.schedule.reported(trial, {"epoch": 1})
        run.die(trial)
    assert not run.schedule.stopping


def test_failures_that_have_vanished_do_not_end_the_driver(
    tmp_path: Path, trials: list[Trial], heard: Heard
) -> None:
    run = Run(tmp_path, trials[:1], heard, TWO)
    for _ in range(2):
        run.fail(run.start(), "ValueError")
    records.reopen(tmp_path, trials[0])
    run = Run(tmp_path, trials[:1], heard, TWO)
    for _ in range(2):
        trial = run.start()
        (records.trial_folder(tmp_path, trial) / "failures.jsonl").unlink()
        run.die(trial)
    assert heard.words[-1] == "ended 0 failed"
    assert run.schedule.fault is None


def test_a_record_that_the_disk_does_not_show_ends_the_run_and_not_the_driver(
    run: Run, trials: list[Trial]
) -> None:
    trial = run.start()
    folder = records.trial_folder(run.folder, trial)
    folder.rename(run.folder / "elsewhere")
    folder.symlink_to("a" * 300)  # to look into it is an OSError: the name is too long
    run.schedule.returned(trial)
    assert isinstance(run.schedule.fault, OSError)


def test_a_request_that_cannot_be_looked_for_is_none(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to("a" * 300)
    assert not records.stop_requested(tmp_path / "run")


def test_a_full_disk_ends_the_run_and_is_kept_to_be_told(
    run: Run, trials: list[Trial], heard: Heard
) -> None:
    full, other = run.start(), run.start()
    run.schedule.give_up(DiskFullError("the disk at / is full"))
    run.schedule.returned(full)
    assert records.stop_requested(records.trial_folder(run.folder, other))
    assert run.schedule.next() is None
    assert isinstance(run.schedule.fault, DiskFullError)


def test_a_failure_that_cannot_be_written_ends_the_run(run: Run, trials: list[Trial]) -> None:
    trial = run.schedule.next()
    assert trial is not None
    (run.folder / "trials").write_text("in the way")
    run.die(trial)
    assert isinstance(run.schedule.fault, OSError | RecordError)
    assert run.schedule.is_over


def test_a_listener_that_raises_is_told_nothing_more(heard: Heard, trials: list[Trial]) -> None:
    class Broken(Heard):
        def started(self, trial: Trial) -> None:
            raise RuntimeError("no network")

    broken = Broken()
    everybody = Broadcast([broken, heard])
    everybody.started(trials[0])
    everybody.note("after")
    assert (broken.words, heard.words) == ([], ["started 0", "after"])
