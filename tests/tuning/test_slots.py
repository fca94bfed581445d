"""Trials at once, and requests that no machine meets."""

import pytest

from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.errors import ConfigError
from clar_sweeps.sweep import Resources
from clar_sweeps.tuning.slots import Machine, Slots, one_fewer_per_gpu, share_out, share_out_cluster
from clar_sweeps.tuning.trainable import memory_share

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


@pytest.mark.parametrize(
    ("fields", "gpus", "num"),
    [
        ({}, 1, 8),  # none on the machine without GPUs, nor on a head without CPUs
        ({"gpus_per_trial": 0.0}, 0, 36),
        ({"gpus_per_trial": 0.0, "cpus_per_trial": 3.0}, 0, 1 + 10),
        ({"gpus_per_trial": 0.0, "max_concurrent": 5}, 0, 5),
    ],
)
def test_a_trial_lies_on_one_machine_of_a_cluster(
    fields: dict[str, float], gpus: float, num: int
) -> None:
    machines = [Machine(0, 0), LAPTOP, SERVER]
    found = share_out_cluster(machines, Resources.model_validate(fields), trials())
    assert (found.gpus, found.num) == (gpus, num)
    assert found.machine == Machine(36, 8)


def test_a_trial_larger_than_each_machine_of_a_cluster_is_refused() -> None:
    resources = Resources.model_validate({"cpus_per_trial": 6.0})
    with pytest.raises(
        ConfigError, match=r"6 is more than the 4 CPUs .*on the largest machine of 2"
    ):
        share_out_cluster([LAPTOP, LAPTOP], resources, trials())


@pytest.mark.parametrize(
    ("gpus", "num", "fewer"),
    [(0.25, 8, (0.3333, 6)), (0.3333, 6, (0.5, 4)), (0.5, 3, (1.0, 2)), (0.5, 1, (1.0, 1))],
)
def test_one_trial_fewer_on_each_of_two_gpus(
    gpus: float, num: int, fewer: tuple[float, int]
) -> None:
    slots = one_fewer_per_gpu(Slots(1, gpus, num, Machine(16, 2)))
    assert slots is not None
    assert (slots.gpus, slots.num) == fewer


@pytest.mark.parametrize(("gpus", "ranks"), [(0.0, 1), (0.6, 1), (1.0, 1), (2.0, 2), (0.0, 2)])
def test_trials_that_share_no_gpu_cannot_be_fewer_on_one(gpus: float, ranks: int) -> None:
    assert one_fewer_per_gpu(Slots(1, gpus, 2, Machine(16, 2), ranks)) is None


def test_a_share_is_never_more_than_ray_can_count() -> None:
    for packed in range(3, 101):
        slots = one_fewer_per_gpu(Slots(1, 1 / packed, packed, Machine(200, 1)))
        assert slots is not None
        assert slots.num == int(1 / slots.gpus) == packed - 1
        assert round(slots.gpus * 10_000) * slots.num <= 10_000


@pytest.mark.parametrize(
    ("machine", "fields", "ranks", "gpus", "num"),
    [
        (SERVER, {}, 1, 1, 8),
        (SERVER, {"gpus_per_trial": 4.0}, 4, 4, 2),
        (SERVER, {"ranks_per_trial": 4}, 4, 4, 2),
        (SERVER, {"ranks_per_trial": 4, "gpus_per_trial": 0.0, "cpus_per_trial": 8.0}, 4, 0, 4),
        (SERVER, {"gpus_per_trial": 0.5}, 1, 0.5, 16),
        (LAPTOP, {"ranks_per_trial": 2, "cpus_per_trial": 2.0}, 2, 0, 2),
    ],
)
def test_ranks_have_a_gpu_each_and_share_the_cpus(
    machine: Machine, fields: dict[str, float], ranks: int, gpus: float, num: int
) -> None:
    found = slots(machine, **fields)
    assert (found.ranks, found.gpus, found.num) == (ranks, gpus, num)


@pytest.mark.parametrize(
    "fields",
    [
        {"ranks_per_trial": 2, "gpus_per_trial": 4.0},
        {"ranks_per_trial": 1, "gpus_per_trial": 4.0},
        {"ranks_per_trial": 2, "gpus_per_trial": 0.5},
    ],
)
def test_ranks_without_a_gpu_of_their_own_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"resources.ranks_per_trial: \d does not go with gpus_p"):
        slots(SERVER, **fields)


def test_ranks_of_a_trial_may_lie_on_several_machines() -> None:
    asked = Resources.model_validate({"gpus_per_trial": 4.0, "cpus_per_trial": 4.0})
    small = Machine(num_cpus=4, num_gpus=2)
    found = share_out_cluster([small] * 3, asked, trials())
    assert (found.ranks, found.gpus, found.num) == (4, 4, 1)
    few_cpus = [small, Machine(num_cpus=64, num_gpus=2)]
    with pytest.raises(ConfigError, match="cpus_per_trial: 32 for 4 ranks: the machines have room"):
        share_out_cluster(few_cpus, asked.model_copy(update={"cpus_per_trial": 32.0}), trials())


def test_shares_of_a_gpu_leave_room_for_the_context_of_each_process() -> None:
    share = memory_share(0.25, total_bytes=24 * 2**30)
    assert 4 * (share * 24 * 2**30 + 600 * 2**20) == pytest.approx(24 * 2**30)
    assert memory_share(0.25, total_bytes=2**30) == 0.125  # too small to hold four contexts
