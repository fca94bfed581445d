"""Trials in TensorBoard, Weights & Biases and MLflow, beside their records: `run --log NAME`."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.errors import ConfigError, DependencyError
from clar_sweeps.faults import did_you_mean
from clar_sweeps.tuning.loggers.mlflow_runs import MlflowRuns
from clar_sweeps.tuning.loggers.tensorboard_files import TensorBoardFiles
from clar_sweeps.tuning.loggers.tracking import Tracker, Tracking
from clar_sweeps.tuning.loggers.wandb_runs import WandbRuns, check_wandb_login


class _Kind(NamedTuple):
    package: str  # what is imported; the extra that brings it has the tracker's name
    make: Callable[[Path], Tracker]
    check: Callable[[], None] = lambda: None


TRACKERS = {
    "tensorboard": _Kind("tensorboardX", TensorBoardFiles),
    "wandb": _Kind("wandb", WandbRuns, check_wandb_login),
    "mlflow": _Kind("mlflow", MlflowRuns),
}


def check_trackers(names: Sequence[str]) -> None:
    """Refuse what could only fail, before anything is started.

    Raises:
        ConfigError: A name is unknown, or W&B would have to ask for a key.
        DependencyError: A package is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            known = ", ".join(TRACKERS)
            raise ConfigError(
                f"--log {name}: is not one of {known}{did_you_mean(name, list(TRACKERS))}"
            )
        kind = TRACKERS[name]
        if importlib.util.find_spec(kind.package) is None:
            raise DependencyError(
                f"--log {name}: the package {kind.package} is not installed; "
                f"run pip install 'clar-sweeps[{name}]'"
            )
        kind.check()


@contextlib.contextmanager
def tracking(names: Sequence[str], run: Path) -> Iterator[list[Tracking]]:
    """Listeners, one a tracker, that have passed on all they were told when the context ends."""
    listeners = [Tracking(name, TRACKERS[name].make, run) for name in dict.fromkeys(names)]
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()
