"""The command: measures, prints, writes."""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.commands import __doc__ as description
from benchmarks.commands.evaluating import Share, measure_shares, share_rows
from benchmarks.commands.resuming import Resumed, measure_resumption, resumption_rows
from benchmarks.commands.startup import Command, Seconds, commands, startup_rows, time_commands
from benchmarks.measuring import machine, table_of, write_result

PACKAGES = ("clar-sweeps", "torch", "numba", "typer", "rich", "pydantic")
TITLES = ("Start-up", "Evaluation", "Resumption")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the numbers where they are asked for."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="clar-commands-") as folder:
        timed = commands(Path(folder))
        seconds = time_commands(timed, rounds=options.rounds)
        print(table_of(startup_rows(timed, seconds)), flush=True)
        resumed = measure_resumption(Path(folder), rounds=options.resumptions)
        print(table_of(resumption_rows(resumed)), flush=True)
    shares = measure_shares(batch=options.batch, most_seconds=options.epoch_seconds)
    print(table_of(share_rows(shares)), flush=True)
    if options.out:
        _write(options, timed, seconds, shares, resumed)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    assert description is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.commands",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=9, help="runs of each command")
    parser.add_argument("--resumptions", type=int, default=3, help="runs of each resumed trial")
    parser.add_argument("--batch", type=int, default=64, help="clips a step")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of evaluation")
    parser.add_argument(
        "--epoch-seconds",
        type=float,
        default=4.0,
        help="an epoch that takes longer is left, and the rest of it told from its steps",
    )
    parser.add_argument("--out", type=Path, help="JSON file; the tables go beside it as .md")
    return parser.parse_args(arguments)


def _write(
    options: argparse.Namespace,
    timed: Sequence[Command],
    seconds: dict[str, Seconds],
    shares: list[Share],
    resumed: Sequence[Resumed],
) -> None:
    described = machine(PACKAGES)
    facts = ", ".join(f"{name} {value}" for name, value in described.items())
    rows = (startup_rows(timed, seconds), share_rows(shares), resumption_rows(resumed))
    tables = zip(TITLES, rows, strict=True)
    write_result(
        options.out,
        {
            "machine": described,
            "threads": options.threads,
            "batch": options.batch,
            "rounds": options.rounds,
            "resumptions": options.resumptions,
            "startup": {name: found._asdict() for name, found in seconds.items()},
            "evaluation": [_plain_share(share) for share in shares],
            "resumption": [_plain_resumed(each) for each in resumed],
        },
        title="Commands, evaluation and resumption",
        told=(
            "Seconds, medians (lowest-highest). Start-up: wall time of whole processes. "
            f"Evaluation: on {options.threads} threads, batch {options.batch}. Resumption: "
            "`clar-sweep train` of a quickstart trial with a checkpoint, from the start of its "
            "process until its next epoch begins, and until that epoch's first step is done; the "
            "imports are those of the trainer and of `torch._dynamo`, which torch imports when an "
            f"optimizer is built, measured in processes of their own. {facts}."
        ),
        table="\n\n".join(f"## {title}\n\n{table_of(each)}" for title, each in tables),
    )


def _plain_share(share: Share) -> dict[str, Any]:
    return share._asdict() | {"size": share.size.title, "of_training": share.of_training}


def _plain_resumed(resumed: Resumed) -> dict[str, Any]:
    return {
        name: value._asdict() if isinstance(value, Seconds) else value
        for name, value in resumed._asdict().items()
    }


if __name__ == "__main__":
    main()
