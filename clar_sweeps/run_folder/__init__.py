"""The run folder as a whole: its plan, what is left to do, and who works in it."""

from clar_sweeps.run_folder.holding import (
    SCRATCH,
    held,
    is_driven,
    opened,
    withdraw_stops,
)
from clar_sweeps.run_folder.plan import (
    PLAN,
    Work,
    find_work,
    newest_run,
    read_plan,
    refuse_stranger,
)
from clar_sweeps.run_folder.refusals import refuse_links, refuse_other_clips

__all__ = [
    "PLAN",
    "SCRATCH",
    "Work",
    "find_work",
    "held",
    "is_driven",
    "newest_run",
    "opened",
    "read_plan",
    "refuse_links",
    "refuse_other_clips",
    "refuse_stranger",
    "withdraw_stops",
]
