"""A Ray to run on: started on this machine, or a cluster that the environment names."""

import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from clar_sweeps.errors import ConfigError
from clar_sweeps.tuning.progress import Progress
from clar_sweeps.tuning.slots import Machine, Slots

_LOG = "ray.log"
_TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"

# A reused actor waits so long for its last trial's thread to end; if it gave up (after 2 s by
# default), the next trial would be counted as failed without having run.
_THREAD_TIMEOUT = {"TUNE_FUNCTION_THREAD_TIMEOUT_S": "120"}
_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Ctrl-C is ours: Tune's own handler would make fit() return as if all were done.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # A relative path in the environment means the same in a trial's process as here.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_OWN = {
    # Works on Linux too, and binds every port of a one-machine Ray to the loopback address: left
    # to itself Ray opens its metrics and its gRPC ports to the network.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Loopback is open to every user of the machine, and to web pages by way of DNS rebinding;
    # without a token both could run code through the dashboard.
    "RAY_AUTH_MODE": "token",
}
# Ray stores nothing of ours; it would set aside 30 % of the memory.
_OBJECT_STORE_BYTES = 128 * 2**20
_PROBE_SECONDS = 5.0


def cluster_address() -> str | None:
    """Address of the Ray cluster that the environment names, None to start one here."""
    address = os.environ.get("RAY_ADDRESS", "")
    return address if address not in ("", "local") else None


@contextlib.contextmanager
def ray_running(run: Path, *, slots: Slots | None, progress: Progress) -> Iterator[Machine]:
    """Start Ray here, or connect to the cluster; end it whatever happens.

    What Ray prints meanwhile goes into the run folder's `ray.log`.

    Args:
        run: The run folder.
        slots: Of this machine; None to connect to the cluster.
        progress: Told where the dashboard is.

    Raises:
        ConfigError: The cluster cannot be reached.
    """
    _set_environment(run, own=slots is not None)
    with (run / _LOG).open("a", encoding="utf-8") as log, _output_into(log):
        import ray

        # What Ray's loggers say of failing trials is in the records.
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        on_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            if slots is None:
                _connect()
            else:
                _start(slots, progress)
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own prints a stack of C++
            there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
            yield Machine(num_cpus=int(there.get("CPU", 0)), num_gpus=int(there.get("GPU", 0)))
        finally:
            with _without_interrupt():
                ray.shutdown()


def _set_environment(run: Path, *, own: bool) -> None:
    """Settings that Ray reads when it is imported or started; the user's own come first."""
    for name, value in (_SETTINGS | _THREAD_TIMEOUT | (_OWN if own else {})).items():
        os.environ.setdefault(name, value)
    if own and _asks_for_token():
        os.environ[_TOKEN_PATH] = str(_provide_token(run))


def _asks_for_token() -> bool:
    return os.environ["RAY_AUTH_MODE"] == "token" and "RAY_AUTH_TOKEN" not in os.environ


def _provide_token(run: Path) -> Path:
    """Make the token that Ray asks for, readable by its owner only; Ray's own is for everybody.

    It lies where Ray looks for it, so that a browser needs it once for all runs; in the run
    folder where there is no home to write to.
    """
    usual = Path(os.environ.get(_TOKEN_PATH, "~/.ray/auth_token")).expanduser()
    if usual.exists():
        return usual
    try:
        _write_secret(usual)
    except OSError:
        usual = run.absolute() / "ray.token"
        usual.unlink(missing_ok=True)
        _write_secret(usual)
    return usual


def _write_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))


def _start(slots: Slots, progress: Progress) -> None:
    import ray

    context = ray.init(
        "local",
        num_cpus=slots.machine.num_cpus,
        num_gpus=slots.machine.num_gpus if slots.gpus else 0,
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        object_store_memory=_OBJECT_STORE_BYTES,
        **_quietly(),
    )
    token = f" (asks once for the token in {os.environ[_TOKEN_PATH]})" if _asks_for_token() else ""
    progress.note(f"Ray dashboard: http://{context.dashboard_url}{token}")


def _connect() -> None:
    import ray

    address = cluster_address()
    assert address is not None
    try:
        _probe(address)
        ray.init(address, runtime_env={"env_vars": _THREAD_TIMEOUT}, **_quietly())
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ConfigError(
            f"RAY_ADDRESS={address}: {reason}; start that cluster, set RAY_AUTH_MODE=token if it "
            "asks for a token, or unset RAY_ADDRESS"
        ) from error


def _probe(address: str) -> None:
    """Knock at `host:port`: Ray itself takes minutes to find that nobody is there."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in address:
        with socket.create_connection((host, int(port)), timeout=_PROBE_SECONDS):
            pass


@contextlib.contextmanager
def _output_into(log: TextIO) -> Iterator[None]:
    """Lead stdout and stderr into a file; by descriptor, since Ray's C++ knows no `sys.stderr`."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    try:
        for descriptor in kept:
            os.dup2(log.fileno(), descriptor)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, copy in kept.items():
            os.dup2(copy, descriptor)
            os.close(copy)


def _quietly() -> dict[str, Any]:
    return {"log_to_driver": False, "logging_level": logging.CRITICAL}


@contextlib.contextmanager
def _without_interrupt() -> Iterator[None]:
    """Hold Ctrl-C off while Ray ends, so that an impatient second one leaves nothing behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
