"""Machines that come and go while a run is under way."""

from pathlib import Path

import pytest

from clar_sweeps.config import TrialConfig, make_trial
from clar_sweeps.errors import ConfigError
from clar_sweeps.sweep import Resources
from clar_sweeps.tuning.events import Broadcast
from clar_sweeps.tuning.recount import Recount
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.slots import Machine, Slots, one_fewer_per_gpu

NODE = Machine(num_cpus=8, num_gpus=1)


class Cluster:
    """Machines and a clock in the test's hand."""

    def __init__(self, run: Path, *machines: Machine, **resources: float) -> None:
        self.machines = list(machines)
        self.now = 0.0
        trials = [make_trial(TrialConfig.model_validate({"augment": ("FD",)}))]
        slots = Slots(0, 0, 0, Machine(0, 0))
        self.schedule = Schedule(trials, run, slots=slots, max_retries=0, listener=Broadcast([]))
        self.recount = Recount(
            self.schedule,
            Resources.model_validate(resources),
            lambda: self.machines,
            clock=lambda: self.now,
        )

    def num_after(self, seconds: float) -> int:
        self.now += seconds
        self.recount()
        return self.schedule.slots.num


def test_machines_that_come_and_go_change_the_slots_within_seconds(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, NODE)
    assert cluster.schedule.slots.num == 1
    cluster.machines = [NODE] * 3
    assert cluster.num_after(5) == 1
    assert cluster.num_after(6) == 3
    cluster.machines = [NODE] * 2
    assert cluster.num_after(11) == 2
    cluster.machines = []  # none has room: the last word stands until one comes
    assert cluster.num_after(11) == 2


def test_gpus_that_come_later_do_not_change_what_a_trial_has(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, Machine(num_cpus=2, num_gpus=0))
    cluster.machines.append(NODE)
    assert cluster.num_after(11) == 10
    assert cluster.schedule.slots.gpus == 0


def test_fewer_on_a_gpu_since_one_ran_out_of_memory_stay_fewer(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, NODE, gpus_per_trial=0.25)
    assert cluster.schedule.slots.num == 4
    fewer = one_fewer_per_gpu(cluster.schedule.slots)
    assert fewer is not None
    cluster.schedule.take_slots(fewer)
    assert cluster.num_after(11) == 3
    cluster.machines.append(NODE)
    assert cluster.num_after(11) == 6
    assert cluster.schedule.slots.gpus == fewer.gpus


def test_a_trial_that_no_machine_holds_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="9 is more than the 8 CPUs there are"):
        Cluster(tmp_path, NODE, cpus_per_trial=9.0)
