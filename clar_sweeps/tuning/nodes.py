"""Whether all machines of a cluster would train the same: code, run folder, clips.

A machine is asked by a task pinned to it. What it runs is sent along by value and uses the standard
library until it has told the versions, so that one with another version, or none, can answer too.
"""

import contextlib
import fcntl
import logging
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from clar_sweeps.config import ClipsOf, Trial
from clar_sweeps.errors import ClarSweepsError, ConfigError, DataError, RecordError

logger = logging.getLogger(__name__)

_TOKEN = ".node-check-"
# A network file system shows another machine's new file after some seconds.
_VISIBLE_SECONDS = 10.0
# Starting a process on a busy machine.
_ANSWER_SECONDS = 120.0
# Until Ray notices that a machine is gone, 65 s at the most.
_LOSS_SECONDS = 90.0
# Preparing clips takes as long as it takes; a download by itself stops when nothing comes.
_PREPARE_SECONDS = 6 * 3600.0


class Expected(NamedTuple):
    """What a machine must have to train along; plain, so that a trial's order can carry it."""

    token: str  # name of a file in the run folder
    versions: dict[str, str]
    digests: list[tuple[ClipsOf, str]]


class _Answer(NamedTuple):
    """What a machine tells of itself; plain, for `clar_sweeps` may be another there."""

    versions: dict[str, str]
    saw_token: bool
    got_lock: bool  # which the driver holds
    fault: str | None  # why it could not write into the run folder


class _Node(NamedTuple):
    id: str
    title: str


@contextlib.contextmanager
def agreed(run: Path, trials: Iterable[Trial]) -> Iterator[Expected]:
    """Hold what all machines of the connected cluster agree on, or say which does not.

    Clips are prepared here before; each machine with a cache of its own prepares them too. The
    token's lock is held meanwhile: a machine that gets it shares no locks with this one.

    Args:
        run: The run folder, held by this process.
        trials: Those to be trained.

    Raises:
        ConfigError: A machine has other versions, or gives no answer.
        RecordError: A machine does not see the run folder, or cannot write into it.
        DataError: A machine cannot prepare the clips, or has others.
    """
    for left in run.glob(f"{_TOKEN}*"):  # by a run that was killed
        left.unlink(missing_ok=True)
    expected = Expected(
        token=f"{_TOKEN}{secrets.token_hex(8)}", versions=versions(), digests=_digests_of(trials)
    )
    token = run / expected.token
    try:
        with token.open("w", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            nodes = _nodes()
            _compare(nodes, run, expected)
            _prepare(nodes, expected)
            yield expected
    finally:
        for path in run.glob(f"{token.name}*"):
            path.unlink(missing_ok=True)


def refuse_unless_agreed(expected: Expected, run: Path) -> None:
    """Check in a trial's process what `agreed` checked before: its machine may have come later.

    Clips that it lacks are prepared.

    Raises:
        ConfigError: Other versions here.
        RecordError: The run folder is not here.
        DataError: The clips cannot be prepared here, or are others.
    """
    import socket

    here = socket.gethostname()
    _refuse_versions(here, versions(), expected.versions)
    if not _appears(run / expected.token):
        raise RecordError(_not_shared(here, run))
    if _gets_lock(run / expected.token):
        raise RecordError(_no_locks(here, run))
    for fault in _prepare_here(expected.digests):
        raise DataError(f"node {here}: {fault}")


def versions() -> dict[str, str]:
    """What must be the same on all machines, for the same config to be the same trial."""
    import hashlib
    import importlib.metadata
    import importlib.util
    import pathlib
    import platform

    found = {"python": platform.python_version()}
    for package in ("clar-sweeps", "torch", "ray"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "none"
    spec = importlib.util.find_spec("clar_sweeps")
    places = list(spec.submodule_search_locations or ()) if spec else []
    source = hashlib.sha256()
    for place in places:
        # Two checkouts may have one version, and a field another meaning in each.
        for path in sorted(pathlib.Path(place).rglob("*.py")):
            if path.is_file():  # an editor's lock is a link to nowhere
                source.update(str(path.relative_to(place)).encode() + path.read_bytes())
    found["source of clar-sweeps"] = source.hexdigest()[:12] if places else "none"
    return found


def _digests_of(trials: Iterable[Trial]) -> list[tuple[ClipsOf, str]]:
    from clar_sweeps import data

    wanted = dict.fromkeys(trial.config.clips for trial in trials)
    return [(clips, data.load(*clips).digest) for clips in wanted]


def _nodes() -> list[_Node]:
    """Machines that may get a trial; a head without CPUs gets none."""
    import ray

    nodes = [
        node
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"] and node["Resources"].get("CPU", 0)
    ]
    return [
        _Node(
            node["NodeID"],
            f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node['NodeID'][:8]})",
        )
        for node in nodes
    ]


def _compare(nodes: list[_Node], run: Path, expected: Expected) -> None:
    answers = _ask(nodes, _look, str(run.absolute()), expected.token, timeout=_ANSWER_SECONDS)
    for node, given in answers.items():
        answer = _Answer(*given)
        _refuse_versions(node.title, answer.versions, expected.versions)
        if not answer.saw_token:
            raise RecordError(_not_shared(node.title, run))
        if answer.got_lock:
            raise RecordError(_no_locks(node.title, run))
        if answer.fault is not None:
            raise RecordError(
                f"node {node.title}: cannot write into the run folder {run.absolute()} "
                f"({answer.fault}); let the user of Ray there write it, or give another --run-dir"
            )
        if not _appears(run / f"{expected.token}-{node.id}"):
            raise RecordError(
                f"node {node.title}: wrote into {run.absolute()} and the file does not appear "
                "here; give a --run-dir on a file system that all nodes share"
            )


