"""The command: measures, prints, writes."""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.commands import __doc__ as description
from benchmarks.commands.evaluating import Share, measure_shares, share_rows
from benchmarks.commands.resuming import Resumed, measure_resumption, resumption_rows
from benchmarks.commands.startup import Seconds, commands, startup_rows, time_commands
from benchmarks.measuring import machine, table_of, write_result

PACKAGES = ("clar-sweeps", "torch", "numba", "typer", "rich", "pydantic")
TOLD = {
    "startup": "Start-up: wall time of whole processes",
    "evaluation": "Evaluation: an epoch's and an evaluation's time, once",
    "resumption": (
        "Resumption: `clar-sweep train` of a quickstart trial with a checkpoint, from the start of "
        "its process until its next epoch begins, and until that epoch's first step is done; the "
        "imports are those of the trainer and of `torch._dynamo`, which torch imports when an "
        "optimizer is built, in processes of their own"
    ),
}


class Section(NamedTuple):
    """What a part of the benchmark has found."""

    rows: list[list[str]]
    measured: Any  # plain


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the numbers where they are asked for."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    measures = {"startup": _startup, "resumption": _resumption, "evaluation": _evaluation}
    sections = {}
    for name in options.only or measures:
        with tempfile.TemporaryDirectory(prefix="clar-commands-") as folder:
            sections[name] = measures[name](options, Path(folder))
        print(table_of(sections[name].rows), flush=True)
    if options.out:
        how = f"{options.threads} threads, batch {options.batch}"
        _write(options.out, sections, how=f"{how}; {options.remark}".removesuffix("; "))


def _startup(options: argparse.Namespace, folder: Path) -> Section:
    timed = commands(folder)
    found = time_commands(timed, rounds=options.rounds)
    measured = {name: seconds._asdict() for name, seconds in found.items()}
    return Section(startup_rows(timed, found), measured)


def _resumption(options: argparse.Namespace, folder: Path) -> Section:
    found = measure_resumption(folder, rounds=options.resumptions)
    return Section(resumption_rows(found), [_plain_resumed(each) for each in found])


def _evaluation(options: argparse.Namespace, folder: Path) -> Section:
    shares = measure_shares(batch=options.batch, most_seconds=options.epoch_seconds)
    return Section(share_rows(shares), [_plain_share(share) for share in shares])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    assert description is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.commands",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(TOLD), metavar="PART", help=", ".join(TOLD)
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
    parser.add_argument("--remark", default="", help="what else the machine did meanwhile")
    parser.add_argument("--out", type=Path, help="JSON file; the tables go beside it as .md")
    return parser.parse_args(arguments)


def _write(out: Path, sections: dict[str, Section], *, how: str) -> None:
    """Write what was measured, and how, beside what an earlier call has of the other parts."""
    described = machine(PACKAGES)
    earlier = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    if earlier and earlier["machine"] != described:
        raise SystemExit(f"{out}: was measured on another machine; give another --out")
    kept = earlier.get("sections", {})
    kept |= {name: {"how": how, **section._asdict()} for name, section in sections.items()}
    kept = {name: kept[name] for name in TOLD if name in kept}
    facts = ", ".join(f"{name} {value}" for name, value in described.items())
    told = " ".join(f"{TOLD[name]} ({section['how']})." for name, section in kept.items())
    write_result(
        out,
        {"machine": described, "sections": kept},
        title="Commands, evaluation and resumption",
        told=f"Seconds, medians (lowest-highest). {told} {facts}.",
        table="\n\n".join(table_of(section["rows"]) for section in kept.values()),
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
