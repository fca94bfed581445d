"""What a run on one machine opens, shows to whom, and leaves behind when it is killed."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sweep_desk import Desk

from clar_sweeps.tuning.metrics import (
    EXPORT_PREFIX,
    GAUGES,
    SWEEP_SLOTS_IN_USE,
    SWEEP_TRIALS,
    TRIAL_EPOCH,
    TRIAL_LOSS,
    TRIAL_TOP1,
)
from clar_sweeps.tuning.reaper import users_of

# More epochs than these tests wait for.
ONE_LONG = """
  augment: [FD]
  learning_rate: 1e-3
axes:
  temperature: [0.1]
"""
TRIAL = "FD_2d_fsdd_s0"
LISTENING = "0A"


class Going(NamedTuple):
    """A run that goes on, with a home of its own."""

    process: subprocess.Popen[str]
    notes: Path
    home: Path

    def noted(self, pattern: str) -> str:
        """What it has told on stderr."""
        return wait_for(lambda: re.search(pattern, self.notes.read_text()))[1]

    @property
    def metrics_url(self) -> str:
        return self.noted(r"(http://127.0.0.1:\d+/metrics)\n")

    @property
    def dashboard_url(self) -> str:
        return self.noted(r"Ray dashboard: (http://127.0.0.1:\d+) ")

    def actors(self) -> list[dict[str, Any]]:
        """What the dashboard's view of actors shows."""
        token = (self.home / ".ray/auth_token").read_text()
        request = urllib.request.Request(
            f"{self.dashboard_url}/api/v0/actors?detail=1",
            headers={"Authorization": f"Bearer {token}"},
        )
        actors: list[dict[str, Any]] = json.loads(fetch(request))["data"]["result"]["result"]
        return actors

    def processes(self) -> list[Path]:
        """Folders in /proc of the driver and of all that its Ray started."""
        return [Path(f"/proc/{process}") for process in users_of(self.scratch)]

    @property
    def scratch(self) -> Path:
        """Where Ray keeps its sockets."""
        return wait_for(lambda: next(iter(self.home.parent.glob("clar-*")), None))


def wait_for(look: Callable[[], Any], *, seconds: float = 90) -> Any:
    """What `look` gives, as soon as it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def fetch(request: urllib.request.Request | str) -> str:
    with urllib.request.urlopen(request, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


@pytest.fixture(scope="module")
def going(make_desk: Callable[[str], Desk]) -> Iterator[Going]:
    """One trial in training under Ray, past its first epoch."""
    # Below /tmp, for pytest's own folder is too long a path for a socket.
    root = Path(subprocess.check_output(["mktemp", "-d", "/tmp/ports-XXXX"], text=True).strip())
    home = root / "home"
    home.mkdir()
    desk = make_desk("ports")
    environment = {
        **desk.environment,
        "HOME": str(home),
        "RAY_TMPDIR": str(root),
        "RAY_metrics_report_interval_ms": "1000",
    }
    file = desk.write_sweep("ports", ONE_LONG)
    notes = root / "notes"
    with notes.open("w") as stderr:
        process = subprocess.Popen(
            desk.command("run", file, "--set", "epochs=100000", "--set", "eval_every=5"),
            cwd=desk.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
            start_new_session=True,
            umask=0,
        )
    try:
        going = Going(process, notes, home)
        history = f"runs/*/trials/{TRIAL}*/history.jsonl"
        wait_for(lambda: process.poll() is not None or [*desk.folder.glob(history)])
        assert process.poll() is None, notes.read_text()
        yield going
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        wait_for(lambda: not any(root.glob("clar-*")), seconds=30)
        shutil.rmtree(root)


class Socket(NamedTuple):
    """A listening socket."""

    process: str
    address: str
    port: int


def listening(processes: list[Path]) -> list[Socket]:
    """TCP sockets on which processes listen."""
    addresses = {}
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == LISTENING:
                address, port = local.split(":")
                addresses[f"socket:[{rest[5]}]"] = (decoded(address, family), int(port, 16))
    found = []
    for process in processes:
        for handle in (process / "fd").glob("*"):
            try:
                target = str(handle.readlink())
            except OSError:
                continue
            if target in addresses:
                name = (process / "comm").read_text().strip()
                found.append(Socket(name, *addresses[target]))
    return found


def decoded(address: str, family: socket.AddressFamily) -> str:
    """An address of /proc/net: words of four bytes, each in the machine's order."""
    raw = bytes.fromhex(address)
    words = [raw[i : i + 4][::-1] for i in range(0, len(raw), 4)]
    return socket.inet_ntop(family, b"".join(words))


