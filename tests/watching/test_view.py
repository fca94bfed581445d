"""What stands in the picture of a run, at any size."""

from pathlib import Path

import pytest
from watched_run import PAIRS, WatchedRun

from clar_sweeps.config import Trial
from clar_sweeps.watching.snapshot import Snapshot
from clar_sweeps.watching.view import describe_driver, describe_left, draw, one_line
from clar_sweeps.watching.watcher import Watcher

EVIL = "\x1b[2J\x1b]0;title\x07[red]loud[/red]\u202e\r\nlast"


@pytest.fixture
def run(tmp_path: Path) -> WatchedRun:
    """Five trials are done, one has failed, two are in training, one waits."""
    run = WatchedRun(tmp_path)
    run.done(run.sweep.baselines[0])
    for place, trial in enumerate(run.sweep.trials[:5]):
        run.done(trial, 0.1 + 0.2 * place)
    run.failed(run.sweep.trials[5])
    run.now += 250.0
    first, second = run.sweep.trials[6:8]
    told = {"loss": 4.25, "clips_per_second": 1234.5, "memory_bytes": 1_500_000_000}
    run.lives(first, epoch=1, step=5, host="gpu7", **told)
    run.lives(second, phase="evaluating", epoch=4, steps=0, host="gpu8")
    run.drive(first, second, waiting=1)
    return run


def snapshot_of(run: WatchedRun) -> Snapshot:
    return Watcher(run.path, clock=run.clock).read()


def drawn(run: WatchedRun, *, width: int = 120, height: int = 40) -> list[str]:
    return [line.plain for line in draw(snapshot_of(run), width=width, height=height)]


def test_the_header_counts_and_tells_the_time_left_with_its_spread(run: WatchedRun) -> None:
    first, second = drawn(run)[:2]
    assert first.split("  ")[0] == "grid"
    assert first.endswith("6/9 trials   1 failed   slots 2/2")
    assert second.startswith("4 min so far, about 40 s left (3")
    assert describe_left(snapshot_of(run).left) in second


def test_the_matrix_fills_with_accuracies_and_signs(run: WatchedRun) -> None:
    lines = [line.split() for line in drawn(run)]
    assert ["PS", "FD", "TM"] in lines
    assert ["PS", "10.0", "30.0", "50.0"] in lines
    assert ["FD", "70.0", "90.0", "✗"] in lines
    assert ["TM", "▸38%", "▸100%", "·"] in lines
    assert any("row: applied first, column: applied second" in line for line in drawn(run))


def test_accuracies_are_coloured_from_the_lowest_to_the_highest(run: WatchedRun) -> None:
    row = next(line for line in draw(snapshot_of(run), width=120, height=40) if "10.0" in line)
    styles = {row.plain[span.start : span.end].strip(): str(span.style) for span in row.spans}
    assert styles["10.0"] == "white on #440154"
    assert len({styles["10.0"], styles["30.0"], styles["50.0"]}) == 3


def test_a_cell_is_the_mean_of_its_finished_seeds_and_says_what_is_to_come(
    tmp_path: Path,
) -> None:
    run = WatchedRun(tmp_path, seeds=(0, 1))
    run.done(run.trial("PS"), 0.2)
    run.done(run.trial("FD"), 0.2)
    run.done(run.trial("FD", seed=1), 0.4)
    run.done(run.trial("TM"), 0.2)
    run.failed(run.trial("TM", seed=1))
    lines = [line.split() for line in drawn(run)]
    assert ["PS", "20.0…", "·", "·"] in lines
    assert ["FD", "·", "30.0", "·"] in lines
    assert ["TM", "·", "·", "20.0✗"] in lines


def test_a_running_trial_tells_all_that_it_knows(run: WatchedRun) -> None:
    first = next(line for line in drawn(run) if "loss" in line)
    name = run.sweep.trials[6].name
    assert first.split("  ")[1:3] == [name, "epoch 2/4"]
    for told in ("step 5/10", "loss 4.250", "1,234 clips/s", "1.5 GB", "gpu7"):
        assert told in first
    assert any("evaluating 4/4" in line and "gpu8" in line for line in drawn(run))


def test_a_late_trial_is_told_in_yellow_and_its_silence_outlives_a_narrow_terminal(
    run: WatchedRun,
) -> None:
    run.now += 180.0
    lines = draw(snapshot_of(run), width=60, height=20)
    late = next(line for line in lines if "no sign of life for 3 min" in line)
    assert "yellow" in {str(span.style) for span in late.spans}
    assert "clips/s" not in late


def test_failures_stand_last_with_their_reason(run: WatchedRun) -> None:
    assert drawn(run)[-1] == f"failed: {run.sweep.trials[5].name}: clip 7 is empty"


@pytest.mark.parametrize("width", [20, 40, 60, 79, 200])
@pytest.mark.parametrize("height", [1, 3, 8, 12, 20, 60])
def test_no_terminal_is_too_small(run: WatchedRun, width: int, height: int) -> None:
    for trial in run.sweep.trials[8:]:
        run.failed(trial, "much to say " * 30)
    lines = draw(snapshot_of(run), width=width, height=height)
    assert len(lines) <= height
    assert max(line.cell_len for line in lines) <= width
    assert lines[0].plain.startswith("grid")


