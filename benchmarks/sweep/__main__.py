"""The command: runs the sweep by every way, prints, writes."""

import argparse
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import machine, table_of, write_result
from benchmarks.sweep import __doc__ as description
from benchmarks.sweep.job import ROOT, Job, job_of, prepare, warm_up
from benchmarks.sweep.ways import WAYS, Measured, Way

SWEEP = ROOT / "sweeps" / "quickstart.yaml"
GOAL = 1.10
PACKAGES = ("clar-sweeps", "torch", "ray", "joblib", "numba")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the numbers where they are asked for."""
    options = _parse(arguments)
    ways = [way for way in WAYS if way.name in (options.ways or [each.name for each in WAYS])]
    with tempfile.TemporaryDirectory(prefix="clar-sweep-") as folder:
        job = job_of(options.file, cache=Path(folder) / "cache", epochs=options.epochs)
        prepared = prepare(job)
        print(f"{len(job.trials)} trials, {job.slots} slots; data prepared in {prepared:.1f} s")
        warm_up(job, Path(folder) / "warm-up")
        measured = measure(job, ways, Path(folder), rounds=options.rounds)
    tables = f"{table_of(rows_of(measured))}\n\n{table_of(part_rows(measured))}"
    print(tables)
    if options.out:
        _write(options, job, measured, prepared=prepared, tables=tables)


def measure(job: Job, ways: Sequence[Way], folder: Path, *, rounds: int) -> list[Measured]:
    """Let each way run the whole sweep once a round, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = []
    for turn in range(rounds):
        for way in ways:
            place = folder / f"{way.name.replace(' ', '-')}-{turn}"
            measured.append(way.run(job, place))
            found = measured[-1]
            print(f"{way.name}: {found.seconds:.1f} s, {found.ratio:.2f} x ideal", flush=True)
    return measured


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    assert description is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sweep",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--file", type=Path, default=SWEEP, help="the sweep file")
    parser.add_argument("--rounds", type=int, default=1, help="whole sweeps of each way")
    parser.add_argument("--epochs", type=int, metavar="N", help="in place of the sweep file's")
    names = [way.name for way in WAYS]
    parser.add_argument("--ways", nargs="+", choices=names, metavar="WAY", help=", ".join(names))
    parser.add_argument("--out", type=Path, help="JSON file; the tables go beside it as .md")
    return parser.parse_args(arguments)


def rows_of(measured: Sequence[Measured]) -> list[list[str]]:
    """Table rows: a line a way, medians of its runs."""
    rows = [["way", "wall", "ideal", "ratio", "notes"]]
    for way in WAYS:
        if found := [one for one in measured if one.way == way.name]:
            seconds, ideal, ratio = (
                statistics.median(getattr(one, name) for one in found)
                for name in ("seconds", "ideal", "ratio")
            )
            rows.append([way.name, f"{seconds:.1f} s", f"{ideal:.1f} s", f"{ratio:.2f}", way.note])
    return rows


def part_rows(measured: Sequence[Measured]) -> list[list[str]]:
    """Table rows: a line a part of our wall time, medians of our runs."""
    rows = [["part of clar-sweep", "seconds", "of the ideal"]]
    ours = [one for one in measured if one.parts]
    for part in ours[0].parts if ours else ():
        seconds = statistics.median(one.parts[part] for one in ours)
        share = statistics.median(one.parts[part] / one.ideal for one in ours)
        rows.append([part, f"{seconds:.1f}", f"{share:.1%}"])
    return rows


def _write(
    options: argparse.Namespace,
    job: Job,
    measured: Sequence[Measured],
    *,
    prepared: float,
    tables: str,
) -> None:
    described = machine(PACKAGES)
    facts = ", ".join(f"{name} {value}" for name, value in described.items())
    data: dict[str, Any] = {
        "machine": described,
        "sweep": options.file.name,
        "overrides": job.overrides,
        "trials": len(job.trials),
        "slots": job.slots,
        "threads_a_slot": job.threads,
        "rounds": options.rounds,
        "goal": GOAL,
        "data_seconds": prepared,
        "measured": [one._asdict() | {"ratio": one.ratio} for one in measured],
    }
    write_result(
        options.out,
        data,
        title="A sweep over the least it could take",
        told=(
            f"{options.file.name} with {', '.join(job.overrides)}: {len(job.trials)} trials, "
            f"untrained encoders included, in {job.slots} slots of {job.threads} threads; "
            f"medians of {options.rounds} rounds. The ideal is that run's training and evaluation, "
            f"shared out among the slots. Goal: at most {GOAL:.2f}. The dataset was prepared "
            f"beforehand, in {prepared:.1f} s. {facts}."
        ),
        table=tables,
    )


if __name__ == "__main__":
    # By way of all `finally` clauses, which end the way under way.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    main()
