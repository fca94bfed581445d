"""The reports of all runs of a folder, and the page that links them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from analysis.page import IndexEntry, index_page
from analysis.report import Report, write_report
from clar_sweeps.errors import UsageError
from clar_sweeps.records import write_atomically


class Reports(NamedTuple):
    """What was written of a folder of runs."""

    page: Path  # that links them
    reports: tuple[Report, ...]
    faults: tuple[str, ...]  # a line for each run without a report


def find_runs(runs: Path) -> list[Path]:
    """The folders that hold a run, or what a damaged or killed one left, by name."""
    return sorted(
        path
        for path in runs.glob("*")
        if path.is_dir() and any((path / name).exists() for name in ("plan.json", "trials"))
    )


def write_reports(
    runs: Path,
    *,
    write: Callable[[Path], Report] = write_report,
    told: Callable[[Path], None] = lambda run: None,
) -> Reports:
    """Write the report of every run into its own folder, and `index.html` beside them.

    A run whose records cannot be read, or whose report cannot be written, stops no other.

    Args:
        runs: Holds the run folders.
        write: Writes the report of a run.
        told: Called with each run before it is read.

    Raises:
        OSError: The page that links them cannot be written.
    """
    reports, faults, entries = [], [], []
    for run in find_runs(runs):
        told(run)
        try:
            report = write(run)
        except (UsageError, OSError) as error:
            fault = f"{run}: {error.strerror}" if isinstance(error, OSError) else str(error)
            faults.append(fault)
            entries.append(IndexEntry(run.name, "", (), (), "", fault))
            continue
        reports.append(report)
        address = quote(os.path.relpath(report.page, runs))
        entries.append(
            IndexEntry(run.name, address, report.headlines, report.protocols, report.states, "")
        )
    page = runs / "index.html"
    write_atomically(page, index_page(entries).encode())
    return Reports(page, tuple(reports), tuple(faults))
