"""Where a copy of a sweep runs: this machine, without Ray, on a cluster, on a small disk."""

import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

StageName = Literal["machine", "local", "cluster", "small disk"]
# In turn; seven, so that with five sweeps all combinations come in time.
STAGES: tuple[StageName, ...] = (
    "machine",
    "small disk",
    "machine",
    "cluster",
    "local",
    "machine",
    "cluster",
)

_DISK_MIB = 32
NUM_NODES = 2
# Ray's own defaults take a lost node for alive for half a minute.
_HEALTH_CHECKS = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "0",
}


class Nodes:
    """A cluster of this machine in a process of its own; see nodes.py."""

    def __init__(self, work: Path, environment: Mapping[str, str]) -> None:
        """Start it.

        Raises:
            OSError: It did not start.
        """
        work.mkdir()
        with (work / "nodes.txt").open("wb") as errors:
            self._process = subprocess.Popen(
                # By its path: in another folder `benchmarks` is no package.
                [sys.executable, str(Path(__file__).with_name("nodes.py")), str(NUM_NODES)],
                cwd=work,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self.address = self._answer()

    def kill(self, number: int) -> None:
        """Lose a node; another one comes in its place after a while."""
        assert self._process.stdin is not None
        print(number, file=self._process.stdin, flush=True)
        self._answer()

    def wait_for_other(self) -> None:
        """Wait until the lost node has been replaced."""
        self._answer()

    def end(self) -> None:
        """End all nodes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise OSError("the cluster of this machine did not start; see nodes.txt")
        return line


class Place(NamedTuple):
    """Where and how the command of a copy is given."""

    work: Path  # the folder in which its processes run
    run: Path
    options: tuple[str, ...]
    environment: Mapping[str, str]
    nodes: Nodes | None = None
    disk: Path | None = None  # the small one


@contextmanager
def staged(stage: StageName, work: Path, environment: Mapping[str, str]) -> Iterator[Place]:
    """Set a stage up for a copy, and take it down."""
    work.mkdir(parents=True)
    if stage == "cluster":
        with _cluster(work, environment) as place:
            yield place
    elif stage == "small disk":
        with _small_disk(work) as disk:
            yield Place(work, disk / "run", (), environment, disk=disk)
    else:
        options = ("--local",) if stage == "local" else ()
        yield Place(work, work / "run", options, environment)


@contextmanager
def _cluster(work: Path, environment: Mapping[str, str]) -> Iterator[Place]:
    theirs = {
        **environment,
        "RAY_TMPDIR": str(work / "ray"),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        # Loopback, as a run on one machine has it; works on Linux too.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    (work / "ray").mkdir()
    nodes = Nodes(work / "nodes", {**theirs, **_HEALTH_CHECKS})
    try:
        yield Place(work, work / "run", (), {**theirs, "RAY_ADDRESS": nodes.address}, nodes=nodes)
    finally:
        nodes.end()


@contextmanager
def _small_disk(work: Path) -> Iterator[Path]:
    disk = work / "disk"
    disk.mkdir()
    _mount(disk)
    try:
        yield disk
    finally:
        # Lazily: a process that is just ending may still stand in it.
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _mount(disk: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "chaos", str(disk)]
    subprocess.run(command, check=True, capture_output=True, text=True)


def why_not(stage: StageName, work: Path) -> str | None:
    """Why a stage cannot be set up here; None where it can."""
    if stage != "small disk":
        return None
    work.mkdir()
    try:
        with _small_disk(work):
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        return f"no small disk could be mounted: {reason.strip()}"
