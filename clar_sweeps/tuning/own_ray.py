"""A Ray started on this machine for one run: its folder, its doors, its token."""

import contextlib
import logging
import os
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from clar_sweeps.errors import ConfigError
from clar_sweeps.tuning.metrics import METRICS_PORT
from clar_sweeps.tuning.reaper import end_users_of, reaped
from clar_sweeps.tuning.slots import Slots

logger = logging.getLogger(__name__)

SETTINGS = {
    # Works on Linux too, and binds every port of a one-machine Ray to the loopback address: left
    # to itself Ray opens its metrics and its gRPC ports to the network.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Loopback is open to every user of the machine, and to web pages by way of DNS rebinding;
    # without a token both could run code through the dashboard.
    "RAY_AUTH_MODE": "token",
    # Gauges reach their port so often; see metrics.py.
    "RAY_metrics_report_interval_ms": "5000",
}
# Ray stores nothing of ours; it would set aside 30 % of the memory.
_OBJECT_STORE_BYTES = 128 * 2**20
QUIETLY: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
_LOOPBACK = "127.0.0.1"
_TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"


_starts_ray = threading.Event()


def _be_deaf_to_ctrl_c() -> None:
    """In a child of this process, before its program begins, which then never listens to it.

    Ctrl-C in a terminal goes to all of the process group. Ray blocks it for its processes, but the
    dashboard's parts lift that as they start others (multiprocessing's fork server does): one that
    comes just then ends them, and Ray waits a minute for a dashboard that never comes.
    """
    if _starts_ray.is_set():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


os.register_at_fork(after_in_child=_be_deaf_to_ctrl_c)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Where Ray keeps sockets and logs: of this run alone, closed to others, removed at the end.

    Its usual place collects megabytes a run for ever, open to all to read and some of it to write.
    The path is short, for that of a socket has 107 bytes.
    """
    folder = Path(tempfile.mkdtemp(prefix="clar-", dir=os.environ.get("RAY_TMPDIR", "/tmp")))
    with reaped(folder):
        yield folder


def set_token(scratch: Path) -> None:
    """Tell Ray where the token lies that it asks for, unless the user has set one."""
    if _asks_for_token():
        os.environ[_TOKEN_PATH] = str(_provide_token(scratch))


def _asks_for_token() -> bool:
    return os.environ["RAY_AUTH_MODE"] == "token" and "RAY_AUTH_TOKEN" not in os.environ


def _provide_token(scratch: Path) -> Path:
    """Make the token that Ray asks for, readable by its owner only; Ray's own is for everybody.

    It lies where Ray looks for it, so that a browser needs it once for all runs; in the scratch
    folder where there is no home to write to.
    """
    if chosen := os.environ.get(_TOKEN_PATH):
        usual = Path(chosen).expanduser()
    else:
        usual = Path("~/.ray/auth_token").expanduser()
        with contextlib.suppress(OSError):  # there is none
            usual.chmod(0o600)
    # An empty one was left by a run that met a full disk; Ray would start with none.
    is_empty = usual.is_file() and not usual.stat().st_size
    if usual.exists() and not is_empty:
        return usual
    try:
        if is_empty:
            usual.unlink()
        _write_secret(usual)
    except OSError:
        usual = scratch / "auth_token"
        _write_secret(usual)
    return usual


def _write_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        # Whole or not at all, and not in place of one that another run has made meanwhile.
        path.hardlink_to(aside)
    finally:
        Path(aside).unlink()


def start(
    slots: Slots,
    scratch: Path,
    log: Path,
    note: Callable[[str], None],
    *,
    give_up: Callable[[], bool] = lambda: False,
) -> None:
    """Start Ray, and tell where its dashboard and its metrics are.

    Args:
        slots: Of this machine.
        scratch: For what Ray writes, of this process alone.
        log: Where Ray's output goes.
        note: Told of the addresses.
        give_up: Whether the user has asked to leave meanwhile, so that it is not tried again.

    Raises:
        KeyboardInterrupt: It does not start, and the user has asked to leave.
        ConfigError: It does not start, tried twice, the second time if need be without dashboard.
    """
    import ray

    try:
        # Fixed, so that Prometheus can be told; else one that Ray finds as it binds it.
        port = METRICS_PORT if _is_free(METRICS_PORT) else None
        context = _start_once(slots, scratch / "ray", port, needs_dashboard=True)
    except Exception as error:  # Ray has no class of error for it
        # It gives its processes 30 s, too few on a busy machine; and a port that was free may have
        # been taken meanwhile. What it had started it leaves.
        logger.info("Ray did not start: %s", error)
        if give_up():
            raise KeyboardInterrupt from error
        ray.shutdown()
        end_users_of(scratch, but=os.getpid())
        context = _start_again(slots, scratch / "ray2", log)
    note(_describe_dashboard(context.dashboard_url, log))
    (node,) = ray.nodes()  # type: ignore[no-untyped-call]
    note(f"metrics for Prometheus: http://{_LOOPBACK}:{node['MetricsExportPort']}/metrics")


def _describe_dashboard(url: str | None, log: Path) -> str:
    if not url:
        return f"Ray dashboard: did not start in time and is left out, nothing else is; see {log}"
    token = f" (asks once for the token in {os.environ[_TOKEN_PATH]})" if _asks_for_token() else ""
    return f"Ray dashboard: http://{url}{token}"


def _start_again(slots: Slots, scratch: Path, log: Path) -> Any:
    try:
        return _start_once(slots, scratch, None, needs_dashboard=False)
    except Exception as error:
        raise ConfigError(
            f"Ray does not start here: {reason_of(error)}; see {log}, make room in memory and in "
            f"{scratch.parent.parent}, wait until the machine is less busy, or use --local"
        ) from error


def _start_once(
    slots: Slots, scratch: Path, metrics_port: int | None, *, needs_dashboard: bool
) -> Any:
    """Ray's context."""
    import ray

    _starts_ray.set()
    try:
        return ray.init(
            "local",
            num_cpus=slots.machine.num_cpus,
            num_gpus=slots.machine.num_gpus if slots.gpus else 0,
            include_dashboard=True if needs_dashboard else None,  # None: goes on where it fails
            dashboard_host=_LOOPBACK,
            object_store_memory=_OBJECT_STORE_BYTES,
            _metrics_export_port=metrics_port,
            # Below the folder that others may not enter: Ray opens its own to all.
            _temp_dir=str(scratch),
            **QUIETLY,
        )
    finally:
        _starts_ray.clear()


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        # Not held back by connections of a run that has just ended.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True


def reason_of(error: Exception) -> str:
    """The first line of what Ray says, and what follows where that ends in a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = lines or [type(error).__name__]
    return " ".join(lines[:2] if lines[0].endswith(":") else lines[:1]).rstrip(".")
