"""What is left of a run's Ray is ended with the run; `test_ports.py` tries it on a real one."""

import subprocess
import sys
import time
from pathlib import Path

from clar_sweeps.tuning.reaper import reaped, users_of

# Kills itself while its child has a file in the folder open.
KILLED = """
import os, subprocess, sys
from pathlib import Path
from clar_sweeps.tuning.reaper import reaped
folder = Path(sys.argv[1])
with reaped(folder), open(folder / "log", "w") as log:
    subprocess.Popen(["sleep", "60"], stdout=log)
    os.kill(os.getpid(), 9)
"""


def test_a_folder_goes_with_its_context_and_its_user_stays(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    with (folder / "log").open("w") as log:
        with reaped(folder):
            log.write("of the process that leaves the context")
        assert not folder.exists()


def test_a_killed_process_leaves_no_child_that_uses_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder)])
    assert killed.returncode == -9
    assert len(users_of(folder)) == 1
    deadline = time.monotonic() + 30
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not users_of(folder)
