"""The command `clar-sweep`: parse and call.

Results go to stdout, progress and faults to stderr. Exit code 0: done; 1: a trial failed or is
unfinished; 2: something given is wrong; 130: interrupted. What takes long to import (torch, Ray,
pandas) is imported by the commands that need it.
"""

from clar_sweeps.cli import audit, data, gallery, report, status, stop, sweeps
from clar_sweeps.cli.entry import app, main

__all__ = ["app", "audit", "data", "gallery", "main", "report", "status", "stop", "sweeps"]
