"""Compose's commands as plain processes: head, worker and driver, each in a folder of its own.

Prometheus scrapes them with docker/prometheus.yml, where Debian's is installed.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest
from deployment import DOCKER, fill_in, service

from clar_sweeps import records

SWEEP = """
name: compose
fixed:
  dataset: spoken-digits
  condition: clean
  augment: [FD]
  encoder: resnet18_2d
  width: 2
  features: {num_bands: 8, window_length: 256, hop_length: 1024, n_fft: 256}
  batch_size: 16
  epochs: 24
  eval_every: 6
  warmup_epochs: 0
  optimizer: adamw
  learning_rate: 1e-3
axes:
  temperature: [0.1, 0.2]
"""


SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Ran(NamedTuple):
    """What became of the driver."""

    code: int
    output: str
    folder: Path  # the driver's
    worker_folder: Path
    since: float
    prometheus: str | None  # address, where it is installed


@pytest.fixture(scope="module")
def ran(prepared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The sweep, run to its end by three processes; Prometheus still runs."""
    marker = f"CLAR_TEST={secrets.token_hex(8)}"
    home = tmp_path_factory.mktemp("compose")
    (home / "compose.yaml").write_text(SWEEP)
    # Short, for the path of a socket has 107 bytes.
    ray_folder = Path(tempfile.mkdtemp(prefix="clar-"))
    ports = {name: free_port() for name in ("6379", "8265", "metrics", "9090", "client")}
    variables = {"RAY_AUTH_TOKEN": secrets.token_hex(32), "SWEEP": str(home / "compose.yaml")}
    given = service("worker")["environment"]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
        **{name: fill_in(value, variables) for name, value in given.items()},
        "RAY_metrics_report_interval_ms": "1000",
        "RAY_TMPDIR": str(ray_folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "CLAR_SWEEPS_CACHE": str(prepared_cache),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **dict([marker.split("=")]),
    }

    processes = []

    def start(command: str, folder: Path, log: IO[str]) -> None:
        folder.mkdir()
        processes.append(
            subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        )

    def start_service(name: str, log: IO[str]) -> None:
        command = fill_in(service(name)["command"], variables)
        start(on_loopback(command, ports), home / name, log)

    since = time.time()
    try:
        with (home / "log.txt").open("w+") as log:
            start_service("head", log)
            check = on_loopback(service("head")["healthcheck"]["test"], ports).split()
            wait_for(lambda: not subprocess.call(check, env=environment, **SILENT), "head")
            start_service("worker", log)
            if shutil.which("prometheus"):
                command = prometheus_command(home, ray_folder, ports)
                start(command, home / "prometheus", log)
            # In containers they may start at once; here the nodes share a folder.
            written = home / "log.txt"
            wait_for(lambda: written.read_text().count("Ray runtime started.") == 2, "worker")
            start_service("driver", log)
            code = processes[-1].wait(timeout=240)
            log.seek(0)
            address = f"127.0.0.1:{ports['9090']}" if shutil.which("prometheus") else None
            yield Ran(code, log.read(), home / "driver", home / "worker", since, address)
    finally:
        end_all(marker)
        for process in processes:
            process.wait()
        shutil.rmtree(ray_folder, ignore_errors=True)


def on_loopback(command: str, ports: dict[str, int]) -> str:
    """A command of compose's for one machine: the service's name and the ports are put in."""
    command = command.replace("head:6379", "127.0.0.1:6379")
    command = re.sub(r"(?<=[:=])(6379|8265)\b", lambda match: str(ports[match[1]]), command)
    command = command.replace("0.0.0.0", "127.0.0.1")  # of the dashboard
    # Three nodes on one machine cannot have one port; only the head's is known then.
    wanted = f"--metrics-export-port={ports['metrics'] if '--head' in command else 0}"
    command = re.sub(r"--metrics-export-port=\d+", wanted, command)
    # Of Ray Client, which Ray opens at 10001 of each head: another Ray may have it here.
    return command.replace("--head", f"--head --ray-client-server-port={ports['client']}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(ready: Callable[[], bool], what: str) -> None:
    for _ in range(120):
        if ready():
            return
        time.sleep(0.5)
    raise AssertionError(f"{what} has not started within a minute")


def prometheus_command(home: Path, ray_folder: Path, ports: dict[str, int]) -> str:
    """Debian's Prometheus with compose's configuration; paths, targets and pace are put in."""
    address = f"127.0.0.1:{ports['9090']}"
    text = (DOCKER / "prometheus.yml").read_text()
    text = text.replace("/tmp/ray/", f"{ray_folder}/ray/").replace("10s", "1s")
    text = text.replace('"prometheus:9090", "grafana:3000"', f'"{address}"')
    (home / "prometheus.yml").write_text(text)
    return f"prometheus --config.file={home / 'prometheus.yml'} --web.listen-address={address}"


def end_all(marker: str) -> None:
    """End all processes that inherited the mark, and wait until none is left."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(30):
            left = marked(marker)
            if not left:
                return
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, sign)
            time.sleep(0.2)


def marked(marker: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if marker.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def test_head_worker_and_driver_run_a_sweep_to_its_end(ran: Ran) -> None:
    assert ran.code == 0, ran.output
    run = ran.folder / "runs" / "compose"
    folders = sorted(path.parent for path in run.glob("trials/*/summary.json"))
    assert [records.read_record(folder).state for folder in folders] == ["done", "done"]
    assert not list(ran.worker_folder.iterdir())


def test_each_panel_of_the_dashboard_gets_data_from_prometheus(ran: Ran) -> None:
    if ran.prometheus is None:
        pytest.skip("prometheus is not installed")
    dashboard = json.loads((DOCKER / "grafana/dashboards/clar-sweeps.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$sweep", ".*").replace("$trial", ".*")
            series = ask(ran.prometheus, query, since=ran.since)
            assert series, f"{panel['title']}: {query}"
            label = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])[0]
            assert all(each["metric"][label] for each in series), panel["title"]


def ask(address: str, query: str, *, since: float) -> list[dict[str, dict[str, str]]]:
    """Series that Prometheus has of a query since a time, as Grafana asks for them."""
    fields = {"query": query, "start": since, "end": time.time(), "step": 1}
    url = f"http://{address}/api/v1/query_range?{urllib.parse.urlencode(fields)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: list[dict[str, dict[str, str]]] = json.load(answer)["data"]["result"]
    return found
