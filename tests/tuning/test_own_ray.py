"""The Ray that a run starts, or cannot start; what its dashboard asks for."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small_disk import run_on_small_disk
from sweep_desk import Desk

from clar_sweeps.tuning.own_ray import _is_free, _provide_token


def test_a_ray_that_does_not_start_is_told_in_a_line_and_leaves_nothing(
    desk: Desk, tmp_path: Path
) -> None:
    file = desk.write_sweep("start", "axes:\n  augment: [[FD]]\n")
    desk.clar_sweep("data", "prepare", "fsdd")
    scratch = tmp_path / ("too_long_for_a_socket" * 5)
    scratch.mkdir()
    desk = desk._replace(environment={**desk.environment, "RAY_TMPDIR": str(scratch)})
    result = desk.clar_sweep("run", file, "--run-dir", "run")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Ray does not start here: ")
    assert "AF_UNIX path length cannot exceed 107 bytes" in line
    assert line.endswith("wait until the machine is less busy, or use --local")
    assert not [*scratch.iterdir()]
    assert not (desk.folder / "run/run.json").exists()


WITHOUT_DASHBOARD = """
import sys
from pathlib import Path
from clar_sweeps.tuning import own_ray
from clar_sweeps.tuning.cluster import _set_environment
from clar_sweeps.tuning.slots import Machine, Slots

with own_ray.scratch_folder() as scratch:
    _set_environment(scratch)
    import ray
    from ray._private import services

    started = services.start_ray_process

    def start(command, process_type, **options):
        if process_type == "dashboard":
            command = [sys.executable, "-c", "raise SystemExit(3)"]
        return started(command, process_type, **options)

    services.start_ray_process = start
    own_ray.start(Slots(1, 0, 1, Machine(1, 0)), scratch, Path("ray.log"), print)
    print(ray.cluster_resources()["CPU"])
    ray.shutdown()
"""


def test_ray_runs_without_a_dashboard_that_does_not_start(desk: Desk) -> None:
    code = [sys.executable, "-c", WITHOUT_DASHBOARD]
    answer = subprocess.run(
        code, env=desk.environment, cwd=desk.folder, capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    dashboard, metrics, cpus = answer.stdout.splitlines()[-3:]
    assert dashboard == (
        "Ray dashboard: did not start in time and is left out, nothing else is; see ray.log"
    )
    assert metrics.startswith("metrics for Prometheus: http://127.0.0.1:")
    assert cpus == "1.0"


IMPATIENT = """
import os, signal, threading
from pathlib import Path
from clar_sweeps.tuning import own_ray
from clar_sweeps.tuning.cluster import _set_environment
from clar_sweeps.tuning.slots import Machine, Slots

heard = []
signal.signal(signal.SIGINT, lambda signum, frame: heard.append(signum))
has_started = threading.Event()

def press():
    while not has_started.wait(0.05):
        os.killpg(0, signal.SIGINT)

with own_ray.scratch_folder() as scratch:
    _set_environment(scratch)
    import ray

    threading.Thread(target=press).start()
    try:
        own_ray.start(Slots(1, 0, 1, Machine(1, 0)), scratch, Path("ray.log"), print)
    finally:
        has_started.set()
    print(len(heard) > 10)
    ray.shutdown()
"""


def test_ctrl_c_while_ray_starts_reaches_this_process_alone(desk: Desk) -> None:
    code = [sys.executable, "-c", IMPATIENT]
    answer = subprocess.run(
        code,
        env=desk.environment,
        cwd=desk.folder,
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
    )
    assert answer.returncode == 0, answer.stderr
    dashboard, _, is_heard = answer.stdout.splitlines()[-3:]
    assert dashboard.startswith("Ray dashboard: http://127.0.0.1:")
    assert is_heard == "True"


LEFT = """
from pathlib import Path
from clar_sweeps.tuning import own_ray
from clar_sweeps.tuning.slots import Machine, Slots

try:
    slots, scratch = Slots(1, 0, 1, Machine(1, 0)), Path("too_long" * 20).absolute()
    own_ray.start(slots, scratch, Path("ray.log"), print, give_up=lambda: True)
except KeyboardInterrupt as error:
    print(error.__cause__)
"""


def test_after_ctrl_c_a_ray_that_does_not_start_is_not_tried_again(desk: Desk) -> None:
    code = [sys.executable, "-c", LEFT]
    answer = subprocess.run(
        code, env=desk.environment, cwd=desk.folder, capture_output=True, text=True, timeout=60
    )
    assert "AF_UNIX path length cannot exceed 107 bytes" in answer.stdout, answer.stderr


def test_a_port_is_free_unless_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not _is_free(port)
    assert _is_free(port)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    return tmp_path


def test_the_token_is_its_owners_alone_and_stays(home: Path) -> None:
    path = _provide_token(home / "run")
    token = path.read_text()
    assert path == home / ".ray/auth_token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(token) == 64
    assert _provide_token(home / "run").read_text() == token


def test_without_a_home_the_token_lies_in_the_scratch_folder(home: Path) -> None:
    (home / ".ray").write_text("in the way")
    scratch = home / "scratch"
    scratch.mkdir()
    path = _provide_token(scratch)
    assert path == scratch / "auth_token"
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_empty_token_counts_as_none(home: Path) -> None:
    path = home / ".ray/auth_token"
    path.parent.mkdir()
    path.touch()
    assert _provide_token(home) == path
    assert len(path.read_text()) == 64
    assert path.stat().st_mode & 0o777 == 0o600


FULL_HOME = """
import os, sys
from pathlib import Path
from clar_sweeps.tuning.own_ray import _provide_token

home = Path(os.environ["HOME"])
with (home / "ballast").open("wb", buffering=0) as ballast:
    try:
        while True:
            ballast.write(b"0" * 4096)
    except OSError:
        pass
    print(_provide_token(Path(sys.argv[1]) / ".."))
    print(os.listdir(home / ".ray"))
"""


def test_a_home_without_room_is_left_without_a_token(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    answer = run_on_small_disk(FULL_HOME, disk, options="size=64k", environment={"HOME": str(disk)})
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines() == [str(disk / "../auth_token"), "[]"]
    assert len((tmp_path / "auth_token").read_text()) == 64


def test_a_token_that_ray_left_open_to_all_is_closed(home: Path) -> None:
    path = home / ".ray/auth_token"
    path.parent.mkdir()
    path.write_text("secret")
    path.chmod(0o644)
    assert _provide_token(home) == path
    assert path.read_text() == "secret"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_token_of_the_users_choice_is_taken_as_it_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = home / "chosen"
    chosen.write_text("secret")
    chosen.chmod(0o640)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(chosen))
    assert _provide_token(home) == chosen
    assert chosen.stat().st_mode & 0o777 == 0o640
