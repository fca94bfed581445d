"""Runs through Ray that are disturbed: killed and stopped processes, Ctrl-C, `clar-sweep stop`."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sweep_desk import Desk, Finished, results

from clar_sweeps import records
from clar_sweeps.records import Live
from clar_sweeps.tuning.reaper import users_of

THREE = """
  augment: [FD]
  learning_rate: 1e-3
axes:
  temperature: [0.1, 0.2, 0.3]
"""


class Run(NamedTuple):
    """A run under way in a session of its own."""

    process: subprocess.Popen[str]
    folder: Path
    scratch: Path  # of this run's Ray alone
    err: Path

    def wait_for(self, condition: Callable[[], bool], *, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.err.read_text()
            time.sleep(0.05)

    def wait_in_training(self, condition: Callable[[], bool]) -> None:
        self.wait_for(lambda: self.process.poll() is not None or condition())
        assert self.process.poll() is None, self.err.read_text()

    def wait_for_trials(self, number: int) -> list[Live]:
        """Signs of life of so many trials that have trained an epoch and are in training."""
        self.wait_in_training(lambda: len(self.training()) >= number)
        return list(self.training().values())

    def training(self) -> dict[Path, Live]:
        folders = self.folder.glob("trials/*")
        found = {folder: records.read_live(folder) for folder in folders}
        return {
            folder: live
            for folder, live in found.items()
            if live and live.epoch and Path(f"/proc/{live.pid}").exists()
        }

    def epochs(self) -> int:
        """Lines of the histories."""
        histories = self.folder.glob("trials/*/history.jsonl")
        return sum(len(path.read_text().splitlines()) for path in histories)

    def processes(self) -> set[int]:
        """All of the run's but zombies.

        Not by a variable in their environment: Ray writes the titles of its processes over that.
        But whatever Ray starts has its log open, and the driver and the reaper are told the folder
        or are in the session.
        """
        found = users_of(self.scratch)
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # ended meanwhile
                is_named = str(self.scratch).encode() in (entry / "cmdline").read_bytes()
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if state != "Z" and (is_named or int(session) == self.process.pid):
                    found.add(int(entry.name))
        return found

    def leaves_nothing(self, *, seconds: float = 0.0) -> bool:
        """Whether all processes and files of its Ray are gone."""
        deadline = time.monotonic() + seconds
        while self.processes() or [*self.scratch.iterdir()]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def end(self, *, seconds: float = 120) -> Finished:
        out, _ = self.process.communicate(timeout=seconds)
        return Finished(self.process.args, self.process.returncode, out, self.err.read_text())


@pytest.fixture
def start(make_desk: Callable[[str], Desk]) -> Iterator[Callable[..., Run]]:
    """Starts runs of three trials in one folder; ends what is left of them."""
    desk = make_desk("disturbed")
    file = desk.write_sweep("three", THREE)
    started: list[Run] = []

    def start(*options: str, epochs: int = 200, folder: str = "run") -> Run:
        # Below /tmp, for pytest's own folder is too long a path for a socket.
        scratch = Path(tempfile.mkdtemp(prefix="run-", dir="/tmp"))
        err = scratch.with_suffix(".err")
        command = desk.command("run", file, "--set", f"epochs={epochs}", "--run-dir", folder)
        with err.open("w") as stderr:
            process = subprocess.Popen(
                [*command, *options],
                cwd=desk.folder,
                env={**desk.environment, "RAY_TMPDIR": str(scratch)},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        started.append(Run(process, desk.folder / folder, scratch, err))
        return started[-1]

    yield start
    for run in started:
        for process in run.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        run.process.communicate()
        run.err.unlink()
        shutil.rmtree(run.scratch)


def kinds(run: Run) -> list[str]:
    """Of all failures of a run's trials."""
    found = [records.read_failures(folder) for folder in run.folder.glob("trials/*")]
    return sorted(failure.kind for failures in found for failure in failures)


