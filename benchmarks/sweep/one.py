"""One trial by itself: the process of the shell loop, and the task of joblib."""

import sys
from pathlib import Path

import torch

from benchmarks.sweep.job import read_orders
from clar_sweeps.config import TrialConfig, make_trial, parse_config
from clar_sweeps.trainer import run_trial


def train(orders_file: str, number: int) -> None:
    """Train one of the ordered configs to its record."""
    orders = read_orders(Path(orders_file))
    torch.set_num_threads(orders.threads)
    config = parse_config(orders.configs[number])
    assert isinstance(config, TrialConfig), config
    run_trial(make_trial(config), Path(orders.run), lambda row: None)


if __name__ == "__main__":
    train(sys.argv[1], int(sys.argv[2]))
