"""What others use of a machine."""

import os
import time

import pytest

from clar_sweeps.calibration.load import Reading, others_share, read_clocks


def test_what_is_busy_beside_the_own_processes_is_of_others() -> None:
    before, after = Reading(100.0, 50.0, 7.0), Reading(110.0, 65.0, 12.0)
    # In 10 s of 2 CPUs 15 s were used, 5 of them here.
    assert others_share(before, after, num_cpus=2) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, Reading(1.0, 1.0, 1.0)),
        (Reading(1.0, 1.0, 1.0), None),
        (Reading(1.0, 1.0, 1.0), Reading(1.0, 9.0, 1.0)),
        (Reading(1.0, 1.0, 1.0), Reading(2.0, 1.5, 2.0)),  # clocks of unequal grain
    ],
)
def test_what_is_not_known_is_no_share(before: Reading | None, after: Reading | None) -> None:
    assert others_share(before, after, num_cpus=2) == 0.0


def test_the_clocks_of_this_machine_count_what_is_computed_here() -> None:
    before = read_clocks()
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    after = read_clocks()
    if before is None or after is None:
        pytest.skip("the system does not tell")
    assert after.own - before.own >= 0.19
    assert after.busy - before.busy >= 0.1
    assert 0.0 <= others_share(before, after, num_cpus=os.cpu_count() or 1) <= 1.0
