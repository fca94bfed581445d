"""Trials in this process; whole runs are in test_runs.py."""

from pathlib import Path

import pytest
import torch

from clar_sweeps import records, trainer
from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.errors import RunLockedError
from clar_sweeps.tuning.events import Broadcast
from clar_sweeps.tuning.local import run_locally
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.slots import Machine, Slots


def test_what_a_trial_could_not_keep_is_kept_with_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(trainer, "run_trial", full)
    trial = make_trial(TrialConfig.model_validate({"augment": ("FD",)}))
    slots = Slots(torch.get_num_threads(), 0, 1, Machine(1, 0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # set in this process by the run
    schedule = Schedule([trial], tmp_path, slots=slots, max_retries=0, listener=Broadcast([]))
    run_locally(schedule)
    record = records.read_record(records.trial_folder(tmp_path, trial))
    assert record.summary["error"]["type"] == records.OUT_OF_MEMORY


def test_a_trial_that_another_process_held_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [
        make_trial(TrialConfig.model_validate({"augment": ("FD",), "seed": seed}))
        for seed in range(2)
    ]
    tried: list[int] = []

    def held_once(trial: Trial, *args: object) -> None:
        tried.append(trial.config.seed)
        if tried == [0]:
            raise RunLockedError("another process trains this trial")

    monkeypatch.setattr(trainer, "run_trial", held_once)
    slots = Slots(torch.get_num_threads(), 0, 1, Machine(1, 0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    schedule = Schedule(trials, tmp_path, slots=slots, max_retries=0, listener=Broadcast([]))
    run_locally(schedule)
    assert tried == [0, 1, 0]
