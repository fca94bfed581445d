"""A disk of a few pages, made by whoever runs the tests: a mount in a namespace of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'


def run_on_small_disk(
    code: str, folder: Path, *, options: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process that sees a small empty disk in place of a folder.

    Args:
        code: What to run; `sys.argv[1]` is the folder.
        folder: An empty one. What the process writes there is gone when it has ended.
        options: Of the disk, such as `size=64k`.
        environment: Variables beside those of this process.
    """
    python_path = os.pathsep.join(path for path in sys.path if path)
    alone = ["unshare", "--mount", "--map-root-user", "sh", "-c", _MOUNT, "sh", options]
    if subprocess.run([*alone, str(folder), "true"], capture_output=True).returncode:
        pytest.skip("this machine lets no user mount a disk in a namespace")
    return subprocess.run(
        [*alone, str(folder), sys.executable, "-c", code, str(folder)],
        env={**os.environ, "PYTHONPATH": python_path, **(environment or {})},
        capture_output=True,
        text=True,
    )