def _refuse_versions(node: str, found: dict[str, str], expected: dict[str, str]) -> None:
    for name, wanted in expected.items():
        if found.get(name) != wanted:
            raise ConfigError(
                f"node {node}: {name} is {found.get(name, 'none')}, expected {wanted} as here; "
                "install the same on all nodes"
            )


def _not_shared(node: str, run: Path) -> str:
    return (
        f"node {node}: does not see the run folder {run.absolute()}; give a --run-dir on a file "
        "system that all nodes mount at the same path"
    )


def _no_locks(node: str, run: Path) -> str:
    return (
        f"node {node}: gets a file lock in {run.absolute()} that is held here, so two processes "
        "could train one trial; mount it so that machines share locks (NFSv4, local_lock=none)"
    )


def _look(node: str, run: str, token: str) -> tuple[dict[str, str], bool, bool, str | None]:
    """Runs on the machine that is asked."""
    found = versions()
    if not _appears(Path(run) / token):
        return found, False, False, None
    try:
        (Path(run) / f"{token}-{node}").write_text(token, encoding="ascii")
        return found, True, _gets_lock(Path(run) / token), None
    except OSError as error:
        return found, True, False, error.strerror or str(error)


def _gets_lock(path: Path) -> bool:
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # which of the two, the file system chooses
            return False
    return True


def _appears(path: Path) -> bool:
    deadline = time.monotonic() + _VISIBLE_SECONDS
    while not path.exists():
        if not path.parent.exists() or time.monotonic() > deadline:
            return False
        time.sleep(0.2)
        with contextlib.suppress(OSError):
            list(path.parent.iterdir())  # makes a network file system look again
    return True


def _prepare(nodes: list[_Node], expected: Expected) -> None:
    """Machines that share a cache wait for each other at its lock, and find it whole."""
    answers = _ask(nodes, _prepare_for, expected.digests, timeout=_PREPARE_SECONDS)
    for node, faults in answers.items():
        for fault in faults:
            raise DataError(f"node {node.title}: {fault}")


def _prepare_for(node: str, digests: list[tuple[ClipsOf, str]]) -> list[str]:
    """Runs on the machine that is asked."""
    return _prepare_here(digests)


def _prepare_here(digests: list[tuple[ClipsOf, str]]) -> list[str]:
    """Open each cache, made first where it is not there; gives what is wrong with them."""
    from clar_sweeps import data

    faults = []
    for clips, wanted in digests:
        try:
            # One that stands is not made anew, even from recordings that are other ones here:
            # it may be the cache that all share.
            is_there = data.is_prepared(*clips)
            found = (data.load if is_there else data.prepare)(*clips).digest
        except (ClarSweepsError, OSError) as error:
            faults.append(str(error))
            continue
        if found != wanted:
            cache, name = data.cache_folder(*clips), clips.folder or clips.name
            faults.append(
                f"{cache}: holds other clips of {name} (digest {found[:12]}) than here "
                f"({wanted[:12]}); copy the cache from here, or prepare both from the same "
                "recordings"
            )
    return faults


def _ask(
    nodes: list[_Node], question: Callable[..., Any], *arguments: object, timeout: float
) -> dict[_Node, Any]:
    """Ask each machine at once, in a process there that takes no trial's place.

    Of those that are lost meanwhile there is no answer.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    pickling: Any = ray.cloudpickle  # without types
    here = sys.modules[__name__]
    pickling.register_pickle_by_value(here)
    try:
        asked = [
            ray.remote(question)
            .options(
                num_cpus=0,
                max_retries=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            )
            .remote(node.id, *arguments)
            for node in nodes
        ]
    finally:
        pickling.unregister_pickle_by_value(here)
    answers = {}
    deadline = time.monotonic() + timeout
    for node, answer in zip(nodes, asked, strict=True):
        try:
            answers[node] = ray.get(answer, timeout=max(0.0, deadline - time.monotonic()))
        except GetTimeoutError as error:
            raise ConfigError(
                f"node {node.title}: gave no answer for {timeout:.0f} s; look after it, or take "
                "it out of the cluster"
            ) from error
        except RayError as error:
            if _is_lost(node, error):
                logger.warning("node %s: is lost; the run goes on without it", node.title)
                continue
            reason = (str(error).strip().splitlines() or ["no reason told"])[-1]
            raise ConfigError(
                f"node {node.title}: cannot run what it is sent ({reason}); install "
                "clar-sweeps there as here"
            ) from error
    return answers


def _is_lost(node: _Node, error: Exception) -> bool:
    """Whether a machine did not answer for it has left the cluster, of which Ray may learn late."""
    from ray.exceptions import NodeDiedError, TaskUnschedulableError, WorkerCrashedError

    if not isinstance(error, NodeDiedError | TaskUnschedulableError | WorkerCrashedError):
        return False
    deadline = time.monotonic() + _LOSS_SECONDS
    while is_there := any(node.id == each.id for each in _nodes()):
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    return not is_there
