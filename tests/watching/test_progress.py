"""The lines of ended trials, the live view, and the lines of a long run in a log."""

import io
import os
import time
from pathlib import Path

import pytest
from rich.console import Console
from watched_run import WatchedRun

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.records import Record
from clar_sweeps.tuning.events import Broadcast, Listener
from clar_sweeps.watching.progress import Progress


@pytest.fixture
def run(tmp_path: Path) -> WatchedRun:
    return WatchedRun(tmp_path)


def progress(
    run: WatchedRun, *trials: Trial, terminal: bool = False, every: float = 9e9
) -> Progress:
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=100, height=30, highlight=False
    )
    return Progress(
        trials,
        run=run.path,
        slots=1,
        console=console,
        clock=run.clock,
        seconds_between_lines=every,
    )


def shown(progress: Progress) -> str:
    file = progress._console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def record(run: WatchedRun, trial: Trial) -> Record:
    return records.read_record(run.folder(trial))


def test_an_ended_trial_is_one_line_with_count_result_time_and_time_left(run: WatchedRun) -> None:
    first, second = run.sweep.trials[:2]
    with progress(run, first, second) as view:
        view.started(first)
        run.now += 200.0
        run.done(first, 0.432, seconds=200.0)
        run.done(run.sweep.baselines[0])
        view.ended(first, record(run, first))
    line = shown(view)
    assert line.startswith(f"[1/9] {first.name} done in 3 min 20 s: test top-1 43.2 %, about ")
    assert line.count("\n") == 1


def test_a_failed_trial_says_why_in_one_line(run: WatchedRun) -> None:
    trial = run.sweep.trials[0]
    with progress(run, trial) as view:
        view.started(trial)
        run.now += 9.84
        run.failed(trial, "first line\nclip 7 is \x1b[2Jempty")
        view.ended(trial, record(run, trial))
    assert shown(view) == f"[1/9] {trial.name} failed in 9.8 s: clip 7 is [2Jempty\n"


def test_baselines_are_shown_and_not_counted(run: WatchedRun) -> None:
    baseline = run.sweep.baselines[0]
    with progress(run, baseline, run.sweep.trials[0]) as view:
        view.started(baseline)
        run.done(baseline, 0.1)
        view.ended(baseline, record(run, baseline))
    assert shown(view) == f"{baseline.name} done in 0.0 s: test top-1 10.0 %\n"


def test_a_trial_that_was_interrupted_waits_again_and_says_why(run: WatchedRun) -> None:
    trial = run.sweep.trials[0]
    with progress(run, trial) as view:
        view.started(trial)
        view.restarted(trial, "its process died; retry 1 of 2")
        assert view.snapshot(anew=True).driver == view._driver()
        assert (view._driver().running, view._driver().waiting) == ((), 1)
        view.started(trial)
        view.restarted(trial, "")  # told before
        view.started(trial)
        run.done(trial)
        view.ended(trial, record(run, trial))
    first, second = shown(view).splitlines()
    assert first == (
        f"{trial.name}: its process died; retry 1 of 2; it goes on from its checkpoint"
    )
    assert second.startswith("[1/9]")


def test_a_trial_that_stopped_as_asked_says_so_and_is_not_counted(run: WatchedRun) -> None:
    asked, other = run.sweep.trials[:2]
    with progress(run, asked, other) as view:
        for trial in (asked, other):
            run.trained(trial, 1)
            view.started(trial)
        records.request_stop(run.folder(asked))
        for trial in (asked, other):
            view.ended(trial, record(run, trial))
    assert shown(view).splitlines() == [
        f"{asked.name} stopped as asked in 0.0 s",
        f"{other.name} unfinished in 0.0 s",
    ]


def test_the_live_view_is_the_picture_of_the_records(run: WatchedRun) -> None:
    first, second = run.sweep.trials[:2]
    view = progress(run, first, second, terminal=True)
    with view:
        view.started(first)
        run.done(first, 0.25)
        view.ended(first, record(run, first))
        run.lives(second, epoch=2, step=5, loss=1.5)
        view.started(second)
        view.snapshot(anew=True)
        view._live.refresh()
    text = shown(view)
    for told in ("1/9 trials", "slots 1/1", "applied first", "25.0", "epoch 3/4", "loss 1.500"):
        assert told in text


def test_reading_is_done_once_a_second_at_most(run: WatchedRun) -> None:
    view = progress(run)
    before = view.snapshot()
    run.now += 0.9
    assert view.snapshot() is before
    run.now += 0.2
    assert view.snapshot() is not before


def test_a_stop_is_told_in_the_live_view(run: WatchedRun) -> None:
    trial = run.sweep.trials[0]
    view = progress(run, trial, terminal=True)
    with view:
        run.lives(trial)
        view.started(trial)
        records.request_stop(run.path)
        view.snapshot(anew=True)
        view._live.refresh()
    assert "stopping: 1 trial finishes its epoch; Ctrl-C again to leave now" in shown(view)


def test_a_stop_by_ctrl_c_is_known_by_what_this_process_tells_in_the_run_folder(
    run: WatchedRun,
) -> None:
    view = progress(run)
    run.drive(stopping=True)
    assert not view.snapshot(anew=True).stopping
    run.drive(stopping=True, pid=os.getpid())
    assert view.snapshot(anew=True).stopping


def test_a_log_shows_life_between_the_ends_of_trials(run: WatchedRun) -> None:
    trial = run.sweep.trials[0]
    with progress(run, trial, every=0.02) as view:
        run.lives(trial, epoch=1, step=5)
        view.started(trial)
        deadline = time.monotonic() + 10
        while shown(view).count("\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert f"0/9 trials; {trial.name} 1.5/4 epochs; 0 s so far" in shown(view)
    assert not view._lines.is_alive()


def test_a_plan_that_cannot_be_read_for_a_moment_does_not_end_the_view(run: WatchedRun) -> None:
    view = progress(run, terminal=True)
    run.now += 2.0
    (run.path / "plan.json").write_text("{")
    assert "is not readable JSON" in str(view._view())


def test_notes_are_texts_without_markup(run: WatchedRun) -> None:
    view: Progress = progress(run)
    listener: Listener = Broadcast([view])
    listener.note("[red]at\x1b[2J http://127.0.0.1:8265[/red]")
    assert shown(view) == "[red]at[2J http://127.0.0.1:8265[/red]\n"


def test_a_plan_that_cannot_be_read_for_a_moment_costs_the_line_its_count(run: WatchedRun) -> None:
    first, second = run.sweep.trials[:2]
    plan = run.path / "plan.json"
    with progress(run, first, second) as view:
        listeners = Broadcast([view])
        for trial in (first, second):
            view.started(trial)
            run.done(trial, 0.432)
            plan.rename(run.path / "away")
            listeners.ended(trial, record(run, trial))
            (run.path / "away").rename(plan)
        assert listeners.listeners == [view]
    assert shown(view).splitlines()[0] == f"{first.name} done in 0.0 s: test top-1 43.2 %"


def test_the_live_view_waits_for_nobody_who_reads(run: WatchedRun) -> None:
    view = progress(run, *run.sweep.trials[:1])
    before = view._view()
    run.now += 2.0
    with view._reading:  # as the main thread does when a signal's handler wants to print
        assert view._view() is before
    assert view._view() is not before
