"""A Ray to run on: started on this machine, or a cluster that the user names."""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO

from clar_sweeps.errors import ConfigError
from clar_sweeps.records import open_itself
from clar_sweeps.tuning import own_ray
from clar_sweeps.tuning.own_ray import QUIETLY, reason_of
from clar_sweeps.tuning.slots import Machine, Slots

_LOG = "ray.log"

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
_PROBE_SECONDS = 5.0
# Pulling an image of some GB, starting a machine.
_WORKER_SECONDS = 600.0


def cluster_address(option: str | None = None) -> str | None:
    """Address of the Ray cluster to run on, None to start one here.

    Args:
        option: What the user gave; without it, `RAY_ADDRESS` counts.

    Raises:
        ConfigError: An address of Ray Client, which cannot run a sweep.
    """
    address = option if option is not None else os.environ.get("RAY_ADDRESS", "")
    if address.startswith("ray://"):
        raise ConfigError(
            f"--address {address}: is of Ray Client, expected HOST:PORT of the cluster's head "
            "(port 6379 if nothing else was chosen); give that, on a machine of the cluster"
        )
    return address if address not in ("", "local") else None


@contextlib.contextmanager
def ray_running(
    run: Path, *, slots: Slots | None, address: str | None, note: Callable[[str], None]
) -> Iterator[None]:
    """Start Ray here, or connect to the cluster; end it whatever happens.

    What Ray prints meanwhile goes into the run folder's `ray.log`.

    Args:
        run: The run folder.
        slots: Of this machine; None to connect to the cluster.
        address: Of the cluster; None to start Ray here.
        note: Told where the dashboard and the metrics are.

    Raises:
        ConfigError: The cluster cannot be reached, or Ray does not start here.
    """
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open_itself(run / _LOG, "a", encoding="utf-8"))
        stack.enter_context(_output_into(log))
        scratch = stack.enter_context(own_ray.scratch_folder()) if slots else None
        _set_environment(scratch)
        import ray

        # What Ray's loggers say of failing trials is in the records.
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        try:
            with _sigterm_kept(), _interrupt_put_off() as came:
                if slots and scratch:
                    own_ray.start(slots, scratch, run / _LOG, note, give_up=came.is_set)
                else:
                    assert address is not None
                    _connect(address)
            yield
        finally:
            with _undisturbed():
                ray.shutdown()


def machines() -> list[Machine]:
    """What each machine of the connected Ray has that may train."""
    import ray

    return [
        Machine(int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


def wait_for_cpus(address: str, note: Callable[[str], None]) -> None:
    """Wait for the first worker: where all are started at once, it comes after the driver.

    Raises:
        ConfigError: None has come.
    """
    deadline = time.monotonic() + _WORKER_SECONDS
    if not any(machine.num_cpus for machine in machines()):
        note(f"the cluster has no CPUs yet; waits {_WORKER_SECONDS / 60:g} min for a node")
    while not any(machine.num_cpus for machine in machines()):
        if time.monotonic() > deadline:
            raise ConfigError(
                f"Ray cluster {address}: has no CPUs after {_WORKER_SECONDS / 60:g} min; start a "
                "node that trains, or leave --address and RAY_ADDRESS out"
            )
        time.sleep(1.0)


def _set_environment(scratch: Path | None) -> None:
    """Settings that Ray reads when it is imported or started; the user's own come first.

    Args:
        scratch: Of a Ray of our own; None on a cluster, which has its settings.
    """
    settings = _SETTINGS | _THREAD_TIMEOUT | (own_ray.SETTINGS if scratch else {})
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    if scratch:
        own_ray.set_token(scratch)


def _connect(address: str) -> None:
    import ray

    try:
        _probe(address)
        ray.init(address, runtime_env={"env_vars": _THREAD_TIMEOUT}, **QUIETLY)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"Ray cluster {address}: {reason_of(error)}; start that cluster, set "
            "RAY_AUTH_MODE=token if it asks for a token, or leave --address and RAY_ADDRESS out"
        ) from error


def _probe(address: str) -> None:
    """Knock at `host:port`: Ray itself takes minutes to find that nobody is there."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in address:
        with socket.create_connection((host, int(port)), timeout=_PROBE_SECONDS):
            pass


@contextlib.contextmanager
def _output_into(log: IO[str]) -> Iterator[None]:
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


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Keep what SIGTERM does while Ray starts, which sets a handler of its own for good."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:  # of Ray's handler, with an exit code of its own
        if callable(before):
            before(signal.SIGTERM, None)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _interrupt_put_off() -> Iterator[threading.Event]:
    """Let a first Ctrl-C wait until Ray has started: in its midst it can crash Ray at exit.

    Yields:
        Set when one has come.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def remember(signum: int, frame: FrameType | None) -> None:
        if came.is_set():
            raise KeyboardInterrupt
        came.set()

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)
    if came.is_set():
        raise KeyboardInterrupt


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold signals off while Ray ends, so that an impatient second one leaves nothing behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, signal.SIG_IGN) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