def test_a_run_disturbed_in_all_ways_ends_as_an_undisturbed_one(start: Callable[..., Run]) -> None:
    """Takes long, for it starts Ray three times and lets a trial hang: all in one run folder."""
    undisturbed = start("--local", epochs=40, folder="undisturbed")

    killed = start(epochs=40)
    killed.wait_in_training(lambda: killed.epochs() >= 3)
    os.kill(killed.process.pid, signal.SIGSTOP)  # a driver that hangs for a while
    time.sleep(3)
    os.kill(killed.process.pid, signal.SIGCONT)
    before = killed.epochs()
    killed.wait_in_training(lambda: killed.epochs() >= before + 2)
    os.killpg(killed.process.pid, signal.SIGKILL)

    interrupted = start(epochs=40)  # at once, while trials of the killed run still live
    before = killed.epochs()
    interrupted.wait_in_training(lambda: interrupted.epochs() >= before + 5)
    assert killed.leaves_nothing()
    assert len(interrupted.processes()) > 8  # the command, its reaper, Ray's, trials
    interrupted.process.send_signal(signal.SIGINT)
    finished = interrupted.end(seconds=30)
    assert finished.returncode == 130, finished.stderr
    assert finished.stdout.splitlines()[-1] == (
        "stopped before all were done; the same command goes on"
    )
    told = r"^Ctrl-C: \d trials? ends? (their|its) epoch; once more to leave now$"
    assert re.search(told, finished.stderr, re.M)
    assert interrupted.leaves_nothing()

    stamps = {path: path.stat().st_mtime_ns for path in interrupted.folder.glob("*/*/summary.json")}
    last = start("--hang-timeout-minutes", "0.25", "--max-retries", "9", epochs=40)
    hit, hanging = last.wait_for_trials(2)[:2]
    os.kill(hanging.pid, signal.SIGSTOP)  # answers nobody, not even a polite request to end
    os.kill(hit.pid, signal.SIGKILL)
    finished = last.end(seconds=240)
    assert finished.returncode == 0, finished.stderr
    assert last.leaves_nothing()
    assert {"Hung", "ProcessDied"} <= set(kinds(last))
    told = r"gave no sign of life for 0\.25 min; its process was ended; retry \d of 9"
    assert re.search(told, finished.stderr)
    assert "its process died, often for want of memory" in finished.stderr
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert "resumes at epoch" in (last.folder / "run.log").read_text()
    assert undisturbed.end().returncode == 0
    assert results(last.folder) == results(undisturbed.folder)


# The one without Ray and the first of each are tested in all runs; each of these takes 20 s.
@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_second_signal_leaves_at_once_and_leaves_no_process(
    start: Callable[..., Run], sent: signal.Signals, code: int
) -> None:
    run = start()
    for live in run.wait_for_trials(1):
        os.kill(live.pid, signal.SIGSTOP)  # an epoch without an end
    run.process.send_signal(sent)
    run.wait_for(lambda: "once more to leave now" in run.err.read_text(), seconds=10)
    time.sleep(1)
    assert run.process.poll() is None
    asked = time.monotonic()
    run.process.send_signal(sent)
    finished = run.end(seconds=60)
    assert finished.returncode == code, finished.stderr
    assert finished.stderr.splitlines()[-1] == (
        "interrupted; the same command goes on from what was kept"
    )
    assert time.monotonic() - asked < 30
    assert run.leaves_nothing()
    assert not (run.folder / "run.json").exists()


def test_sigterm_while_ray_starts_is_obeyed_and_leaves_nothing(start: Callable[..., Run]) -> None:
    run = start()
    run.wait_in_training(lambda: any(run.scratch.glob("clar-*/ray/session_*/logs/gcs_server*")))
    run.process.send_signal(signal.SIGTERM)
    finished = run.end(seconds=60)
    assert finished.returncode == 143, finished.stderr
    assert "interrupted; the same command goes on" in finished.stderr
    assert run.leaves_nothing()


def test_a_trial_is_stopped_by_name_and_the_run_by_sigterm_at_the_next_epoch(
    start: Callable[..., Run], make_desk: Callable[[str], Desk]
) -> None:
    desk = make_desk("elsewhere")
    run = start(epochs=2000)
    run.wait_for_trials(2)
    first = next(iter(run.training()))
    name = records.read_record(first).trial.name
    stopped = desk.clar_sweep("stop", str(run.folder), records.read_record(first).trial.id)
    assert stopped.stdout == f"{name}: ends its epoch, keeps a checkpoint and stops\n"
    run.wait_for(lambda: first not in run.training())
    assert (first / "checkpoint.pt").exists()
    run.wait_for_trials(2)  # the third trial has taken its place
    run.process.send_signal(signal.SIGTERM)
    finished = run.end()
    assert finished.returncode == 143, finished.stderr
    assert re.search(r"^SIGTERM: 2 trials end their epoch; once more", finished.stderr, re.M)
    assert run.leaves_nothing()


def test_stop_ends_a_run_at_the_next_epoch(
    start: Callable[..., Run], make_desk: Callable[[str], Desk]
) -> None:
    desk = make_desk("elsewhere")
    run = start("--local", epochs=2000)
    run.wait_for_trials(1)
    asked = desk.clar_sweep("stop", str(run.folder))
    assert re.search(r"asked process \d+ on \S+ to stop; in training: 1 ", asked.stdout)
    finished = run.end()
    assert finished.returncode == 1, finished.stderr
    assert finished.stdout.splitlines()[-1] == (
        "stopped before all were done; the same command goes on"
    )
    assert "asked to stop: 1 trial ends its epoch" in finished.stderr
    nothing = desk.clar_sweep("stop", str(run.folder))
    assert nothing.returncode == 0
    assert nothing.stdout.endswith("no process works in it; nothing to stop\n")
