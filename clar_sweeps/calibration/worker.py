"""One of the processes that time parts of trials side by side."""

import contextlib
import itertools
import logging
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.calibration.parts import Part
from clar_sweeps.calibration.stopwatch import waited_seconds
from clar_sweeps.calibration.timing import time_part, warm_up
from clar_sweeps.errors import UsageError
from clar_sweeps.tuning.slots import Slots
from clar_sweeps.tuning.trainable import occupy

# Ray gives its processes so much less of a busy machine.
NICENESS_OF_RAY = 15


class Around(NamedTuple):
    """What a process took until it was warm, and its share of waiting for a CPU since then."""

    import_seconds: float
    warm_up_seconds: float
    waited_share: float


class Duty(NamedTuple):
    """What one process is told."""

    number: int
    born: float  # on the clock that all processes of the machine share
    slots: Slots
    niceness: int
    parts: tuple[Part, ...]  # to time
    everything: tuple[Part, ...]
    scratch: Path


def work(pipe: Connection, duty: Duty) -> None:
    """Body of a process: times its parts, and repeats them until it is ended."""
    logging.getLogger("clar_sweeps").addHandler(logging.NullHandler())  # a run's log tells it
    os.nice(duty.niceness)
    gpus = duty.slots.gpus
    if gpus:
        per_gpu = int(1 / gpus) if gpus < 1 else 1
        os.environ["CUDA_VISIBLE_DEVICES"] = _own_gpu(duty.number // per_gpu)
    with contextlib.suppress(EOFError, BrokenPipeError):  # who asked has ended
        try:
            occupy(cpus=duty.slots.cpus, gpus=gpus)
            imports = time.monotonic() - duty.born - waited_seconds()
            warm_ups = warm_up(duty.everything)
            folder = duty.scratch / str(duty.number)
            folder.mkdir()
            began, waited = time.monotonic(), waited_seconds()
            for part in duty.parts:
                pipe.send((part, time_part(part, folder)))
            share = (waited_seconds() - waited) / (time.monotonic() - began)
            pipe.send(Around(imports, warm_ups, share))
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
