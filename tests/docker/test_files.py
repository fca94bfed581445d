"""The files of docker/ agree with pyproject, with the command line, and with each other."""

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import ray
import typer
from deployment import DOCKER, ROOT, instructions, read_yaml, service
from packaging.requirements import Requirement

from clar_sweeps.cli import app
from clar_sweeps.tuning.metrics import EXPORT_PREFIX, GAUGES, METRICS_PORT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCKERFILE = instructions((DOCKER / "Dockerfile").read_text())
DASHBOARD: dict[str, Any] = json.loads((DOCKER / "grafana/dashboards/clar-sweeps.json").read_text())
RAYJOB = read_yaml(DOCKER / "kuberay-rayjob.yaml")[1]
LAUNCHER = read_yaml(DOCKER / "ray-cluster-launcher.yaml")[0]

WITH_COMMANDS = [
    *(path for path in sorted(DOCKER.rglob("*")) if path.is_file()),
    ROOT / "docs/cluster.md",
]
IN_IMAGE = "/clar"


def command_lines(path: Path) -> list[str]:
    """What a file has a reader or a machine type after `clar-sweep`."""
    text = path.read_text().replace("\\\n", " ").replace('"$@"', "sweeps/quickstart.yaml")
    text = text.replace("${SWEEP:-sweeps/quickstart.yaml}", "sweeps/quickstart.yaml")
    text = text.replace('"$address"', "node1:20000")
    return re.findall(r"(?:^|[^/\w-])clar-sweep +([a-z-][^\n`\"&|]*)", text)


ALL_LINES = [(path, line) for path in WITH_COMMANDS for line in command_lines(path)]


@pytest.mark.parametrize(
    ("path", "line"), ALL_LINES, ids=[f"{path.name}: {line}" for path, line in ALL_LINES]
)
def test_every_line_for_the_command_line_is_valid(path: Path, line: str) -> None:
    arguments = shlex.split(line)
    program = typer.main.get_command(app)
    if arguments[0] == "--help":
        return
    with program.make_context("clar-sweep", list(arguments)) as context:
        name, command, rest = program.resolve_command(context, arguments)  # type: ignore[attr-defined]
        command.make_context(name, rest, parent=context)
    for argument in rest:
        if argument.startswith("sweeps/"):
            assert (ROOT / argument).exists(), f"{path}: {argument}"


def test_lines_for_the_command_line_are_found() -> None:
    found = {path.name for path, _ in ALL_LINES}
    assert found >= {
        "Dockerfile",
        "compose.yaml",
        "kuberay-rayjob.yaml",
        "slurm.sh",
        "ray-cluster-launcher.yaml",
        "cluster.md",
    }
    assert "sweeps/quickstart.yaml --address head:6379" in str(ALL_LINES)


@pytest.mark.parametrize("path", sorted(DOCKER.rglob("*.y*ml")), ids=lambda path: path.name)
def test_every_yaml_file_parses(path: Path) -> None:
    assert all(isinstance(document, dict) for document in read_yaml(path))


def test_the_slurm_script_parses() -> None:
    subprocess.run(["bash", "-n", DOCKER / "slurm.sh"], check=True)
    assert (DOCKER / "slurm.sh").stat().st_mode & 0o100


@pytest.mark.parametrize(("code", "told"), [(0, 0), (1, 0), (2, 2), (143, 143)])
def test_a_job_that_ended_with_failed_trials_is_not_started_again(code: int, told: int) -> None:
    command = [DOCKER / "job.sh", "sh", "-c", f"exit {code}"]
    assert subprocess.run(command).returncode == told
    (installed,) = [each for name, each in DOCKERFILE if name == "COPY" and "job.sh" in each]
    assert installed.endswith(f" /usr/local/bin/{RAYJOB['spec']['entrypoint'].split()[0]}")


def test_the_slurm_script_counts_the_nodes_before_it_starts_the_driver() -> None:
    text = (DOCKER / "slurm.sh").read_text()
    (count,) = re.findall(r"^count='(.*)'$", text, flags=re.MULTILINE)
    compile(count, "slurm.sh", "exec")
    assert text.index('"$count" "$address"') < text.index('clar-sweep run "$@" --address')


def test_the_dockerfile_has_known_instructions_and_existing_sources() -> None:
    known = {"FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "USER", "VOLUME", "CMD"}
    assert {name for name, _ in DOCKERFILE} <= known
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    for name, arguments in DOCKERFILE:
        words = [word for word in arguments.split() if not word.startswith("--")]
        for source in words[:-1] if name == "COPY" else ():
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored


def test_the_image_runs_as_an_ordinary_user_where_sweeps_lie() -> None:
    last = dict(DOCKERFILE)
    assert last["USER"] == "clar"
    assert last["WORKDIR"] == IN_IMAGE
    assert ("COPY", "sweeps sweeps") in DOCKERFILE
    assert json.loads(last["VOLUME"]) == [f"{IN_IMAGE}/runs", f"{IN_IMAGE}/cache"]
    assert f"CLAR_SWEEPS_CACHE={IN_IMAGE}/cache" in last["ENV"]


def test_versions_agree_with_pyproject() -> None:
    python = re.match(r"python:(\d+\.\d+)-slim", dict(DOCKERFILE)["FROM"])
    assert python is not None
    assert PROJECT["requires-python"] == f">={python[1]}"
    pinned = dict(DOCKERFILE)["ARG"].removeprefix("RAY_VERSION=")
    (needed,) = [each for each in map(Requirement, PROJECT["dependencies"]) if each.name == "ray"]
    assert pinned in needed.specifier
    assert RAYJOB["spec"]["rayClusterSpec"]["rayVersion"] == pinned
    assert needed.extras == {"default", "tune"}
    installs = [line for name, line in DOCKERFILE if name == "RUN" and line.startswith("pip")]
    assert len(installs) == 2
    for line in installs:
        assert '"ray[default,tune]==${RAY_VERSION}"' in line
    extras = re.search(r"\.\[([^]]*)\]", installs[-1])
    assert extras is not None
    assert set(extras[1].split(",")) <= set(PROJECT["optional-dependencies"])


def test_only_the_loopback_address_is_published() -> None:
    services = read_yaml(DOCKER / "compose.yaml")[0]["services"]
    published = [port for each in services.values() for port in each.get("ports", ())]
    assert len(published) == 3
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in published)


