"""A trial that finds the memory of a GPU full, on a machine that only says it has one."""

import json
import re
import subprocess
import sys

from sweep_desk import Desk

from clar_sweeps import records

# Two trials may share a GPU; the first process that trains finds its memory full, once.
CODE = """
import sys
from pathlib import Path

from clar_sweeps.cli import execution, main
from clar_sweeps.tuning.slots import Machine


def one_out_of_memory(run):
    import torch
    from clar_sweeps.trainer import Trainer

    execution_log_to(run)
    train_epoch = Trainer.train_epoch

    def full_once(self):
        try:
            (run / "run.full").touch(exist_ok=False)
        except FileExistsError:
            return train_epoch(self)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    Trainer.train_epoch = full_once


execution_log_to = execution.log_to
execution.log_to = one_out_of_memory
execution.this_machine = lambda: Machine(num_cpus=2, num_gpus=1)
main()
"""
PACKED = """
  augment: [FD]
  learning_rate: 1e-3
axes:
  temperature: [0.1]
resources: {gpus_per_trial: 0.5}
recovery: {max_retries: 0}
"""


def test_a_full_gpu_gets_one_trial_fewer_and_the_retry_does_not_count(desk: Desk) -> None:
    file = desk.write_sweep("packed", PACKED)
    finished = subprocess.run(
        [sys.executable, "-c", CODE, "run", file, "--run-dir", "packed"],
        cwd=desk.folder,
        env=desk.environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert finished.returncode == 0, finished.stderr
    assert "2 at once, 1 CPU and 0.5 GPU each" in finished.stdout
    told = (
        "out of memory on a GPU that trials share; those that start from now on are one fewer "
        "on each: one at a time, 1 CPU and 1 GPU each"
    )
    assert told in finished.stderr
    assert re.search(r"Tried to allocate 2.00 GiB.; a retry that does not count", finished.stderr)
    failures = list((desk.folder / "packed").glob("trials/*/failures.jsonl"))
    assert [json.loads(path.read_text())["kind"] for path in failures] == [records.OUT_OF_MEMORY]
