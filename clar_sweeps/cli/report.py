"""Commands that show results."""

from pathlib import Path
from typing import Annotated

import typer

from clar_sweeps.cli.entry import app, command
from clar_sweeps.cli.options import RUNS, RunArgument
from clar_sweeps.tuning import run_folder


@command(app, "report")
def report_command(
    run: RunArgument = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to; into the run folder if none.")
    ] = None,
) -> int:
    """Write figures and tables of a run, from its records alone."""
    folder = run or run_folder.newest_run(RUNS)
    run_folder.read_plan(folder)
    from analysis.report import write_report

    report = write_report(folder, out)
    print(report)
    return 0
