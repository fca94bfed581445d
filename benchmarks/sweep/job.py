"""What all ways have to do: the trials of a sweep, where, in how many slots."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from clar_sweeps import data, records
from clar_sweeps.config import Trial, TrialConfig, make_trial, parse_config
from clar_sweeps.sweep import load_sweep
from clar_sweeps.tuning.slots import share_out, this_machine

ROOT = Path(__file__).parents[2]


class Job(NamedTuple):
    """A sweep to run."""

    file: Path
    overrides: tuple[str, ...]
    cache: Path  # where the datasets are prepared
    trials: tuple[Trial, ...]  # untrained encoders included, in the order of `clar-sweep run`
    slots: int
    threads: int  # of a slot

    @property
    def environment(self) -> dict[str, str]:
        """What the processes of all ways see: no Ray of the user's, a slot's threads."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return kept | {
            data.CACHE_VARIABLE: str(self.cache),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")])),
            "OMP_NUM_THREADS": str(self.threads),
            "RAY_USAGE_STATS_ENABLED": "0",
        }


class Spent(NamedTuple):
    """Seconds inside training and inside evaluation, of all trials together."""

    training: float
    evaluation: float


class Orders(NamedTuple):
    """What the other ways are told, in a file."""

    run: str
    slots: int
    threads: int
    configs: list[dict[str, Any]]


def job_of(file: Path, *, cache: Path, epochs: int | None = None) -> Job:
    """The trials of a sweep file, on the CPUs of this machine.

    Args:
        file: The sweep file.
        cache: Where its datasets are, or will be, prepared.
        epochs: In place of the file's.
    """
    overrides = ("device=cpu", *([f"epochs={epochs}"] if epochs else []))
    sweep = load_sweep(file, overrides=overrides)
    trials = (*sweep.baselines, *sweep.trials)
    slots = share_out(this_machine(), sweep.resources, trials)
    return Job(file, overrides, cache, trials, slots.num, max(1, int(slots.cpus)))


def clar_sweep(*arguments: str) -> list[str]:
    """The command line, in the Python that runs this."""
    return [sys.executable, "-c", "from clar_sweeps.cli import main; main()", *arguments]


def prepare(job: Job) -> float:
    """Prepare the datasets; gives the seconds of whole commands."""
    configs = [trial.config for trial in job.trials]
    datasets = dict.fromkeys((each.dataset, each.condition, each.folder) for each in configs)
    started = time.monotonic()
    for dataset, condition, folder in datasets:
        options = ["--condition", condition] if condition else []
        options += ["--folder", folder] if folder else []
        command = clar_sweep("data", "prepare", dataset, *options)
        subprocess.run(command, check=True, env=job.environment, capture_output=True)
    return time.monotonic() - started


def warm_up(job: Job, folder: Path) -> None:
    """Train an epoch with all operations of the sweep, so that no way compiles their loops."""
    names = dict.fromkeys(name for trial in job.trials for name in trial.config.augment)
    longest = max(job.trials, key=lambda trial: trial.config.epochs).config
    fields = longest.model_dump(mode="json", exclude={"augment_probability"})
    config = parse_config({**fields, "augment": list(names), "epochs": 1, "warmup_epochs": 0})
    assert isinstance(config, TrialConfig), config
    orders = write_orders(job._replace(trials=(make_trial(config),)), folder)
    command = [sys.executable, "-m", "benchmarks.sweep.one", str(orders), "0"]
    subprocess.run(command, check=True, env=job.environment, capture_output=True)


def write_orders(job: Job, run: Path) -> Path:
    """Write what a way that is not ours is to do; gives the file."""
    run.mkdir(parents=True)
    configs = [trial.config.model_dump(mode="json") for trial in job.trials]
    path = run / "orders.json"
    path.write_text(json.dumps(Orders(str(run), job.slots, job.threads, configs)._asdict()))
    return path


def read_orders(path: Path) -> Orders:
    """Read what `write_orders` wrote."""
    return Orders(**json.loads(path.read_text()))


def spent_in_records(job: Job, run: Path) -> Spent:
    """Sum up the records that a way has left.

    Raises:
        RecordError: A trial has none.
    """
    folders = [records.trial_folder(run, trial) for trial in job.trials]
    return sum_of([records.read_json(folder / "summary.json")["cost"] for folder in folders])


def sum_of(costs: Sequence[dict[str, float]]) -> Spent:
    """Seconds of some trials together."""
    training = sum(cost["train_seconds"] for cost in costs)
    return Spent(training, sum(cost["eval_seconds"] for cost in costs))
