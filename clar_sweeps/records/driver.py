"""What the process that drives a run tells of itself: `run.json`, anew every few seconds."""

from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from clar_sweeps.records.files import read_sign, write_sign
from clar_sweeps.records.plain import Count, Host, UnixTime

_NAME = "run.json"
# A stranger's file must not lead a reader out of the run folder.
_TrialFolder = Annotated[
    str, Field(pattern=r"^(trials|untrained)/[^./[:cntrl:]][^/[:cntrl:]]*$", max_length=1000)
]


class Driver(NamedTuple):
    """A run under way, as it was at its last sign of life."""

    host: Host
    pid: Count
    since: UnixTime  # Unix time at which it took the run folder
    at: UnixTime  # Unix time of this sign of life
    slots: Count  # trials at once; 0 while it is not known
    running: tuple[
        _TrialFolder, ...
    ]  # folders of the trials in training, relative to the run folder
    waiting: Count  # trials, baselines included, that are still to be started
    stopping: bool  # told to stop: waits for the epochs under way


def write_driver(run: Path, driver: Driver) -> None:
    """Leave a sign of life; not synced to the disk, for the next one is near.

    Raises:
        DiskFullError: There is no room.
        OSError: Not writable.
    """
    write_sign(run / _NAME, driver._asdict())


def read_driver(run: Path) -> Driver | None:
    """The last sign of life; None where no process drives the run, or it cannot be read."""
    return read_sign(Driver, run / _NAME)


def end_driver(run: Path) -> None:
    """Take the sign of life away: no process drives the run."""
    (run / _NAME).unlink(missing_ok=True)
