"""Processes that time parts of trials side by side, as many as there are slots.

Trials on neighbouring slots share caches, memory and clock, so that a part alone on a machine would
look faster than it is: all slots compute until the last part has been timed. What processes of
others take of the CPUs meanwhile is told apart, for it may be over when the run begins.
"""

import contextlib
import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.calibration.parts import Part
from clar_sweeps.calibration.stopwatch import waited_seconds
from clar_sweeps.calibration.timing import Times
from clar_sweeps.errors import UsageError
from clar_sweeps.tuning.slots import Slots
from clar_sweeps.tuning.trainable import occupy

# Ray gives its processes so much less of a busy machine.
_NICENESS_OF_RAY = 15
# Of its time, that a process is taken to have computed.
_LEAST_SHARE = 0.01


class Measured(NamedTuple):
    """What was measured on a machine all of whose slots compute."""

    times: dict[Part, Times]
    import_seconds: float  # from the start of a process until it could train
    warm_up_seconds: float  # that its first trial takes longer
    slowdown: float = 1.0  # times as long as this that all took, because of other processes


class _Around(NamedTuple):
    """What a process took until it was warm, and its share of waiting for a CPU since then."""

    import_seconds: float
    warm_up_seconds: float
    waited_share: float


class _Duty(NamedTuple):
    """What one process is told."""

    number: int
    born: float  # on the clock that all processes of the machine share
    slots: Slots
    niceness: int
    parts: tuple[Part, ...]  # to time
    everything: tuple[Part, ...]
    scratch: Path


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
        _Duty(
            number=number,
            born=time.monotonic(),
            slots=slots,
            niceness=_NICENESS_OF_RAY if with_ray else 0,
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
def _at_work(duties: Sequence[_Duty]) -> Iterator[list[Connection]]:
    spawn = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    processes: list[SpawnProcess] = []
    try:
        for duty in duties:
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_work, args=(theirs, duty), daemon=True)
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


def _gather(
    pipes: Sequence[Connection], *, num_parts: int, tell: Callable[[int, int], None]
) -> Measured:
    starts: list[_Around] = []
    times: dict[Part, list[Times]] = {}
    left = dict.fromkeys(pipes, num_parts + 1)
    num_told, num_all = 0, num_parts * len(pipes)
    while left:
        tell(num_told, num_all)
        for pipe in wait(list(left)):
            assert isinstance(pipe, Connection)
            told = _received(pipe)
            if isinstance(told, _Around):
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


def _received(pipe: Connection) -> _Around | tuple[Part, Times]:
    try:
        told: UsageError | _Around | tuple[Part, Times] = pipe.recv()
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


def _work(pipe: Connection, duty: _Duty) -> None:
    """Body of a process: times its parts, and repeats them until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    os.nice(duty.niceness)
    gpus = duty.slots.gpus
    if gpus:
        per_gpu = int(1 / gpus) if gpus < 1 else 1
        os.environ["CUDA_VISIBLE_DEVICES"] = _own_gpu(duty.number // per_gpu)
    with contextlib.suppress(EOFError, BrokenPipeError):  # who asked has ended
        try:
            occupy(cpus=duty.slots.cpus, gpus=gpus)
            from clar_sweeps.calibration.timing import time_part, warm_up

            imports = time.monotonic() - duty.born - waited_seconds()
            warm_ups = warm_up(duty.everything)
            folder = duty.scratch / str(duty.number)
            folder.mkdir()
            began, waited = time.monotonic(), waited_seconds()
            for part in duty.parts:
                pipe.send((part, time_part(part, folder)))
            share = (waited_seconds() - waited) / (time.monotonic() - began)
            pipe.send(_Around(imports, warm_ups, share))
            others = itertools.cycle(duty.parts)
            while not pipe.poll():  # it would tell of the end of who asked
                time_part(next(others), folder)
        except UsageError as error:
            pipe.send(UsageError(f"--calibrate: {error}"))
        except Exception as error:
            told = f"{type(error).__name__}: {' '.join(str(error).split())}"
            pipe.send(UsageError(f"--calibrate: {told}"))


def _own_gpu(number: int) -> str:
    """Of the GPUs that this process may use, the one of a slot."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[number] if visible else str(number)
