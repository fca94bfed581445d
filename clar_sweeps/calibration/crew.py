"""Processes that time parts of trials side by side, as many as there are slots.

Trials on neighbouring slots share caches, memory and clock, so that a part alone on a machine would
look faster than it is: all slots compute until the last part has been timed. What processes of
others take of the CPUs meanwhile is told apart, for it may be over when the run begins.
"""

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.calibration.parts import Part
from clar_sweeps.calibration.timing import Times
from clar_sweeps.calibration.worker import NICENESS_OF_RAY, Around, Duty, work
from clar_sweeps.errors import UsageError
from clar_sweeps.tuning.slots import Slots

# Of its time, that a process is taken to have computed.
_LEAST_SHARE = 0.01


class Measured(NamedTuple):
    """What was measured on a machine all of whose slots compute."""

    times: dict[Part, Times]
    import_seconds: float  # from the start of a process until it could train
    warm_up_seconds: float  # that its first trial takes longer
    slowdown: float = 1.0  # times as long as this that all took, because of other processes


def measure(
    parts: Sequence[Part],
    *,
    slots: Slots,
    with_ray: bool,
    scratch: Path,
    tell: Callable[[int, int], None],
) -> Measured:
    """Time parts of trials with a process on each slot.

    Args:
        parts: Each is timed at least once, and by several slots where those are more.
        slots: Of this machine.
        with_ray: The trials will run in processes of Ray's.
        scratch: Folder for checkpoints, on the disk of the run folder.
        tell: Told how many parts have been timed, of how many.

    Raises:
        UsageError: A trial could not be trained either; or a process died.
    """
    duties = [
        Duty(
            number=number,
            born=time.monotonic(),
            slots=slots,
            niceness=NICENESS_OF_RAY if with_ray else 0,
            parts=_share(parts, number, slots.num),
            everything=tuple(parts),
            scratch=scratch,
        )
        for number in range(slots.num)
    ]
    with _at_work(duties) as pipes:
        measured = _gather(pipes, num_parts=len(duties[0].parts), tell=tell)
    if slots.num * max(1, int(slots.cpus)) > slots.machine.num_cpus:
        return _with_waits(measured)  # for the other slots, as in a run
    return measured


def _with_waits(measured: Measured) -> Measured:
    """The same where what processes wait for is one another."""
    slowdown = measured.slowdown
    return Measured(
        times={part: taken.times_as_long(slowdown) for part, taken in measured.times.items()},
        import_seconds=slowdown * measured.import_seconds,
        warm_up_seconds=slowdown * measured.warm_up_seconds,
    )


def _share(parts: Sequence[Part], number: int, num_slots: int) -> tuple[Part, ...]:
    """As many parts for each slot; what is left over of the last round is timed again."""
    rounds = -(-len(parts) // num_slots)
    return tuple(parts[(turn * num_slots + number) % len(parts)] for turn in range(rounds))


@contextlib.contextmanager
def _at_work(duties: Sequence[Duty]) -> Iterator[list[Connection]]:
    spawn = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    processes: list[SpawnProcess] = []
    try:
        for duty in duties:
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=work, args=(theirs, duty), daemon=True)
            with _deaf_to_ctrl_c():
                process.start()
            theirs.close()  # so that the end of the process is heard
            pipes.append(ours)
            processes.append(process)
        yield pipes
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.join()


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """What is started within never hears it: Ctrl-C is for the process that asked."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _gather(
    pipes: Sequence[Connection], *, num_parts: int, tell: Callable[[int, int], None]
) -> Measured:
    starts: list[Around] = []
    times: dict[Part, list[Times]] = {}
    left = dict.fromkeys(pipes, num_parts + 1)
    num_told, num_all = 0, num_parts * len(pipes)
    while left:
        tell(num_told, num_all)
        for pipe in wait(list(left)):
            assert isinstance(pipe, Connection)
            told = _received(pipe)
            if isinstance(told, Around):
                starts.append(told)
            else:
                part, taken = told
                times.setdefault(part, []).append(taken)
                num_told += 1
            left[pipe] -= 1
        left = {pipe: num for pipe, num in left.items() if num}
    imports, warm_ups, waited = (sum(column) / len(pipes) for column in zip(*starts, strict=True))
    return Measured(
        times={part: _mean(taken) for part, taken in times.items()},
        import_seconds=imports,
        warm_up_seconds=warm_ups,
        slowdown=1 / max(_LEAST_SHARE, 1 - waited),
    )


def _received(pipe: Connection) -> Around | tuple[Part, Times]:
    try:
        told: UsageError | Around | tuple[Part, Times] = pipe.recv()
    except EOFError:
        raise UsageError(
            "--calibrate: a process that measured died, often for want of memory; lower "
            "max_concurrent or batch_size"
        ) from None
    if isinstance(told, UsageError):
        raise told
    return told


def _mean(taken: Sequence[Times]) -> Times:
    num = len(taken)
    return Times(
        seconds=sum(each.seconds for each in taken) / num,
        build_seconds=sum(each.build_seconds for each in taken) / num,
        save_seconds=sum(each.save_seconds for each in taken) / num,
        checkpoint_bytes=max(each.checkpoint_bytes for each in taken),
    )
