"""The run folder as a whole: its plan, what is left to do, and who works in it."""

from clar_sweeps.run_folder.holding import (
    is_driven,
    opened,
    refuse_other_folder,
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
    "Work",
    "find_work",
    "is_driven",
    "newest_run",
    "opened",
    "read_plan",
    "refuse_links",
    "refuse_other_clips",
    "refuse_other_folder",
    "refuse_stranger",
    "withdraw_stops",
]