def test_ports_and_paths_of_compose_agree() -> None:
    head = service("head")["command"]
    assert "--port=6379" in head
    assert "127.0.0.1:6379" in service("head")["healthcheck"]["test"]
    for name, file in (
        ("worker", "compose.yaml"),
        ("driver", "compose.yaml"),
        ("worker", "compose.gpu.yaml"),
    ):
        assert "--address=head:6379" in service(name, file)["command"]
    assert f"--metrics-export-port={METRICS_PORT}" in head
    assert "127.0.0.1:8265:8265" in service("head")["ports"]
    (scrape,) = [
        job
        for job in read_yaml(DOCKER / "prometheus.yml")[0]["scrape_configs"]
        if job["job_name"] == "ray"
    ]
    (listed,) = scrape["file_sd_configs"][0]["files"]
    assert listed == f"/tmp/ray/{ray._private.ray_constants.PROMETHEUS_SERVICE_DISCOVERY_FILE}"
    for name in ("head", "prometheus"):
        assert any(volume.startswith("ray:/tmp/ray") for volume in service(name)["volumes"])
    for name in ("head", "worker", "driver"):
        assert {"runs:/clar/runs", "cache:/clar/cache"} <= set(service(name)["volumes"])
        assert service(name)["environment"]["RAY_AUTH_MODE"] == "token"


def test_files_that_containers_mount_exist() -> None:
    for each in read_yaml(DOCKER / "compose.yaml")[0]["services"].values():
        for volume in each.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (DOCKER / source).exists(), source


def test_the_services_that_prometheus_asks_are_those_of_compose() -> None:
    services = read_yaml(DOCKER / "compose.yaml")[0]["services"]
    for job in read_yaml(DOCKER / "prometheus.yml")[0]["scrape_configs"]:
        for static in job.get("static_configs", ()):
            for target in static["targets"]:
                name, port = target.split(":")
                assert f"127.0.0.1:{port}:{port}" in services[name]["ports"]
    (source,) = read_yaml(DOCKER / "grafana/provisioning/datasources/prometheus.yaml")[0][
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = read_yaml(DOCKER / "grafana/provisioning/dashboards/dashboards.yaml")[0][
        "providers"
    ]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in service("grafana")["volumes"]


def test_the_dashboard_asks_for_gauges_that_a_run_exports() -> None:
    known = {EXPORT_PREFIX + name for name in GAUGES}
    labels = {label for _, names in GAUGES.values() for label in names}
    asked: set[str] = set()
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            names = set(re.findall(r"ray_\w+", target["expr"]))
            assert names <= known, panel["title"]
            asked |= names
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels
            assert set(re.findall(r"(\w+)=~", target["expr"])) <= labels
    assert asked == known
    for variable in DASHBOARD["templating"]["list"]:
        name, label = re.findall(r"label_values\((\w+).*, (\w+)\)", variable["query"]["query"])[0]
        assert name in known
        assert label in GAUGES[name.removeprefix(EXPORT_PREFIX)][1]


def test_the_dashboard_is_whole() -> None:
    (source,) = read_yaml(DOCKER / "grafana/provisioning/datasources/prometheus.yaml")[0][
        "datasources"
    ]
    expected = {"type": source["type"], "uid": source["uid"]}
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = set()
    for panel in panels:
        assert panel["datasource"] == expected
        assert panel["type"] in ("timeseries", "stat", "bargauge")
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        places |= {
            (column, row)
            for column in range(at["x"], at["x"] + at["w"])
            for row in range(at["y"], at["y"] + at["h"])
        }
    area = sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in panels)
    assert len(places) == area, "panels overlap"


def test_the_launcher_file_is_what_ray_up_takes() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(LAUNCHER)
    validate_config(prepared)
    (kind,) = prepared["available_node_types"].values()
    assert kind["min_workers"] == len(LAUNCHER["provider"]["worker_ips"])
    commands = LAUNCHER["head_start_ray_commands"] + LAUNCHER["worker_start_ray_commands"]
    check_ray_start(line for line in commands if "start" in line)


def test_options_of_ray_start_exist() -> None:
    commands = [service(name)["command"] for name in ("head", "worker", "driver")]
    commands.append(service("worker", "compose.gpu.yaml")["command"])
    check_ray_start(commands)
    groups = RAYJOB["spec"]["rayClusterSpec"]
    for group in (groups["headGroupSpec"], *groups["workerGroupSpecs"]):
        check_ray_start([f"ray start --{name}=x" for name in group["rayStartParams"]])


def check_ray_start(commands: Iterable[str]) -> None:
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    for command in commands:
        (line,) = re.findall(r"ray start ([^&]*)", command)
        used = set(re.findall(r"(--[a-z-]+)", line))
        assert used
        assert used <= known, used - known


def test_the_rayjob_mounts_what_the_image_declares() -> None:
    cluster = RAYJOB["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {f"{IN_IMAGE}/runs", f"{IN_IMAGE}/cache"} <= mounted
        declared = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == declared
    claim = read_yaml(DOCKER / "kuberay-rayjob.yaml")[0]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
