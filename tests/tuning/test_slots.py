"""Trials at once, and requests that no machine meets."""

import pytest

from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.errors import ConfigError
from clar_sweeps.sweep import Resources
from clar_sweeps.tuning.slots import Machine, Slots, share_out

LAPTOP = Machine(num_cpus=4, num_gpus=0)
SERVER = Machine(num_cpus=32, num_gpus=8)


def trials(device: str = "auto") -> list[Trial]:
    return [make_trial(TrialConfig.model_validate({"augment": ("FD",), "device": device}))]


def slots(machine: Machine, *, device: str = "auto", **fields: float) -> Slots:
    return share_out(machine, Resources.model_validate(fields), trials(device))


@pytest.mark.parametrize(
    ("machine", "fields", "gpus", "num"),
    [
        (LAPTOP, {}, 0, 4),
        (LAPTOP, {"cpus_per_trial": 2.0}, 0, 2),
        (LAPTOP, {"cpus_per_trial": 0.5}, 0, 8),
        (LAPTOP, {"max_concurrent": 3}, 0, 3),
        (LAPTOP, {"max_concurrent": 9}, 0, 4),
        (SERVER, {}, 1, 8),
        (SERVER, {"gpus_per_trial": 0.5}, 0.5, 16),
        (SERVER, {"gpus_per_trial": 0.4}, 0.4, 16),  # what is left of each GPU goes unused
        (SERVER, {"gpus_per_trial": 3.0}, 3, 2),
        (SERVER, {"gpus_per_trial": 0.25, "cpus_per_trial": 2.0}, 0.25, 16),  # CPUs run out
        (SERVER, {"gpus_per_trial": 0.0}, 0, 32),
    ],
)
def test_slots_follow_from_machine_and_request(
    machine: Machine, fields: dict[str, float], gpus: float, num: int
) -> None:
    found = slots(machine, **fields)
    assert (found.gpus, found.num) == (gpus, num)


def test_trials_that_all_say_cpu_leave_the_gpus_alone() -> None:
    assert slots(SERVER, device="cpu") == Slots(cpus=1.0, gpus=0.0, num=32, machine=SERVER)


@pytest.mark.parametrize(
    ("machine", "device", "fields", "message"),
    [
        (LAPTOP, "auto", {"cpus_per_trial": 5.0}, "5 is more than the 4 CPUs there are; lower it"),
        (LAPTOP, "auto", {"gpus_per_trial": 1.0}, "1 is more than the 0 GPUs there are"),
        (SERVER, "auto", {"gpus_per_trial": 1.5}, "1.5 is neither whole nor a fraction of one"),
        (LAPTOP, "cuda", {}, "device: 'cuda' needs a GPU for each trial"),
    ],
)
def test_what_no_slot_holds_is_told_before_anything_starts(
    machine: Machine, device: str, fields: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        slots(machine, device=device, **fields)


def test_slots_are_told_in_words() -> None:
    assert slots(LAPTOP).describe() == "4 at once, 1 CPU each"
    assert slots(SERVER, gpus_per_trial=0.5).describe() == "16 at once, 1 CPU and 0.5 GPU each"
    assert slots(LAPTOP, max_concurrent=1).describe() == "one at a time, 1 CPU each"
