"""The lines of ended trials, the live view, and the times in them."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.records import Record
from clar_sweeps.tuning.progress import Progress, format_duration, format_seconds


class Clock:
    """Time as a test sets it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def trial(seed: int, **fields: object) -> Trial:
    config = {"augment": ("FD",), "epochs": 4, "warmup_epochs": 0.0, "seed": seed, **fields}
    return make_trial(TrialConfig.model_validate(config))


def done(trial: Trial, top1: float = 0.432) -> Record:
    return Record(trial, "done", {"metrics": {"test_top1": top1}}, [], Path())


def failed(trial: Trial) -> Record:
    error = {"type": "ValueError", "message": "first line\nclip 7 is empty"}
    return Record(trial, "failed", {"error": error}, [], Path())


def row(epoch: int) -> dict[str, float]:
    return {"epoch": epoch, "epochs": 4, "loss": 1.5, "clips_per_second": 2000.0}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def progress(trials: list[Trial], clock: Clock, *, total: int, terminal: bool = False) -> Progress:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, highlight=False)
    return Progress(trials, total=total, slots=1, console=console, clock=clock)


def shown(progress: Progress) -> str:
    file = progress._console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_an_ended_trial_is_one_line_with_count_result_time_and_estimate(clock: Clock) -> None:
    trials = [trial(0), trial(1)]
    with progress(trials, clock, total=12) as view:
        view.started(trials[0])
        for epoch in range(1, 5):
            clock.now = 50.0 * epoch
            view.reported(trials[0], row(epoch))
        view.ended(trials[0], done(trials[0]))
    name = trials[0].name
    assert shown(view) == (
        f"[11/12] {name} done in 3 min 20 s: test top-1 43.2 %, about 3 min left\n"
    )


def test_a_failed_trial_says_why_in_one_line(clock: Clock) -> None:
    trials = [trial(0)]
    with progress(trials, clock, total=1) as view:
        view.started(trials[0])
        clock.now = 9.84
        view.ended(trials[0], failed(trials[0]))
    assert shown(view) == (f"[1/1] {trials[0].name} failed in 9.8 s: clip 7 is empty\n")


def test_baselines_are_shown_and_not_counted(clock: Clock) -> None:
    baseline = trial(0, epochs=0)
    with progress([baseline, trial(0)], clock, total=1) as view:
        view.started(baseline)
        view.ended(baseline, done(baseline, 0.1))
    assert shown(view) == f"{baseline.name} done in 0.0 s: test top-1 10.0 %\n"


def test_the_estimate_shrinks_as_a_running_epoch_goes_on(clock: Clock) -> None:
    trials = [trial(0)]
    view = progress(trials, clock, total=1)
    view.started(trials[0])
    assert view.seconds_left() is None
    clock.now = 10.0
    view.reported(trials[0], row(1))
    assert view.seconds_left() == pytest.approx(30.0)
    clock.now = 14.0
    assert view.seconds_left() == pytest.approx(26.0)


def test_a_resumed_trial_is_judged_by_the_epochs_it_trains_now(clock: Clock) -> None:
    trials = [trial(0)]
    view = progress(trials, clock, total=1)
    view.started(trials[0])
    clock.now = 5.0
    view.reported(trials[0], row(3))
    assert view.seconds_left() == pytest.approx(5.0)


def test_the_live_view_has_a_row_for_each_running_trial(clock: Clock) -> None:
    trials = [trial(0), trial(1)]
    view = progress(trials, clock, total=2, terminal=True)
    with view:
        view.started(trials[0])
        view.reported(trials[0], row(2))
        view._live.refresh()
    assert "0/2 trials" in shown(view)
    assert "epoch 2/4" in shown(view)
    assert "loss 1.500" in shown(view)
    assert "2,000 clips/s" in shown(view)


def test_a_trial_whose_process_died_waits_again(clock: Clock) -> None:
    trials = [trial(0)]
    with progress(trials, clock, total=1) as view:
        view.started(trials[0])
        view.restarted(trials[0])
        view.started(trials[0])
        view.ended(trials[0], done(trials[0]))
    first, second = shown(view).splitlines()
    assert first == f"{trials[0].name}: its process died; it goes on from its checkpoint"
    assert second.startswith("[1/1]")


@pytest.mark.parametrize(
    ("seconds", "exact", "rough"),
    [
        (0.04, "0.0 s", "0 s"),
        (59.94, "59.9 s", "60 s"),
        (59.96, "1 min 0 s", "60 s"),
        (125.0, "2 min 5 s", "2 min"),
        (3599.8, "1 h 0 min", "1 h 0 min"),
        (3 * 86400.0, "72 h 0 min", "3 days"),
    ],
)
def test_times_are_told_as_exactly_as_they_are_known(
    seconds: float, exact: str, rough: str
) -> None:
    assert (format_seconds(seconds), format_duration(seconds)) == (exact, rough)
