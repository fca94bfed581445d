"""Two processes that train one trial, as they can where machines share no locks."""

import time
from pathlib import Path

import pytest

from clar_sweeps import records
from clar_sweeps.errors import RunLockedError
from clar_sweeps.trainer.heartbeat import Heartbeat


def sign_of_another(*, age_seconds: float = 0.0) -> records.Live:
    now = time.time() - age_seconds
    return records.begin_live()._replace(host="elsewhere", pid=7, at=now)


def test_the_first_that_finds_the_sign_of_another_leaves_the_trial_to_it(tmp_path: Path) -> None:
    other = sign_of_another()
    with Heartbeat(tmp_path) as heartbeat:
        heartbeat.refuse_if_taken()
        records.write_live(tmp_path, other)
        heartbeat.enter("evaluating")  # would tell of itself
        assert records.read_live(tmp_path) == other
        with pytest.raises(RunLockedError, match="process 7 on elsewhere trains this trial as"):
            heartbeat.refuse_if_taken()
    assert records.read_live(tmp_path) == other


def test_a_trial_of_which_another_machine_told_just_now_is_not_taken_up(tmp_path: Path) -> None:
    records.write_live(tmp_path, sign_of_another())
    with pytest.raises(RunLockedError, match="process 7 on elsewhere"), Heartbeat(tmp_path):
        pass
    records.write_live(tmp_path, sign_of_another(age_seconds=20))  # it was lost
    with Heartbeat(tmp_path) as heartbeat:
        heartbeat.refuse_if_taken()
