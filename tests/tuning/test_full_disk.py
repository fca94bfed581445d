"""Runs whose disk fills up."""

import json
import re

import pytest
from small_disk import run_on_small_disk
from sweep_desk import Desk

# Fills the disk but for some room as soon as a trial has trained an epoch, runs, and tells what
# stands then; frees it and goes on.
CODE = """
import json, os, sys, threading, time
from pathlib import Path
import subprocess

disk = Path(sys.argv[1])
arguments = ["run", "two.yaml", "--run-dir", str(disk / "run")]
command = [sys.executable, "-c", "from clar_sweeps.cli import main; main()", *arguments]

def run(*options):
    command_line = [*command, *options]
    return subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

process = run(*OPTIONS)
while not list(disk.glob("run/trials/*/checkpoint.pt")) and process.poll() is None:
    time.sleep(0.01)
with open(disk / "filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
out, err = process.communicate(timeout=120)
states = {path.parent.name: path.stat().st_size for path in disk.glob("run/trials/*/checkpoint.pt")}
(disk / "filler").unlink()
again = run("--local")  # saves another start of Ray
_, err_again = again.communicate(timeout=120)
print(json.dumps([process.returncode, out, err, states, again.returncode, err_again]))
"""
TWO = """
  augment: [FD]
  learning_rate: 1e-3
axes:
  temperature: [0.1, 0.2]
"""


@pytest.mark.parametrize("options", [["--local"], []], ids=["local", "Ray"])
def test_a_full_disk_ends_the_run_in_a_line_and_the_same_command_goes_on(
    desk: Desk, options: list[str]
) -> None:
    file = desk.folder / desk.write_sweep("two", TWO)
    file.write_text(file.read_text().replace("epochs: 2\n", "epochs: 20\n"))
    disk = desk.folder / f"disk{len(options)}"
    disk.mkdir()
    code = f"import os\nos.chdir({str(desk.folder)!r})\nOPTIONS = {options}\n{CODE}"
    finished = run_on_small_disk(code, disk, options="size=8m", environment=desk.environment)
    assert finished.returncode == 0, finished.stderr
    code_full, _, err, checkpoints, code_again, err_again = json.loads(finished.stdout)
    assert code_full == 2, err
    last = err.splitlines()[-1]
    assert re.search(r"the disk at \S+ is full \(.* are needed, .* are free", last), err
    assert "Traceback" not in err
    assert checkpoints
    assert code_again == 0, err_again
    assert "Traceback" not in err_again