def test_sixty_columns_by_twenty_lines_have_room_for_all_parts(run: WatchedRun) -> None:
    lines = drawn(run, width=60, height=20)
    assert "6/9 trials   1 failed   slots 2/2" in lines[0]
    assert any("10.0" in line for line in lines)
    assert sum("epoch 2/4" in line or "evaluating 4/4" in line for line in lines) == 2
    assert "clip 7" in lines[-1]


def many(tmp_path: Path) -> WatchedRun:
    widths = f"  width: {list(range(2, 42))}\n"
    return WatchedRun(tmp_path, PAIRS.replace("width: 4, ", "") + widths)


def test_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    run = many(tmp_path)
    running = run.sweep.trials[100:120]
    for trial in running:
        run.lives(trial, epoch=1)
    for trial in run.sweep.trials[:30]:
        run.failed(trial)
    run.drive(*running, waiting=300, slots=20)
    lines = drawn(run, width=100, height=30)
    assert len(lines) == 30
    shown = sum(line.startswith("width=") for line in lines for line in [line.strip()])
    assert shown > 1
    assert sum("and " in line and " more" in line for line in lines) == 3


def test_matrices_in_training_come_first(tmp_path: Path) -> None:
    run = many(tmp_path)
    last = run.sweep.trials[-1]
    run.lives(last)
    run.drive(last)
    assert any(line.startswith("width=41") for line in drawn(run, width=40, height=14))


def test_a_long_table_shows_the_rows_in_training(tmp_path: Path) -> None:
    values = [round(0.01 * place, 2) for place in range(1, 201)]
    axes = f"name: long\nfixed: {{augment: [FD]}}\naxes:\n  temperature: {values}\n"
    run = WatchedRun(tmp_path, axes)
    trial = run.sweep.trials[150]
    run.lives(trial)
    run.drive(trial)
    lines = drawn(run, height=20)
    assert any(line.split() == ["1.51", "▸0%"] for line in lines)
    assert any(line.startswith("and ") and line.strip().endswith(" more rows") for line in lines)


def test_texts_from_records_can_do_nothing_to_a_terminal(run: WatchedRun) -> None:
    run.failed(run.sweep.trials[8], EVIL)
    evil: Trial = run.sweep.trials[6]._replace(name=EVIL)
    run.lives(run.sweep.trials[6], epoch=1, host=EVIL)
    snapshot = snapshot_of(run)
    snapshot = snapshot._replace(
        sweep=snapshot.sweep._replace(name=EVIL),
        running=(snapshot.running[0]._replace(trial=evil), snapshot.running[1]),
        driver=snapshot.driver and snapshot.driver._replace(host=EVIL),
    )
    lines = [line.plain for line in draw(snapshot, width=200, height=60)]
    lines += [one_line(snapshot), describe_driver(snapshot)]
    assert not {"\x1b", "\x07", "\r", "\n", "\u202e"} & set("".join(lines))
    assert any("[red]loud[/red]" in line for line in lines)


def test_who_drives_a_run_is_told_with_what_to_do(run: WatchedRun) -> None:
    snapshot = snapshot_of(run)
    assert describe_driver(snapshot) == "process 123 on gpu7 drives it, last sign of life 0 s ago"
    late = snapshot._replace(driver_silent_seconds=180.0)
    assert describe_driver(late).endswith("but has given no sign of life for 3 min")
    go_on = f"clar-sweep run FILE --run-dir {run.path}"
    gone = snapshot._replace(driver_is_gone=True)
    assert describe_driver(gone) == (
        f"nobody drives it: process 123 on gpu7 ended without a word; go on with: {go_on}"
    )
    nobody = snapshot._replace(driver=None, running=())
    assert describe_driver(nobody) == f"nobody drives it; go on with: {go_on}"


def test_a_finished_run_is_told_from_one_in_which_trials_failed(run: WatchedRun) -> None:
    for trial in run.sweep.trials[6:]:
        run.done(trial)
    run.path.joinpath("run.json").unlink()
    assert describe_driver(snapshot_of(run)).endswith(f"--run-dir {run.path} --retry-failed")
    run.done(run.sweep.trials[5])
    assert describe_driver(snapshot_of(run)) == "nobody drives it; all trials are done"


def test_a_run_that_stops_says_so_and_only_its_own_terminal_names_ctrl_c(run: WatchedRun) -> None:
    snapshot = snapshot_of(run)._replace(stopping=True, stopping_seconds=40.0)
    line = draw(snapshot, width=100, height=30)[1].plain
    assert line == "stopping: 2 trials finish their epoch (about 40 s)"
    own = draw(snapshot._replace(driver_is_us=True), width=100, height=30)[1].plain
    assert own == f"{line}; Ctrl-C again to leave now"


def test_one_line_tells_what_a_log_needs(run: WatchedRun) -> None:
    first, second = run.sweep.trials[6:8]
    line = one_line(snapshot_of(run))
    assert line.startswith(
        f"6/9 trials, 1 failed; {first.name} 1.5/4 epochs, {second.name} 4.0/4 epochs; 4 min so far"
    )
