"""Processes that time parts of trials side by side, as many as there are slots.

Trials on neighbouring slots share caches, memory and clock, so that a part alone on a machine would
look faster than it is: all slots compute until the last part has been timed.
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
from clar_sweeps.calibration.timing import Times
from clar_sweeps.errors import UsageError
from clar_sweeps.tuning.slots import Slots
from clar_sweeps.tuning.trainable import occupy

# Ray gives its processes so much less of a busy machine.
_NICENESS_OF_RAY = 15


class Measured(NamedTuple):
    """What was measured on a machine all of whose slots compute."""

    times: dict[Part, Times]
    import_seconds: float  # from the start of a process until it could train
    warm_up_seconds: float  # that its first trial takes longer


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
        return _gather(pipes, num_parts=len(duties[0].parts), tell=tell)


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
    imports: list[float] = []
    warm_ups: list[float] = []
    times: dict[Part, list[Times]] = {}
    left = dict.fromkeys(pipes, num_parts)
    tell(0, num_parts * len(pipes))
    while left:
        for pipe in wait(list(left)):
            assert isinstance(pipe, Connection)
            match _received(pipe):
                case "imported", float(seconds):
                    imports.append(seconds)
                case "warm", float(seconds):
                    warm_ups.append(seconds)
                case part, Times() as taken:
                    times.setdefault(part, []).append(taken)
                    left[pipe] -= 1
                    tell(num_parts * len(pipes) - sum(left.values()), num_parts * len(pipes))
            left = {pipe: num for pipe, num in left.items() if num}
    return Measured(
        times={part: _mean(taken) for part, taken in times.items()},
        import_seconds=sum(imports) / len(imports),
        warm_up_seconds=sum(warm_ups) / len(warm_ups),
    )


def _received(pipe: Connection) -> tuple[object, object]:
    try:
        what, value = pipe.recv()
    except EOFError:
        raise UsageError(
            "--calibrate: a process that measured died, often for want of memory; lower "
            "max_concurrent or batch_size"
        ) from None
    if what == "fault":
        raise UsageError(f"--calibrate: {value}")
    return what, value


def _mean(taken: Sequence[Times]) -> Times:
    columns = list(zip(*taken, strict=True))
    *seconds, sizes = columns
    return Times(*(sum(column) / len(column) for column in seconds), checkpoint_bytes=max(sizes))


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

            pipe.send(("imported", time.monotonic() - duty.born))
            pipe.send(("warm", warm_up(duty.everything)))
            folder = duty.scratch / str(duty.number)
            folder.mkdir()
            for part in duty.parts:
                pipe.send((part, time_part(part, folder)))
            others = itertools.cycle(duty.parts)
            while not pipe.poll():  # it would tell of the end of who asked
                time_part(next(others), folder)
        except UsageError as error:
            pipe.send(("fault", str(error)))
        except Exception as error:
            pipe.send(("fault", f"{type(error).__name__}: {' '.join(str(error).split())}"))


def _own_gpu(number: int) -> str:
    """Of the GPUs that this process may use, the one of a slot."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[number] if visible else str(number)
