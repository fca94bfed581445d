"""A sweep under way: the command that drives it, its trials, its processes."""

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.compare import summaries
from benchmarks.chaos.processes import is_at_work, kill, processes_in
from benchmarks.chaos.stages import Place
from benchmarks.chaos.sweeps import clar_sweep
from clar_sweeps import records
from clar_sweeps.records import Live

_SECONDS_BETWEEN_LOOKS = 0.1
# Without an epoch, an end, or the command's: Ray's start and a hang found take far less.
_STUCK_SECONDS = 150.0


class StandstillError(Exception):
    """No trial trained, none ended, and the command did not end."""


@dataclass
class Wound:
    """Trials that were interrupted together, and their processes of then."""

    at: float
    hit: dict[Path, int]
    back_seconds: float | None = None  # until the first of them was in training again


class Running:
    """A copy of a sweep that is run by the same command, again and again, until it is finished."""

    def __init__(self, file: Path, place: Place, *, num_trials: int) -> None:
        """Prepare; `start` starts it.

        Args:
            file: The sweep file.
            place: Where and how it runs.
            num_trials: Trials and baselines of the sweep.
        """
        self.file = file
        self.place = place
        self.num_trials = num_trials
        self.attempts = 0
        self.codes: list[int] = []
        self.may_end: tuple[int, ...] = ()  # exit codes that the last disturbance explains
        self.faults: list[str] = []
        self.wounds: list[Wound] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def driver(self) -> int:
        """Process id of the command."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Give the command."""
        self.attempts += 1
        self.may_end = ()
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.place.work,
                env=self.place.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> Path:
        """What the command of this attempt prints."""
        return self.place.work / f"attempt_{self.attempts:02}.txt"

    def command(self) -> list[str]:
        """The one command."""
        options = ("--run-dir", str(self.place.run), *self.place.options)
        return clar_sweep("run", str(self.file), *options)

    def exit_code(self) -> int | None:
        """Of the command; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def wait(self) -> int:
        """Wait for the end of the command."""
        assert self._process is not None
        return self._process.wait()

    def is_finished(self) -> bool:
        """Whether all trials have ended and the command as well."""
        return self.exit_code() is not None and len(summaries(self.place.run)) == self.num_trials

    def live(self) -> dict[Path, Live]:
        """Trials in a process that lives, by their folders."""
        found = {}
        for path in self.place.run.glob("*/*/live.json"):
            live = records.read_live(path.parent)
            if live and is_at_work(live.pid, self.place.work):
                found[path.parent] = live
        return found

    def in_training(self) -> bool:
        """Whether a trial is past its preparations."""
        return any(live.phase != "preparing" for live in self.live().values())

    def wait_until(self, condition: Callable[[], bool], *, seconds: float = math.inf) -> bool:
        """Look again and again; False where it did not come true.

        Raises:
            StandstillError: Nothing at all went on meanwhile.
        """
        started = since = time.monotonic()
        seen = self._progress()
        while not condition():
            now = time.monotonic()
            if now - started > seconds:
                return False
            if (progress := self._progress()) != seen:
                seen, since = progress, now
            if now - since > _STUCK_SECONDS:
                raise StandstillError(f"stands still for {_STUCK_SECONDS:.0f} s")
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            self.look()
        return True

    def look(self) -> None:
        """See whether trials that were interrupted are in training again."""
        unhealed = [wound for wound in self.wounds if wound.hit and wound.back_seconds is None]
        live = self.live() if unhealed else {}
        for wound in unhealed:
            now = [(pid, live[folder]) for folder, pid in wound.hit.items() if folder in live]
            if any(then != trial.pid and trial.phase != "preparing" for then, trial in now):
                wound.back_seconds = time.monotonic() - wound.at

    def go_on(self) -> bool:
        """Give the command again where it has ended; False where the sweep is finished.

        An end that no disturbance explains is a fault.
        """
        code = self.exit_code()
        if code is None:
            return True
        if self.is_finished():
            return False
        self.codes.append(code)
        if code not in self.may_end:
            self.faults.append(f"the command ended by itself with exit code {code}")
        self.start()
        return True

    def finish(self, *, most_attempts: int) -> None:
        """Let it run to its end, without further disturbance."""
        self.wait_until(lambda: not self.go_on() or self.attempts > most_attempts)
        if not self.is_finished():
            self.faults.append(f"is not finished after {most_attempts} attempts")

    def _progress(self) -> tuple[int, int, int]:
        histories = self.place.run.glob("*/*/history.jsonl")
        rows = sum(_size(path) for path in histories)
        return rows, len(summaries(self.place.run)), self.attempts

    def end(self) -> None:
        """Kill what is left of it, whatever happened."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pid in processes_in(self.place.work):
            kill(pid)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # being replaced
        return 0
