"""All trials by a function trainable of Ray Tune: `python -m benchmarks.sweep.with_tune ORDERS`.

As its users write it: a config from a grid, numbers and a checkpoint each epoch. Tune keeps them.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from benchmarks.sweep.job import read_orders
from clar_sweeps import data
from clar_sweeps.config import TrialConfig, parse_config
from clar_sweeps.trainer import Trainer


def train(space: dict[str, Any]) -> None:
    """Train one config."""
    torch.set_num_threads(space["threads"])
    config = parse_config(space["config"])
    assert isinstance(config, TrialConfig), config
    clips = data.load(*config.clips)
    trainer = Trainer(config, clips)
    cost = {"train_seconds": 0.0, "eval_seconds": 0.0}
    if not config.epochs:
        tune.report(evaluate(trainer, cost) | cost)
    while trainer.epoch < config.epochs:
        epoch = trainer.train_epoch()
        cost["train_seconds"] += epoch.seconds
        metrics = dict(epoch.losses)
        if trainer.epoch % config.eval_every == 0 or trainer.epoch == config.epochs:
            metrics |= evaluate(trainer, cost)
        with tempfile.TemporaryDirectory() as folder:
            trainer.save(Path(folder) / "checkpoint.pt", trial_id="tune", progress={})
            tune.report(metrics | cost, checkpoint=tune.Checkpoint.from_directory(folder))


def evaluate(trainer: Trainer, cost: dict[str, float]) -> dict[str, float]:
    """Judge the encoder, and add what that took."""
    started = time.perf_counter()
    metrics = trainer.evaluate()
    cost["eval_seconds"] += time.perf_counter() - started
    return metrics


def main(orders_file: Path, scratch: str) -> None:
    """Run the grid."""
    orders = read_orders(orders_file)
    ray.init("local", num_cpus=orders.slots * orders.threads, _temp_dir=scratch)
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": orders.threads}),
        param_space={"threads": orders.threads, "config": tune.grid_search(orders.configs)},
        run_config=tune.RunConfig(name="tune", storage_path=str(Path(orders.run).absolute())),
    )
    results = tuner.fit()
    ray.shutdown()
    if results.num_errors:
        raise SystemExit(f"{results.num_errors} trials failed")


if __name__ == "__main__":
    # In a short path, for that of a socket has 107 bytes.
    with tempfile.TemporaryDirectory(prefix="tune-", dir="/tmp") as folder:
        main(Path(sys.argv[1]), folder)
