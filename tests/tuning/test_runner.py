"""The wiring of Tune where a cluster has lost room; whole runs are in test_runs.py."""

import subprocess
import sys
from collections.abc import Callable

from sweep_desk import TINY, Desk


def told_by(script: str, desk: Desk, sweep: str) -> str:
    """What a script that drives a run of this sweep leaves in the file `told`."""
    (desk.folder / "sweep.yaml").write_text(sweep)
    assert desk.clar_sweep("data", "prepare", "fsdd").returncode == 0
    command = [sys.executable, "-c", script]
    subprocess.run(command, cwd=desk.folder, env=desk.environment, timeout=120, check=True)
    return (desk.folder / "told").read_text()


# The second trial asks for more than there is, as where a machine was lost since the slots were
# counted. The first one stops as asked, and with it the run.
NO_ROOM = """
import sys
from pathlib import Path

from clar_sweeps import records
from clar_sweeps.sweep import load_sweep
from clar_sweeps.tuning import runner
from clar_sweeps.tuning.events import Broadcast
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.slots import Machine, Slots

sweep, run = load_sweep(Path("sweep.yaml")), Path("run").absolute()
run.mkdir()

def tell(*words):
    with open("told", "a") as file:
        print(*words, file=file)

class Heard:
    def started(self, trial): tell("started", trial.config.seed)
    def reported(self, trial, row): records.request_stop(run)
    def restarted(self, trial, why): tell(why)
    def ended(self, trial, record): tell("ended", trial.config.seed, record and record.state)
    def note(self, text): pass

slots = Slots(1, 0, 2, Machine(2, 0))
schedule = Schedule(sweep.trials, run, slots=slots, max_retries=0, listener=Broadcast([Heard()]))
ordered = runner._Orders.__call__

def order(self, trial):
    return {**ordered(self, trial), "cpus": 1.0 if trial == sweep.trials[0] else 8.0}

runner._Orders.__call__ = order
runner.run_with_ray(
    schedule, resources=sweep.resources, address=None, hang_timeout_seconds=600.0,
    look=lambda: None, set_up=print,
)
tell("over", schedule.is_over)
"""


def test_a_stop_does_not_wait_for_a_trial_that_gets_no_room(
    make_desk: Callable[[str], Desk],
) -> None:
    sweep = TINY.replace("epochs: 2", "epochs: 2000") + "  augment: [FD]\nseeds: [0, 1]\n"
    told = told_by(NO_ROOM, make_desk("no-room"), sweep)
    assert told.splitlines() == ["started 0", "ended 0 unfinished", "ended 1 None", "over True"]


CUT_ERROR = """
import os
import signal
from pathlib import Path

from clar_sweeps.sweep import load_sweep
from clar_sweeps.tuning import runner
from clar_sweeps.tuning.events import Broadcast
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.slots import Machine, Slots

sweep, run = load_sweep(Path("sweep.yaml")), Path("run").absolute()
run.mkdir()

class Heard:
    def started(self, trial): cut_what_is_written()
    def reported(self, trial, row): pass
    def restarted(self, trial, why): pass
    def ended(self, trial, record): Path("told").write_text(f"ended {record.state}")
    def note(self, text): pass

def cut_what_is_written():
    from ray.tune.experiment import Trial  # Ray reads its settings when it is imported

    wrote = Trial.handle_error

    def handle_error(trial, error):
        wrote(trial, error)
        Path(trial.pickled_error_file).write_bytes(b"")

    Trial.handle_error = handle_error

schedule = Schedule(
    sweep.trials, run, slots=Slots(1, 0, 1, Machine(1, 0)), max_retries=0,
    listener=Broadcast([Heard()]),
)
runner.run_with_ray(
    schedule, resources=sweep.resources, address=None, hang_timeout_seconds=600.0,
    look=lambda: None, set_up=lambda run: os.kill(os.getpid(), signal.SIGKILL),
)
assert schedule.is_over
"""


def test_what_a_full_disk_cut_of_tunes_own_files_ends_no_run(
    make_desk: Callable[[str], Desk],
) -> None:
    assert told_by(CUT_ERROR, make_desk("cut"), TINY + "  augment: [FD]\n") == "ended failed"
