"""Seconds without those that a process waits for a CPU."""

import subprocess
import sys
import time

import pytest

from clar_sweeps.calibration.stopwatch import timed, waited_seconds


def test_a_wait_for_something_else_counts() -> None:
    seconds, result = timed(lambda: time.sleep(0.05) or "slept")
    assert seconds == pytest.approx(0.05, abs=0.03)
    assert result == "slept"


# Two of these on one CPU take twice as long as one, by the clock on the wall.
BUSY = """
import os, sys, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from clar_sweeps.calibration.stopwatch import timed

def compute():
    until = time.process_time() + 0.5
    while time.process_time() < until:
        pass

print("ready", flush=True)
sys.stdin.readline()
started = time.perf_counter()
seconds, _ = timed(compute)
print(seconds, time.perf_counter() - started)
"""


def test_a_wait_for_a_cpu_that_another_process_has_does_not_count() -> None:
    if not waited_seconds():
        pytest.skip("the system does not tell")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BUSY], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    for seconds, passed in answers:
        assert float(seconds) == pytest.approx(0.5, abs=0.2)
        assert float(passed) > 0.75
