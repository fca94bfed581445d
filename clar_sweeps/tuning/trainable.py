"""One trial in a process of Ray's: wiring only."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from clar_sweeps.config import Trial, TrialConfig, make_trial, parse_config


class Order(NamedTuple):
    """What a process of Ray's is told to do; plain, so that any process can read it."""

    config: dict[str, Any]
    run: str
    cpus: float
    gpus: float
    set_up: Callable[[Path], object]

    @property
    def trial(self) -> Trial:
        """The trial to train."""
        config = parse_config(self.config)
        assert isinstance(config, TrialConfig), config
        return make_trial(config)


def train_in_ray(order: dict[str, Any]) -> None:
    """Train the ordered trial to its record, and tell Ray of each epoch."""
    from ray import tune

    from clar_sweeps.trainer import run_trial

    what = Order(**order)
    what.set_up(Path(what.run))
    occupy(cpus=what.cpus, gpus=what.gpus)
    run_trial(what.trial, Path(what.run), tune.report)


def occupy(*, cpus: float, gpus: float) -> None:
    """Keep this process to a trial's share: threads, GPUs, and memory of a GPU that is shared."""
    if not gpus:
        # Ray hides the GPUs of other trials only from trials that have one of their own.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch

    torch.set_num_threads(max(1, int(cpus)))
    if 0 < gpus < 1:
        # Trials packed on one GPU start together and would each count on all that is free.
        torch.cuda.set_per_process_memory_fraction(gpus)
