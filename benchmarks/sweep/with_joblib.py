"""All trials by joblib's processes: `python -m benchmarks.sweep.with_joblib ORDERS`."""

import sys
from pathlib import Path

from joblib import Parallel, delayed

from benchmarks.sweep.job import read_orders
from benchmarks.sweep.one import train

if __name__ == "__main__":
    orders = read_orders(Path(sys.argv[1]))
    tasks = (delayed(train)(sys.argv[1], number) for number in range(len(orders.configs)))
    Parallel(n_jobs=orders.slots, backend="loky")(tasks)
