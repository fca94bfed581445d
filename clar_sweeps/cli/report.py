"""Commands that show results."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from clar_sweeps import run_folder
from clar_sweeps.cli.entry import app, command
from clar_sweeps.cli.options import RUNS
from clar_sweeps.errors import ConfigError, RecordError


@command(app, "report")
def report_command(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Run folder; all in ./runs if none.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to, with one run; into its folder if none."),
    ] = None,
) -> int:
    """Write figures and tables of a run or of all runs, from their records alone."""
    if run is None and out is not None:
        raise ConfigError("--out: is for one report; name the run as well")
    return _report_all() if run is None else _report(run, out)


def _report(run: Path, out: Path | None) -> int:
    run_folder.refuse_stranger(run)
    from analysis.report import write_report

    print(write_report(run, out))
    return 0


def _report_all() -> int:
    from analysis.reports import find_runs, write_reports

    if not find_runs(RUNS):
        raise RecordError(f"{RUNS}: holds no run; start one with 'clar-sweep run FILE'")
    written = write_reports(RUNS, told=lambda run: print(f"reading {run}", file=sys.stderr))
    for report in written.reports:
        print(report.page)
    print(written.page)
    for fault in written.faults:
        print(fault, file=sys.stderr)
    return 2 if written.faults else 0