def test_every_listening_port_of_a_run_is_on_loopback(going: Going) -> None:
    sockets = listening(going.processes())
    assert {each.address for each in sockets} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    # All that listen are seen: control store, raylet, its agents, the trial; dashboard, metrics.
    # Between two calls the trial's process has no name of a call.
    owners = {each.process.removesuffix(".tr") for each in sockets}
    assert owners >= {
        "gcs_server",
        "raylet",
        "ray::DashboardA",
        "ray::RuntimeEnv",
        "ray::Process",
    }
    urls = (going.dashboard_url, going.metrics_url)
    assert {each.port for each in sockets} >= {urllib.parse.urlsplit(url).port for url in urls}


def test_a_listener_on_all_addresses_would_be_seen() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        ours = listening([Path("/proc/self")])
        assert server.getsockname() in {(each.address, each.port) for each in ours}


def test_nothing_of_rays_is_open_to_other_users_whatever_the_umask(going: Going) -> None:
    token = going.home / ".ray/auth_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE(going.scratch.stat().st_mode) == 0o700
    assert (going.scratch / "ray/session_latest/sockets").is_dir()
    secret = token.read_text().encode()
    assert len(secret) == 64
    for process in going.processes():
        assert secret not in (process / "cmdline").read_bytes()  # which all users can read


def test_the_dashboard_asks_for_the_token(going: Going) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        fetch(f"{going.dashboard_url}/api/v0/actors")


def test_the_dashboard_lists_a_trial_under_its_name(going: Going) -> None:
    names = {actor["repr_name"] for actor in going.actors() if actor["state"] == "ALIVE"}
    assert names == {TRIAL}


def test_prometheus_finds_the_gauges_of_a_run(going: Going, tmp_path: Path) -> None:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    target = urllib.parse.urlsplit(going.metrics_url).netloc
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "ray", "static_configs": [{"targets": [target]}]}],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    arguments = [
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address={address}",
    ]
    with (tmp_path / "log").open("w") as log:
        prometheus = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
    try:

        def ask(name: str) -> list[dict[str, Any]]:
            query = urllib.parse.urlencode({"query": f"{EXPORT_PREFIX}{name}"})
            try:
                answer = json.loads(fetch(f"http://{address}/api/v1/query?{query}"))
            except OSError:  # it has not begun yet
                assert prometheus.poll() is None, (tmp_path / "log").read_text()
                return []
            result: list[dict[str, Any]] = answer["data"]["result"]
            return result

        wait_for(lambda: all(ask(name) for name in GAUGES))
        for name in (TRIAL_EPOCH, TRIAL_LOSS, TRIAL_TOP1):
            (series,) = ask(name)
            assert series["metric"]["trial"] == TRIAL
            assert series["metric"]["sweep"].startswith("ports")
        states = {each["metric"]["state"]: float(each["value"][1]) for each in ask(SWEEP_TRIALS)}
        assert states["running"] == 1
        assert sum(states.values()) == 1
        assert float(ask(SWEEP_SLOTS_IN_USE)[0]["value"][1]) == 1
    finally:
        prometheus.terminate()
        prometheus.wait(timeout=20)


def test_a_killed_driver_leaves_no_process_and_no_scratch_behind(going: Going) -> None:
    scratch = going.scratch
    assert len(going.processes()) > 5
    os.kill(going.process.pid, signal.SIGKILL)
    going.process.wait()
    killed = time.monotonic()
    wait_for(lambda: not users_of(scratch), seconds=30)
    wait_for(lambda: not scratch.exists(), seconds=5)
    assert time.monotonic() - killed < 15  # Ray's own agents would stay for a minute
