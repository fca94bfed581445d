"""How many trials run at once, from what a machine has and a trial asks for."""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.config import Trial
from clar_sweeps.errors import ConfigError
from clar_sweeps.sweep import Resources

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
# Of NVIDIA, AMD, and of either under WSL: without one of them, no library finds a GPU.
_GPU_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))

# Trials of so many epochs on CPUs follow one another in the same processes.
_SHORT_EPOCHS = 50


class Machine(NamedTuple):
    """What there is to share out."""

    num_cpus: int
    num_gpus: int


class Slots(NamedTuple):
    """What one trial occupies, and how many trials that makes at once."""

    cpus: float
    gpus: float
    num: int
    machine: Machine
    ranks: int = 1  # processes that share it

    def describe(self) -> str:
        """What a user is told."""
        times = f"{self.num} at once" if self.num > 1 else "one at a time"
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        ranks = f" for {self.ranks} ranks" if self.ranks > 1 else ""
        return f"{times}, {self.cpus:g} CPU{gpus}{ranks} each"


def this_machine() -> Machine:
    """CPUs that this process may use, and GPUs that torch can."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    num_cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    return Machine(max(1, min(num_cpus, _container_quota())), _count_gpus())


def _count_gpus() -> int:
    if not any(path.exists() for path in _GPU_DRIVERS):
        return 0
    import torch  # seconds, so not without need

    return torch.cuda.device_count()


def _container_quota() -> int:
    """CPUs that the container's quota amounts to; without one, more than any machine has."""
    try:
        quota, period = _CGROUP_QUOTA.read_text(encoding="ascii").split()
        return int(quota) // int(period)
    except (OSError, ValueError):
        return 2**30


def share_out(machine: Machine, resources: Resources, trials: Iterable[Trial]) -> Slots:
    """Slots of a machine.

    Without a word on GPUs, a trial has one where there are any, unless all trials say `cpu`.

    Raises:
        ConfigError: A trial asks for more than there is.
    """
    devices = {trial.config.device for trial in trials}
    cpus, gpus = resources.cpus_per_trial, resources.gpus_per_trial
    if gpus is None:
        uses_gpus = machine.num_gpus and devices != {"cpu"}
        gpus = float(resources.ranks_per_trial or 1) if uses_gpus else 0.0
    if cpus > machine.num_cpus:
        raise ConfigError(
            f"resources.cpus_per_trial: {cpus:g} is more than the {machine.num_cpus} CPUs there "
            "are; lower it"
        )
    if gpus > machine.num_gpus:
        raise ConfigError(
            f"resources.gpus_per_trial: {gpus:g} is more than the {machine.num_gpus} GPUs there "
            "are; lower it, or leave it out to train on the CPU"
        )
    if gpus > 1 and gpus != int(gpus):
        raise ConfigError(
            f"resources.gpus_per_trial: {gpus:g} is neither whole nor a fraction of one GPU; "
            f"use {int(gpus)}"
        )
    if "cuda" in devices and not gpus:
        raise ConfigError("device: 'cuda' needs a GPU for each trial; use device: auto")
    ranks = resources.ranks_per_trial or max(1, int(gpus))
    if gpus and ranks != max(1, gpus):
        raise ConfigError(
            f"resources.ranks_per_trial: {ranks} does not go with gpus_per_trial {gpus:g}: each "
            "rank has a GPU of its own; leave one of the two out"
        )
    fitting = int(machine.num_cpus / cpus)
    if gpus:
        # A trial's share lies on one GPU: what is left of each goes unused.
        on_gpus = machine.num_gpus * int(1 / gpus) if gpus < 1 else machine.num_gpus // int(gpus)
        fitting = min(fitting, on_gpus)
    return Slots(cpus, gpus, min(fitting, resources.max_concurrent or fitting), machine, ranks)


def share_processes(slots: Slots, trials: Iterable[Trial]) -> bool:
    """Whether a process of Ray's takes up one trial after another.

    That costs 0.2 s a trial, not 2 to 5; but a trial of minutes had better have a clean process,
    and under a name of its own in Ray's dashboard, which asks a process once.
    """
    longest = max((trial.config.epochs for trial in trials), default=0)
    # A process that had ranks would hold their places while the next trial waits for them.
    return slots.ranks == 1 and not slots.gpus and longest <= _SHORT_EPOCHS


def one_fewer_per_gpu(slots: Slots) -> Slots | None:
    """Slots with one trial fewer on each GPU; None where trials do not share GPUs."""
    packed = int(1 / slots.gpus + 1e-9) if 0 < slots.gpus < 1 else 1
    if packed == 1:
        return None
    # Ray counts in ten-thousandths; rounded up, the shares would be more than one GPU.
    gpus = math.floor(10_000 / (packed - 1)) / 10_000
    num = min(slots.num, slots.machine.num_gpus * (packed - 1))
    return slots._replace(gpus=gpus, num=num)


def share_out_cluster(
    machines: Iterable[Machine], resources: Resources, trials: Iterable[Trial]
) -> Slots:
    """Slots of several machines; a trial, or each rank of it, lies on one of them.

    Raises:
        ConfigError: A trial asks for more than any machine has.
    """
    machines, trials = list(machines), list(trials)
    together = Machine(
        num_cpus=sum(machine.num_cpus for machine in machines),
        num_gpus=sum(machine.num_gpus for machine in machines),
    )
    slots = share_out(together, resources, trials)
    # Settled for all at once: a machine without GPUs must not make trials that use none.
    settled = resources.model_copy(
        update={
            "cpus_per_trial": slots.cpus / slots.ranks,
            "gpus_per_trial": slots.gpus / slots.ranks,
            "ranks_per_trial": 1,
            "max_concurrent": None,
        }
    )
    num, fault = 0, None
    for machine in sorted(machines):
        try:
            num += share_out(machine, settled, trials).num
        except ConfigError as error:
            fault = error
    if fault and not num:
        raise ConfigError(f"{fault} (on the largest machine of {len(machines)})") from fault
    if num < slots.ranks:
        raise ConfigError(
            f"resources.cpus_per_trial: {slots.cpus:g} for {slots.ranks} ranks: the machines have "
            f"room for {num} of them; lower it"
        )
    num //= slots.ranks
    return slots._replace(num=min(num, resources.max_concurrent or num))
