"""What is done to a sweep under way, one function a kind."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.chaos.damage import KILLED, Done, choose_trial, damage_checkpoint, damage_lines
from benchmarks.chaos.processes import kill, processes_in
from benchmarks.chaos.running import Running
from benchmarks.chaos.stages import NUM_NODES, STAGES, StageName
from benchmarks.chaos.sweeps import clar_sweep

_ANY = tuple(dict.fromkeys(STAGES))
_WITH_RAY: tuple[StageName, ...] = ("machine", "cluster", "small disk")
# Without `finally`: Python itself was still starting.
_INTERRUPTED = (130, -signal.SIGINT)
_TERMINATED = (143, -signal.SIGTERM)
_NO_ROOM = (2,)


class Deed(NamedTuple):
    """A kind of disturbance."""

    kind: str
    do: Callable[[Running, random.Random], Done | None]  # None: there was nothing to do it to
    stages: tuple[StageName, ...] = _ANY
    weight: int = 2  # how often, against the others
    early: bool = False  # also while the command is still starting


def kill_trial(running: Running, draws: random.Random) -> Done | None:
    """SIGKILL of a trial's process."""
    chosen = choose_trial(running, draws)
    if chosen is None:
        return None
    folder, live = chosen
    kill(live.pid)
    what = f"SIGKILL of {folder.name} ({live.phase}, epoch {live.epoch})"
    return Done(what, ends=KILLED if live.pid == running.driver else ())


def hang_trial(running: Running, draws: random.Random) -> Done | None:
    """SIGSTOP of a trial's process: it lives and does nothing."""
    chosen = choose_trial(running, draws)
    if chosen is None:
        return None
    folder, live = chosen
    kill(live.pid, signal.SIGSTOP)
    return Done(f"SIGSTOP of {folder.name} ({live.phase}, epoch {live.epoch})")


def kill_driver(running: Running, draws: random.Random) -> Done:
    """SIGKILL of the command alone."""
    kill(running.driver)
    return Done("SIGKILL of the command", ends=KILLED)


def kill_group(running: Running, draws: random.Random) -> Done:
    """SIGKILL of the command and of what shares its process group."""
    os.killpg(running.driver, signal.SIGKILL)
    return Done("SIGKILL of the command's process group", ends=KILLED)


def kill_all(running: Running, draws: random.Random) -> Done:
    """SIGKILL of all processes at once, as when the power fails."""
    os.kill(running.driver, signal.SIGSTOP)  # so that it starts no other meanwhile
    found = processes_in(running.place.work)
    for pid in found:
        kill(pid)
    return Done(f"SIGKILL of all {len(found)} processes", ends=KILLED)


def interrupt(running: Running, draws: random.Random) -> Done:
    """Ctrl-C: SIGINT to the process group, once or twice."""
    times = draws.choice((1, 2))
    return Done(_send(running, draws, signal.SIGINT, times), ends=_INTERRUPTED)


def terminate(running: Running, draws: random.Random) -> Done:
    """SIGTERM to the command, once or twice."""
    times = draws.choice((1, 2))
    return Done(_send(running, draws, signal.SIGTERM, times), ends=_TERMINATED)


def _send(running: Running, draws: random.Random, sent: signal.Signals, times: int) -> str:
    between = draws.uniform(0.1, 1.5)
    for number in range(times):
        if number:
            time.sleep(between)
        if running.exit_code() is None:
            # A terminal sends Ctrl-C to all of the group, a job's manager SIGTERM to the command.
            send = os.killpg if sent == signal.SIGINT else os.kill
            send(running.driver, sent)
    return f"{sent.name} {'once' if times == 1 else f'twice within {between:.1f} s'}"


def stop_run(running: Running, draws: random.Random) -> Done:
    """`clar-sweep stop RUN`."""
    _stop(running)
    return Done("clar-sweep stop", ends=(0, 1, 130))


def stop_trial(running: Running, draws: random.Random) -> Done | None:
    """`clar-sweep stop RUN TRIAL`."""
    chosen = choose_trial(running, draws)
    if chosen is None:
        return None
    folder, _ = chosen
    _stop(running, folder.name.rpartition("_")[2])
    return Done(f"clar-sweep stop of {folder.name}", may_end=(0, 1))


def _stop(running: Running, *trials: str) -> None:
    place = running.place
    stopped = subprocess.run(
        clar_sweep("stop", str(place.run), *trials),
        cwd=place.work,
        env=place.environment,
        capture_output=True,
        text=True,
    )
    if stopped.returncode:
        running.faults.append(f"clar-sweep stop: {stopped.returncode} {stopped.stderr.strip()}")


def run_twice(running: Running, draws: random.Random) -> Done:
    """The same command while it runs: it must be refused, and disturb nothing."""
    second = subprocess.run(
        running.command(),
        cwd=running.place.work,
        env=running.place.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    told = second.stderr.strip().splitlines()[-1:] or [""]
    is_refused = second.returncode == 2 and "works in it" in told[0]
    if not is_refused and running.exit_code() is None:
        running.faults.append(f"a second run: exit code {second.returncode}, {told[0]}")
    return Done(f"a second run: exit code {second.returncode}")


def kill_node(running: Running, draws: random.Random) -> Done:
    """A node of the cluster is lost, and another one comes."""
    nodes = running.place.nodes
    assert nodes is not None
    number = draws.randrange(NUM_NODES)
    before = running.live()
    nodes.kill(number)
    running.wait_until(lambda: before.keys() != running.live().keys(), seconds=4)
    nodes.wait_for_other()
    return Done(f"node {number} of {NUM_NODES} lost")


def fill_disk(running: Running, draws: random.Random) -> Done:
    """The disk of the run folder is full for some seconds."""
    disk = running.place.disk
    assert disk is not None
    ballast, left = disk / "ballast", draws.choice((0, draws.randrange(300_000)))
    seconds = draws.uniform(1, 10)
    try:
        _fill(ballast, left)
        running.wait_until(lambda: running.exit_code() is not None, seconds=seconds)
    finally:
        ballast.unlink()
    what = f"disk full but for {left} bytes, for {seconds:.1f} s"
    return Done(what, may_end=_NO_ROOM)


def _fill(ballast: Path, left: int) -> None:
    """Write until nothing goes in any more, then give some bytes back."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(2**16))
    os.truncate(ballast, max(0, ballast.stat().st_size - left))


DEEDS = (
    Deed("kill trial", kill_trial, _WITH_RAY, weight=3),
    Deed("hang trial", hang_trial, _WITH_RAY),
    Deed("kill driver", kill_driver, early=True),
    Deed("kill driver's group", kill_group, early=True),
    Deed("kill all", kill_all, ("machine", "local", "small disk"), early=True),
    Deed("SIGINT", interrupt, early=True),
    Deed("SIGTERM", terminate, early=True),
    Deed("stop run", stop_run),
    Deed("stop trial", stop_trial),
    Deed("damaged checkpoint", damage_checkpoint, weight=4),
    Deed("damaged lines", damage_lines, weight=3),
    Deed("second run", run_twice),
    Deed("kill node", kill_node, ("cluster",), weight=16),
    Deed("full disk", fill_disk, ("small disk",), weight=16),
)


def choose_deed(stage: StageName, draws: random.Random) -> Deed:
    """A kind that the stage has."""
    possible = [deed for deed in DEEDS if stage in deed.stages]
    return draws.choices(possible, weights=[deed.weight for deed in possible])[0]
