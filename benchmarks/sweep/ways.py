"""The ways to run a sweep: each in processes of its own, from nothing to its last result."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.sweep.job import (
    ROOT,
    Job,
    Spent,
    clar_sweep,
    spent_in_records,
    sum_of,
    write_orders,
)
from benchmarks.sweep.timeline import SECONDS_BETWEEN_LOOKS, Watch, ideal_seconds, parts_of

_SECONDS_TO_END = 30.0


class Measured(NamedTuple):
    """One run of one way."""

    way: str
    seconds: float  # on the wall
    ideal: float  # seconds
    training: float  # seconds, of all trials together
    evaluation: float
    parts: dict[str, float]  # of ours, seconds; empty of the others

    @property
    def ratio(self) -> float:
        """Of the wall time to the ideal."""
        return self.seconds / self.ideal


class Way(NamedTuple):
    """How to run a job below a folder that is not there yet."""

    name: str
    run: Callable[[Job, Path], Measured]
    note: str


def run_ours(job: Job, run: Path) -> Measured:
    """`clar-sweep run`, then `clar-sweep report`."""
    sets = [part for text in job.overrides for part in ("--set", text)]
    command = clar_sweep("run", str(job.file), *sets, "--run-dir", str(run))
    watch = Watch(job, run)
    log = run.with_suffix(".txt")
    began = time.time()
    _call(command, job, log, look=watch.look)
    ended = time.time()
    _call(clar_sweep("report", str(run)), job, log)
    timeline = watch.timeline(began=began, ended=ended, report_seconds=time.time() - ended)
    parts = parts_of(timeline, slots=job.slots)
    seconds = ended - began + timeline.report_seconds
    return _measured("clar-sweep", seconds, spent_in_records(job, run), job, parts)


def run_tune(job: Job, run: Path) -> Measured:
    """A function trainable of Ray Tune."""
    orders = write_orders(job, run)
    seconds = _call(_python("benchmarks.sweep.with_tune", orders), job, run / "log.txt")
    rows = [path.read_text().splitlines()[-1] for path in run.glob("tune/*/result.json")]
    if len(rows) != len(job.trials):
        raise SystemExit(f"{run}: {len(rows)} results of {len(job.trials)} trials")
    return _measured("Ray Tune", seconds, sum_of([json.loads(row) for row in rows]), job)


def run_joblib(job: Job, run: Path) -> Measured:
    """Processes of joblib that take trial after trial."""
    orders = write_orders(job, run)
    seconds = _call(_python("benchmarks.sweep.with_joblib", orders), job, run / "log.txt")
    return _measured("joblib", seconds, spent_in_records(job, run), job)


def run_shell(job: Job, run: Path) -> Measured:
    """A loop in the shell, a process a trial."""
    orders = write_orders(job, run)
    one = shlex.join(_python("benchmarks.sweep.one", orders))
    loop = f"seq 0 {len(job.trials) - 1} | xargs -P {job.slots} -I NUMBER {one} NUMBER"
    seconds = _call(["sh", "-c", loop], job, run / "log.txt")
    return _measured("shell loop", seconds, spent_in_records(job, run), job)


WAYS = (
    Way("clar-sweep", run_ours, "with the report; retries, hang watch, live view"),
    Way("Ray Tune", run_tune, "function trainable, a checkpoint an epoch; no report"),
    Way("joblib", run_joblib, "loky, as Hydra's joblib launcher; our records, no report"),
    Way("shell loop", run_shell, "xargs, a process a trial; our records, no report"),
)


def _measured(
    way: str, seconds: float, spent: Spent, job: Job, parts: dict[str, float] | None = None
) -> Measured:
    ideal = ideal_seconds(spent.training, spent.evaluation, slots=job.slots)
    return Measured(way, seconds, ideal, spent.training, spent.evaluation, parts or {})


def _python(module: str, orders: Path) -> list[str]:
    return [sys.executable, "-m", module, str(orders)]


def _call(
    command: list[str], job: Job, log: Path, *, look: Callable[[], None] = lambda: None
) -> float:
    """Run a command to its end; gives its seconds.

    Raises:
        SystemExit: It failed.
    """
    started = time.monotonic()
    with log.open("ab") as output, _ended(command, job, output.fileno()) as process:
        while process.poll() is None:
            look()
            time.sleep(SECONDS_BETWEEN_LOOKS)
    seconds = time.monotonic() - started
    if process.returncode:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise SystemExit(f"{shlex.join(command)}: exit code {process.returncode}\n{last}")
    return seconds


@contextlib.contextmanager
def _ended(command: list[str], job: Job, output: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command in a session of its own, of which nothing is left behind."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=job.environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_END)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
