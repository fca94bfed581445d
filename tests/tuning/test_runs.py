"""Whole runs of tiny trials, as a user starts them: with Ray, without, killed, extended."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sweep_desk import Desk, Finished, all_records, results

from clar_sweeps import records

# One of four trials diverges; the others take the same steps with and without Ray.
STUDY = """
  augment: [TM, WN]
axes:
  encoder: [resnet18_1d, resnet18_2d]
zips:
  - {learning_rate: [1e-3, 1e38], weight_decay: [1e-4, 0.0]}
recovery: {max_retries: 0}
"""
TWO_CHAINS = """
  learning_rate: 1e-3
axes:
  augment: [[FD], [TM]]
"""
LONG = """
  augment: [FD]
  learning_rate: 1e-3
axes:
  temperature: [0.1, 0.2, 0.3]
"""


class Run(NamedTuple):
    """A command that has ended, and what it left behind."""

    finished: Finished
    folder: Path


@pytest.fixture(scope="module")
def study(desk: Desk) -> str:
    return desk.write_sweep("study", STUDY)


@pytest.fixture(scope="module")
def with_ray(desk: Desk, study: str) -> Run:
    return Run(desk.clar_sweep("run", study, "--run-dir", "ray"), desk.folder / "ray")


@pytest.fixture(scope="module")
def without_ray(desk: Desk, study: str) -> Run:
    finished = desk.clar_sweep("run", study, "--run-dir", "local", "--local")
    return Run(finished, desk.folder / "local")


def test_records_are_the_same_with_and_without_ray(with_ray: Run, without_ray: Run) -> None:
    assert len(results(with_ray.folder)) == 4 + 2  # two encoders before training
    assert results(with_ray.folder) == results(without_ray.folder)


def test_a_diverged_trial_stops_no_other_and_ends_with_exit_code_1(with_ray: Run) -> None:
    states = [record.state for record in all_records(with_ray.folder)]
    assert sorted(states) == ["diverged", "diverged", "done", "done", "done", "done"]
    assert with_ray.finished.returncode == 1
    lines = [line for line in with_ray.finished.stdout.splitlines() if line.startswith("diverged")]
    assert len(lines) == 2
    for line in lines:
        assert re.search(r"loss is .* at epoch 1, step \d+; lower", line)
        assert Path(with_ray.folder.parent, line[line.rindex("(") + 1 : -1]).exists()


@pytest.mark.parametrize("kind", ["with_ray", "without_ray"])
def test_stdout_has_plan_and_outcome_only(kind: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(kind)
    lines = [line for line in run.finished.stdout.splitlines() if not line.startswith("diverged")]
    patterns = [
        r"study: 4 trials \(4 missing\)",
        r"records: (ray|local)",
        r"to run: 4 trials, and 2 untrained encoders to evaluate",
        r"(\d+ at once|one at a time), 1 CPU each",
        r"audit: 1 chain keeps all \d+ rules \(.* s\)",
        r"study: 2 done, 2 diverged, in .* s",
        r"log: (ray|local)/run\.log; run with --retry-failed to take up what failed",
        r"next: clar-sweep report (ray|local)",
    ]
    assert len(lines) == len(patterns)
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line)


def test_stderr_has_a_line_each_trial_and_nothing_of_rays(with_ray: Run) -> None:
    lines = with_ray.finished.stderr.splitlines()
    dashboard = [line for line in lines if line.startswith("Ray dashboard: http://127.0.0.1:")]
    ended = [
        line for line in lines if re.match(r"(\[\d/4\] )?\S+_s0 (done|diverged) in .* s: ", line)
    ]
    metrics = [line for line in lines if line.startswith("metrics for Prometheus: ")]
    assert (len(dashboard), len(metrics)) == (1, 1)
    assert len(ended) == 6
    counts = [line[:5] for line in ended if line.startswith("[")]
    assert counts == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    data = [line for line in lines if "fsdd: " in line]
    assert len(lines) == len(data) + 2 + 6


def test_what_rays_processes_log_is_in_the_run_folder(with_ray: Run) -> None:
    text = (with_ray.folder / "run.log").read_text()
    assert text.count("epoch 2/2 loss") == 2
    assert not list(with_ray.folder.glob(".ray/**/*"))  # what Tune wrote is gone
    assert not (with_ray.folder / "run.json").exists()


def test_a_run_repeated_trains_nothing_and_says_what_waits(
    desk: Desk, with_ray: Run, study: str
) -> None:
    before = stamps(with_ray.folder)
    started = time.monotonic()
    again = desk.clar_sweep("run", study, "--run-dir", "ray")
    assert time.monotonic() - started < 10
    assert again.returncode == 1
    assert "2 failed before; --retry-failed takes them up again" in again.stdout
    assert stamps(with_ray.folder) == before


def test_retry_failed_takes_up_what_failed_and_nothing_else(
    desk: Desk, without_ray: Run, study: str
) -> None:
    before = stamps(without_ray.folder)
    again = desk.clar_sweep("run", study, "--run-dir", "local", "--local", "--retry-failed")
    after = stamps(without_ray.folder)
    trained = {path for path in before if before[path] != after[path]}
    assert again.returncode == 1
    assert "to run: 2 trials" in again.stdout
    assert {records.read_record(path.parent).state for path in trained} == {"diverged"}


def stamps(run: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in run.glob("*/*/summary.json")}


def test_seeds_added_train_exactly_the_new_ones(desk: Desk) -> None:
    file = desk.write_sweep(
        "seeds", "  augment: [FD]\n  learning_rate: 1e-3\naxes:\n  temperature: [0.1, 0.2]\n"
    )
    first = desk.clar_sweep("run", file, "--local")
    before = stamps(desk.folder / "runs/seeds")
    second = desk.clar_sweep("run", file, "--local", "--seeds", "0,1")
    after = stamps(desk.folder / "runs/seeds")
    assert (first.returncode, second.returncode) == (0, 0)
    assert "to run: 2 trials, and 1 untrained encoder to evaluate" in second.stdout
    assert (len(before), len(after)) == (3, 6)
    assert {path: after[path] for path in before} == before
    report = desk.clar_sweep("report")  # of the newest run, for none is named
    assert report.returncode == 0, report.stderr
    assert "runs/seeds" in report.stdout


def test_train_runs_one_trial_and_leaves_a_plan_of_all(desk: Desk) -> None:
    file = desk.write_sweep("one", TWO_CHAINS)
    trained = desk.clar_sweep("train", file, "--trial", "TM_2d_fsdd_s0")
    assert trained.returncode == 0, trained.stderr
    status = desk.clar_sweep("status", "runs/one")
    assert status.stdout.splitlines()[-1] == "runs/one: 1 done, 1 missing"
    again = desk.clar_sweep("train", file, "--trial", "TM_2d_fsdd_s0")
    assert (again.returncode, again.stderr) == (0, "")


class Started(NamedTuple):
    """A run that goes on in a process group of its own."""

    process: subprocess.Popen[str]
    folder: Path

    def wait_for_epochs(self, number: int) -> None:
        """Wait until the trials have trained so many epochs, and none of them all."""
        deadline = time.monotonic() + 120
        while len(self.epochs()) < number:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def epochs(self) -> list[str]:
        return [
            line
            for path in self.folder.glob("trials/*/history.jsonl")
            for line in path.read_text().splitlines()
        ]


@pytest.fixture
def start(make_desk: Callable[[str], Desk]) -> Iterator[Callable[..., Started]]:
    """Starts runs of three trials that take some seconds; ends what is left of them."""
    desk = make_desk("long")
    file = desk.write_sweep("long", LONG)
    started: list[Started] = []

    def start(*options: str) -> Started:
        process = subprocess.Popen(
            desk.command("run", file, "--set", "epochs=25", *options),
            cwd=desk.folder,
            env=desk.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(Started(process, desk.folder / "runs/long_epochs=25"))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
        each.process.communicate()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_local_run_that_is_told_to_end_does(
    start: Callable[..., Started], sent: signal.Signals, code: int
) -> None:
    run = start("--local")
    run.wait_for_epochs(3)
    run.process.send_signal(sent)
    _, err = run.process.communicate(timeout=30)
    assert run.process.returncode == code
    assert "Traceback" not in err


def test_a_second_run_on_the_folder_is_refused_by_host_and_process(
    start: Callable[..., Started],
) -> None:
    first = start("--local")
    first.wait_for_epochs(1)
    owner = json.loads((first.folder / "run.json").read_text())
    second = start("--local")
    _, err = second.process.communicate(timeout=30)
    assert second.process.returncode == 2
    assert err == (
        f"{first.folder.relative_to(first.folder.parent.parent)}: process {first.process.pid} "
        f"on {owner['host']} works in it; wait for it, or end it by 'clar-sweep stop "
        f"{first.folder.relative_to(first.folder.parent.parent)}'\n"
    )
