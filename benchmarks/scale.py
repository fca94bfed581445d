"""How long the commands take on sweeps of up to 10,000 trials, and how that grows.

    python -m benchmarks.scale --out benchmarks/results/scale.json

Each command runs in a process of its own, imports included. The sweep is the file of Figure 4,
seed upon seed; its records are written as a run leaves them, without the training: of a hundred
trials 96 are done, one failed, one diverged, one is unfinished and one has not begun.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.sweep import load_sweep, plan_to_json

SWEEP = Path(__file__).parents[1] / "sweeps" / "aug_pairs.yaml"
OVERRIDES = ("dataset=spoken-digits", "epochs=20", "eval_every=5", "warmup_epochs=2")
CELLS = 72
EPOCHS = 20
# Start-up costs the same at any size: this one is taken off before the growth is told.
SMALLEST = CELLS
LIMIT_SECONDS = 10.0

_COMMAND = "from clar_sweeps.cli import main; main()"
# What `run` does before the first trial starts: the plan laid over that of the folder, the work.
_RESUME = """
import sys
from pathlib import Path
from clar_sweeps.sweep import load_sweep
from clar_sweeps import run_folder
file, run, seeds, *overrides = sys.argv[1:]
sweep = load_sweep(Path(file), overrides=overrides, seeds=tuple(range(int(seeds))))
with run_folder.opened(Path(run), sweep):
    print(len(run_folder.find_work(sweep, Path(run)).to_run))
"""


class Measured(NamedTuple):
    """One command on a sweep of one size."""

    command: str
    trials: int
    seconds: float  # on the wall
    cpu_seconds: float
    peak_mib: float


def main() -> None:
    """Measure, print, and write the numbers where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 3_000, 10_000])
    parser.add_argument("--out", type=Path, help="JSON file; the table goes beside it as .md")
    parser.add_argument("--remark", default="", help="what else the machine did meanwhile")
    options = parser.parse_args()
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="clar-scale-") as folder:
        for trials in (SMALLEST, *options.sizes):
            for one in measure(Path(folder) / str(trials), num_seeds=math.ceil(trials / CELLS)):
                print(f"{one.trials:6} {one.command:22} {one.seconds:6.2f} s", end=" ")
                print(f"({one.cpu_seconds:.2f} s of CPU), {one.peak_mib:.0f} MiB", flush=True)
                measured.append(one)
    table = growth_table(measured)
    print(table)
    if options.out:
        write_results(options.out, measured, table, remark=options.remark)


