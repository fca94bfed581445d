"""A cluster of two nodes: what is checked before a run, and what the loss of a node costs."""

import contextlib
import fcntl
import gc
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sweep_desk import Desk

import clar_sweeps
from clar_sweeps import data, records
from clar_sweeps.config import ClipsOf
from clar_sweeps.errors import ConfigError, DataError, RecordError
from clar_sweeps.tuning import nodes
from clar_sweeps.tuning.nodes import Expected, refuse_unless_agreed, versions

# Two trials at once, each long enough to lose a node in the middle.
TWO_TRIALS = """
  augment: [FD]
  learning_rate: 1e-3
axes:
  temperature: [0.1, 0.2]
"""
# So that the loss of a node is noticed within seconds.
WATCHFUL = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "0",
}
QUIET = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # loopback only
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
}

# Ray looks for free ports by sockets that it does not close; a node keeps some as long as it lives.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


class Site(NamedTuple):
    """A cluster whose head trains nothing, and a desk that knows its address."""

    cluster: Any
    desk: Desk

    @contextlib.contextmanager
    def node(self, **environment: str) -> Iterator[Any]:
        """A node with a CPU, for as long as the context lasts."""
        node = self.cluster.add_node(
            num_cpus=1,
            env_vars={**self.desk.environment, **environment},
            object_store_memory=2**27,
        )
        self.cluster.wait_for_nodes()
        try:
            yield node
        finally:
            if node in self.cluster.list_all_nodes():
                self.cluster.remove_node(node, allow_graceful=False)

    def command(self, *arguments: str) -> list[str]:
        return self.desk.command("run", *arguments, "--address", self.cluster.address)

    def refused(self, file: str, *options: str) -> str:
        """What a run that starts nothing says; its run folder keeps nothing of the check."""
        result = subprocess.run(
            self.command(file, *options),
            cwd=self.desk.folder,
            env=self.desk.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 2, result.stderr
        run = self.desk.folder / "runs" / Path(file).stem
        assert not [*run.glob("trials/*/live.json"), *run.glob(".node-check-*")]
        return result.stderr.splitlines()[-1]


@contextlib.contextmanager
def rays_leaks_ignored() -> Iterator[None]:
    """What is left of them is collected here, and not in the tests of another file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture(scope="module")
def site(make_desk: Callable[[str], Desk]) -> Iterator[Site]:
    from ray.cluster_utils import Cluster

    desk = make_desk("nodes")
    desk = desk._replace(environment={**desk.environment, **WATCHFUL, **QUIET})
    prepared = desk.clar_sweep("data", "prepare", "fsdd")
    assert prepared.returncode == 0, prepared.stderr
    scratch = subprocess.check_output(["mktemp", "-d", "/tmp/nodes-XXXX"], text=True).strip()
    with pytest.MonkeyPatch.context() as patch:
        # Where `Cluster` keeps the address of a cluster that others may be using.
        for name, value in {**WATCHFUL, **QUIET, "RAY_TMPDIR": scratch}.items():
            patch.setenv(name, value)
        with rays_leaks_ignored():
            cluster = Cluster(
                initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
            )
        try:
            yield Site(cluster, desk)
        finally:
            with rays_leaks_ignored():
                cluster.shutdown()
            shutil.rmtree(scratch, ignore_errors=True)


def results(run: Path) -> dict[str, Any]:
    """What a run came to, without what was measured of the machine."""
    found = {}
    for path in run.glob("*/*/summary.json"):
        record = records.read_record(path.parent)
        history = [
            {
                name: value
                for name, value in row.items()
                if "seconds" not in name and "per" not in name
            }
            for row in record.history
        ]
        found[record.trial.id] = (record.state, record.summary["metrics"], history)
    return found


def wait_for(look: Callable[[], Any], *, seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_a_sweep_that_loses_a_node_ends_as_an_undisturbed_one(site: Site, tmp_path: Path) -> None:
    file = site.desk.write_sweep("lost", TWO_TRIALS)
    epochs = ("--set", "epochs=40")
    undisturbed = site.desk.clar_sweep("run", file, *epochs, "--local", "--run-dir", "undisturbed")
    assert undisturbed.returncode == 0, undisturbed.stderr
    run = site.desk.folder / "disturbed"
    with site.node() as first, site.node(CLAR_SWEEPS_CACHE=str(tmp_path)) as second:
        process = subprocess.Popen(
            site.command(file, *epochs, "--run-dir", str(run)),
            cwd=site.desk.folder,
            env=site.desk.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            raylet = wait_for(lambda: process.poll() is not None or raylet_of_a_trial(run))
            assert process.poll() is None, process.communicate()
            (lost,) = (node for node in (first, second) if raylet_of(node) == raylet)
            site.cluster.remove_node(lost, allow_graceful=False)
            told, _ = process.communicate(timeout=240)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 0, told
    assert "the machine that it ran on was lost; a retry that does not count" in told
    failures = [path.read_text() for path in run.glob("trials/*/failures.jsonl")]
    assert {json.loads(line)["kind"] for text in failures for line in text.splitlines()} == {
        "NodeLost"
    }
    assert "resumes at epoch" in (run / "run.log").read_text()
    assert len(results(run)) == 3  # with the encoder before training
    assert results(run) == results(site.desk.folder / "undisturbed")
    assert not [*run.glob(".node-check-*")]
    # The node with a cache of its own has prepared the same clips.
    (here,) = Path(site.desk.environment["CLAR_SWEEPS_CACHE"]).glob("fsdd-*/metadata.json")
    (there,) = tmp_path.glob("fsdd-*/metadata.json")
    assert json.loads(there.read_text())["digest"] == json.loads(here.read_text())["digest"]


def raylet_of_a_trial(run: Path) -> int | None:
    """Process of the node on which a trial is past its first epochs."""
    for history in run.glob("trials/*/history.jsonl"):
        live = records.read_live(history.parent)
        if live is not None and len(history.read_text().splitlines()) >= 3:
            return int(Path(f"/proc/{live.pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def raylet_of(node: Any) -> int:
    (raylet,) = node.all_processes["raylet"]
    return int(raylet.process.pid)


@pytest.fixture
def expected(
    make_desk: Callable[[str], Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Expected]:
    """What a driver found, and left and holds in its run folder, before a node joined."""
    desk = make_desk("late")
    for name in ("CLAR_SWEEPS_CACHE", "CLAR_SWEEPS_DATA"):
        monkeypatch.setenv(name, desk.environment[name])
    digests = [(ClipsOf("fsdd"), data.prepare("fsdd").digest)]
    with (tmp_path / "token").open("w") as token:
        fcntl.flock(token, fcntl.LOCK_EX)
        yield Expected("token", versions(), digests)


def test_a_node_that_gets_a_lock_held_by_the_driver_is_refused(
    expected: Expected, tmp_path: Path
) -> None:
    (tmp_path / "unheld").touch()
    with pytest.raises(RecordError, match=r"gets a file lock in .* that is held here, .*NFSv4"):
        refuse_unless_agreed(expected._replace(token="unheld"), tmp_path)
    assert nodes._look("node", str(tmp_path), "unheld")[1:] == (True, True, None)
    assert nodes._look("node", str(tmp_path), "token")[1:] == (True, False, None)


def test_an_editors_lock_is_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "clar_sweeps"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "clar_sweeps")
    before = versions()
    (package / ".#losses.py").symlink_to("me@host.1234")
    assert versions() == before


def test_a_node_that_joins_later_prepares_what_it_lacks(
    expected: Expected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAR_SWEEPS_CACHE", str(tmp_path / "cache"))
    refuse_unless_agreed(expected, tmp_path)
    assert data.load("fsdd").digest == expected.digests[0][1]


@pytest.mark.parametrize(
    ("other", "error", "line"),
    [
        (
            {"versions": {"torch": "0.1"}},
            ConfigError,
            r"torch is 2\..*, expected 0.1 as here; inst",
        ),
        ({"token": "absent"}, RecordError, "does not see the run folder /.*; give a --run-dir on"),
        (
            {"digests": [(ClipsOf("fsdd"), "0" * 64)]},
            DataError,
            r"holds other clips of fsdd \(digest .*\) than here \(000000000000\)",
        ),
    ],
)
def test_a_node_that_joins_later_trains_only_what_the_others_do(
    expected: Expected,
    tmp_path: Path,
    other: dict[str, Any],
    error: type[Exception],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nodes, "_VISIBLE_SECONDS", 0.3)
    with pytest.raises(error, match=line):
        refuse_unless_agreed(expected._replace(**other), tmp_path)


def test_other_clips_on_a_node_are_refused_before_a_trial_starts(
    site: Site, tmp_path: Path, recordings: Path
) -> None:
    file = site.desk.write_sweep("other", "  augment: [FD]\naxes:\n  temperature: [0.1]\n")
    shutil.copytree(recordings, tmp_path / "data")
    (tmp_path / "data/fsdd/recordings/0_ann_0.wav").unlink()
    others = {"CLAR_SWEEPS_DATA": f"{tmp_path}/data", "CLAR_SWEEPS_CACHE": f"{tmp_path}/cache"}
    with site.node(**others):
        line = site.refused(file)
    assert line.startswith("node ")
    assert "holds other clips of fsdd (digest" in line
    assert line.endswith("copy the cache from here, or prepare both from the same recordings")


def test_another_source_of_the_package_on_a_node_is_refused(site: Site, tmp_path: Path) -> None:
    file = site.desk.write_sweep("source", "  augment: [FD]\naxes:\n  temperature: [0.1]\n")
    package = Path(clar_sweeps.__file__).parent
    shutil.copytree(package, tmp_path / "clar_sweeps")
    with (tmp_path / "clar_sweeps/losses.py").open("a") as source:
        source.write("# another day\n")
    with site.node(PYTHONPATH=str(tmp_path)):
        line = site.refused(file)
    assert line.startswith("node ")
    assert "): source of clar-sweeps is " in line
    assert line.endswith(" as here; install the same on all nodes")


def test_a_run_folder_that_a_node_does_not_see_is_refused(site: Site) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs to mount")
    file = site.desk.write_sweep("unseen", "  augment: [FD]\naxes:\n  temperature: [0.1]\n")
    runs = site.desk.folder / "elsewhere"
    runs.mkdir()
    # The driver alone sees what it writes there.
    mounted = 'mount -t tmpfs tmpfs "$0" && exec "$@"'
    command = site.command(file, "--run-dir", str(runs / "unseen"))
    with site.node():
        result = subprocess.run(
            ["unshare", "--mount", "sh", "-c", mounted, str(runs), *command],
            cwd=site.desk.folder,
            env=site.desk.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert result.returncode == 2, result.stderr
    line = result.stderr.splitlines()[-1]
    assert line.startswith("node ")
    assert f"): does not see the run folder {runs / 'unseen'}; give a --run-dir on" in line
    assert not [*runs.iterdir()]


def test_a_trial_that_no_node_has_room_for_is_refused(site: Site) -> None:
    axes = "  augment: [FD]\naxes:\n  temperature: [0.1]\nresources:\n  cpus_per_trial: 2\n"
    file = site.desk.write_sweep("large", axes)
    with site.node(), site.node():
        line = site.refused(file)
    assert line.startswith("resources.cpus_per_trial: 2 is more than the 1 CPUs there are")


def test_a_run_waits_for_the_first_node(site: Site) -> None:
    file = site.desk.write_sweep("first", "  augment: [FD]\naxes:\n  temperature: [0.1]\n")
    process = subprocess.Popen(
        site.command(file),
        cwd=site.desk.folder,
        env=site.desk.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told: list[str] = []
    try:
        while not told or "the cluster has no CPUs yet; waits 10 min for a node" not in told[-1]:
            told.append(process.stderr.readline())
            assert told[-1], told
        with site.node():
            told.append(process.communicate(timeout=120)[1])
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, told
    assert "on the cluster: one at a time" in told[-1]
