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
        Path | None,
        typer.Argument(metavar="[RUN]", help="Run folder or bundle; all in ./runs if none."),
    ] = None,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="[B]", help="A second one, to compare with the first cell by cell."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where to; if none, RUN/report, FILE-report beside a bundle, or "
            "B/report/comparison-with-A.",
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.zip",
            help="Pack the run's records as well: report FILE.zip gives the same report elsewhere. "
            "Errors of failed trials and the log's end are in it, with their host names and paths.",
        ),
    ] = None,
) -> int:
    """Write figures and tables of a run, of all runs, or of two compared; from records alone."""
    if run is None:
        for option, value in (("--out", out), ("--bundle", bundle)):
            if value is not None:
                raise ConfigError(f"{option}: is for one report; name the run as well")
        return _report_all()
    if other is None:
        return _report(run, out, bundle)
    if bundle is not None:
        raise ConfigError("--bundle: is for one run; bundle the two one after the other")
    return _compare(run, other, out)


def _report(path: Path, out: Path | None, bundle: Path | None) -> int:
    from analysis.bundle import opened, write_bundle
    from analysis.report import write_report

    if path.is_dir():
        run_folder.refuse_stranger(path)
        folder = out or path / "report"
    else:
        folder = out or path.with_name(f"{path.stem}-report")
    if bundle is None:
        with opened(path) as run:
            print(write_report(run, folder))
        return 0
    if not path.is_dir():
        raise ConfigError(f"--bundle: {path} is no run folder; copy the bundle as it is")
    written = write_bundle(path, bundle)
    # From the bundle: while the run goes on, its records change between two looks.
    with opened(written.path) as run:
        print(write_report(run, folder))
    print(written)
    return 0


def _compare(one: Path, two: Path, out: Path | None) -> int:
    from analysis.bundle import opened
    from analysis.comparison.report import comparison_folder, write_comparison

    for path in (one, two):
        if path.is_dir():
            run_folder.refuse_stranger(path)
    if out is None and not two.is_dir():
        raise ConfigError(f"--out: {two} is no run folder; say where the comparison is to lie")
    with opened(one) as first, opened(two) as second:
        print(write_comparison(first, second, out or comparison_folder(first, second)))
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