def measure(folder: Path, *, num_seeds: int) -> list[Measured]:
    """Time every command on a sweep of so many seeds a cell."""
    run, seeds = folder / "run", ",".join(map(str, range(num_seeds)))
    sets = [part for text in OVERRIDES for part in ("--set", text)]
    on_file = [str(SWEEP), *sets, "--seeds", seeds, "--run-dir", str(run)]
    resume = [str(SWEEP), str(run), str(num_seeds), *OVERRIDES]
    sweep = load_sweep(SWEEP, overrides=OVERRIDES, seeds=tuple(range(num_seeds)))
    everything, size = [*sweep.baselines, *sweep.trials], len(sweep.trials)
    run.mkdir(parents=True)
    (run / "plan.json").write_text(json.dumps(plan_to_json(sweep)), encoding="utf-8")
    found = [_time("plan, nothing done", size, _COMMAND, ["plan", *on_file])]
    for place, trial in enumerate(everything[: len(everything) // 2]):
        write_trial(run, trial, place)
    found.append(_time("resume, half done", size, _RESUME, resume))
    for place, trial in enumerate(everything[len(everything) // 2 :]):
        write_trial(run, trial, place)
    found += [
        _time("plan", size, _COMMAND, ["plan", *on_file]),
        _time("resume, all done", size, _RESUME, resume),
        _time("status", size, _COMMAND, ["status", str(run)]),
        _time("report", size, _COMMAND, ["report", str(run)]),
    ]
    page = run / "report" / "index.html"
    print(f"{size:6} page of {page.stat().st_size / 1e6:.1f} MB")
    shutil.rmtree(folder)
    return found


def write_trial(run: Path, trial: Trial, place: int) -> None:
    """Leave the record of one trial as a run would, without syncing each line to the disk."""
    match place % 100 if trial.config.epochs else 0:
        case 7:
            return
        case 23:
            _write_record(run, trial, state="failed", epochs=3)
        case 51:
            _write_record(run, trial, state="diverged", epochs=1)
        case 77:
            _write_record(run, trial, state=None, epochs=EPOCHS // 2)
        case _:
            _write_record(run, trial, state="done", epochs=trial.config.epochs)


def _write_record(run: Path, trial: Trial, *, state: str | None, epochs: int) -> None:
    folder = records.trial_folder(run, trial)
    folder.mkdir(parents=True)
    head = {"format": records.FORMAT, "id": trial.id, "name": trial.name}
    config = trial.config.model_dump(mode="json")
    _write(folder / "config.json", {**head, "semantics": 2, "config": config})
    top1 = int(trial.id, 16) % 8_000 / 10_000 + 0.1
    rows = [_epoch(epoch, top1) for epoch in range(1, epochs + 1)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "history.jsonl").write_text(text, encoding="utf-8")
    (folder / "checkpoint.pt").write_bytes(b"")
    if state is None:
        return
    error = {"type": "RuntimeError", "message": "out of memory", "traceback": 40 * "a line\n"}
    summary = {
        **head,
        "state": state,
        "metrics": _metrics(top1) if state == "done" else {},
        "cost": {"train_seconds": 61.25, "eval_seconds": 4.5, "total_seconds": 66.125},
        "error": None if state == "done" else error,
        "provenance": {**_machine(), "dataset_digest": 64 * "a"},
    }
    _write(folder / "summary.json", summary)


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _epoch(epoch: int, top1: float) -> dict[str, Any]:
    row = {"epoch": epoch, "step": 12 * epoch, "loss": 6.0 - 0.1 * epoch, "seconds": 3.0625}
    row |= {"learning_rate": 0.05, "clips_per_second": 812.5}
    return row | (_metrics(top1 * epoch / EPOCHS) if epoch % 5 == 0 else {})


def _metrics(top1: float) -> dict[str, float]:
    kinds = {"": 0.0, "_linear": 0.02, "_knn": -0.02}
    return {
        f"{split}{kind}_top1": max(0.0, top1 + more)
        for split in ("test", "valid")
        for kind, more in kinds.items()
    }


def _time(name: str, trials: int, code: str, arguments: Sequence[str]) -> Measured:
    """Run a command in a process of its own."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{name} with {trials} trials did not end well")
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Measured(name, trials, seconds, cpu_seconds, _peak_mib(usage))


def _peak_mib(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024  # kibibytes on Linux


def growth(found: Sequence[Measured]) -> float:
    """Exponent of the size in what a command costs above the smallest sweep; 1 is linear.

    The slope through all larger sizes, of seconds of the processor, which other work on the
    machine bends less than the wall's.
    """
    smallest, *larger = found
    if len({one.trials for one in larger}) < 2:
        return math.nan
    sizes = [math.log(one.trials) for one in larger]
    costs = [math.log(max(one.cpu_seconds - smallest.cpu_seconds, 1e-3)) for one in larger]
    return statistics.linear_regression(sizes, costs).slope


def by_command(measured: Sequence[Measured]) -> dict[str, list[Measured]]:
    """The measurements of each command, the smallest sweep first."""
    names = dict.fromkeys(one.command for one in measured)
    return {name: [one for one in measured if one.command == name] for name in names}


def growth_table(measured: Sequence[Measured]) -> str:
    """A row a command, a column a size, and the growth between the first and the last."""
    sizes = sorted({one.trials for one in measured})
    heads = ["of it CPU", "growth", "peak memory"]
    lines = [["command", *(f"{size:,} trials" for size in sizes), *heads]]
    lines.append([":---", *["---:"] * (len(sizes) + len(heads))])
    for command, found in by_command(measured).items():
        seconds = [f"{one.seconds:.1f} s" for one in found]
        peak = f"{max(one.peak_mib for one in found):.0f} MiB"
        cpu = f"{found[-1].cpu_seconds:.1f} s"
        lines.append([command, *seconds, cpu, f"{growth(found):.2f}", peak])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_results(path: Path, measured: Sequence[Measured], table: str, *, remark: str) -> None:
    """Write the numbers with what they were measured on, and the table beside them."""
    machine = _machine()
    slowest = max(one.seconds for one in measured)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "machine": machine,
        "remark": remark,
        "limit_seconds": LIMIT_SECONDS,
        "slowest_seconds": round(slowest, 2),
        "growth": {
            name: None if math.isnan(exponent) else round(exponent, 2)
            for name, found in by_command(measured).items()
            for exponent in (growth(found),)
        },
        "measured": [one._asdict() for one in measured],
    }
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    told = ", ".join(f"{name} {value}" for name, value in machine.items())
    path.with_suffix(".md").write_text(
        "# Commands on many trials\n\nWall time of a whole command, imports included; growth is "
        f"the exponent of the size in its seconds of CPU above those of {SMALLEST} trials. {told}."
        f"{f' {remark}.' if remark else ''}\n\n{table}\n",
        encoding="utf-8",
    )


def _machine() -> dict[str, str]:
    packages = ("clar-sweeps", "pydantic", "pandas", "matplotlib", "numpy")
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


if __name__ == "__main__":
    main()
