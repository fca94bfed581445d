"""One trial in a process of Ray's: wiring only."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from clar_sweeps.config import Trial, TrialConfig, make_trial, parse_config
from clar_sweeps.errors import DiskFullError, RunLockedError, UsageError
from clar_sweeps.tuning.nodes import Expected, refuse_unless_agreed

# 0.4 to 0.6 GB on GPUs of the last years; more where all kernels are loaded at once.
_CONTEXT_BYTES = 600 * 2**20


class Order(NamedTuple):
    """What a process of Ray's is told to do; plain, so that any process can read it."""

    config: dict[str, Any]
    run: str
    cpus: float  # of all its ranks together, as the GPUs
    gpus: float
    ranks: int
    patience_seconds: float  # how long the driver waits for a sign of life
    attempt: int  # of all in this run; makes the names of Tune's folders differ
    is_one_of_many: bool  # its process takes up others after it
    expected: Expected | None  # of this machine, on a cluster
    set_up: Callable[[Path], object]

    @property
    def trial(self) -> Trial:
        """The trial to train."""
        config = parse_config(self.config)
        assert isinstance(config, TrialConfig), config
        return make_trial(config)


def train_in_ray(order: dict[str, Any]) -> None:
    """Train the ordered trial, and tell Ray of each epoch.

    An error that a retry may mend is raised, so that no other trial gets this process.
    """
    from ray import tune

    from clar_sweeps.trainer import run_trial
    from clar_sweeps.tuning.ranks import ranks_of

    what = Order(**order)
    with ExitStack() as stack:
        try:
            if what.expected is not None:
                refuse_unless_agreed(what.expected, Path(what.run))
            what.set_up(Path(what.run))
            occupy(cpus=what.cpus / what.ranks, gpus=what.gpus / what.ranks)
            ranks = stack.enter_context(ranks_of(order))
        except UsageError as error:  # of a machine: no trial of the sweep has failed
            tune.report({"refused": str(error)})
            return
        try:
            run_trial(
                what.trial,
                Path(what.run),
                tune.report,
                patience_seconds=what.patience_seconds,
                ranks=ranks,
            )
        except DiskFullError as error:
            tune.report({"disk_full": str(error)})
        except RunLockedError as error:
            tune.report({"locked": str(error)})


def occupy(*, cpus: float, gpus: float) -> None:
    """Keep this process to a trial's share: threads, GPUs, and memory of a GPU that is shared."""
    if not gpus:
        # Ray hides the GPUs of other trials only from trials that have one of their own.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch

    torch.set_num_threads(max(1, int(cpus)))
    # Trials packed on one GPU start together and would each count on all that is free. Where torch
    # sees no GPU although Ray was told of one, there is no memory to cap.
    if 0 < gpus < 1 and torch.cuda.is_available():
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(memory_share(gpus, total_bytes=total))


def memory_share(gpus: float, *, total_bytes: int) -> float:
    """Of a GPU's memory, what torch may allocate in a process that has a share of the GPU.

    The rest of the share is the process' CUDA context, with its loaded kernels, which torch does
    not count: shares without it would add up to more than there is.
    """
    return max(gpus / 2, gpus - _CONTEXT_BYTES / total_bytes)
