"""What becomes of a trial that was interrupted; the same with Ray and without. Pure logic."""

from collections.abc import Sequence
from typing import NamedTuple

from clar_sweeps.records import DIVERGED, OUT_OF_MEMORY, Failure

# Kinds of interruption that the trial could not write down itself.
PROCESS_DIED = "ProcessDied"
HUNG = "Hung"
NODE_LOST = "NodeLost"
_LOSSES = (PROCESS_DIED, HUNG, NODE_LOST)
# Such a trial has come as far as its first steps, and what it met is in its config.
_OF_THE_TRIAL = (DIVERGED, OUT_OF_MEMORY)
_MOST_IN_VAIN = 5


class Verdict(NamedTuple):
    """Whether an interrupted trial is taken up again."""

    again: bool
    counts: bool  # towards the retries that it has
    num: int  # interruptions that counted so far, this one included


class Retries:
    """Counts the interruptions of each trial in this run.

    A loss of a node is no fault of the trial's, so it does not count; but a trial may be what
    brings nodes down, so it does where the trial trained no epoch further since the last one.
    Neither does a want of memory on a shared GPU for which room has been made since.

    A trial that diverges as it has diverged before, at the same step with the same number, would do
    so again: it is given up at once.
    """

    def __init__(self, max_retries: int) -> None:
        self.max_retries = max_retries
        self._num: dict[str, int] = {}
        self._furthest: dict[str, int] = {}  # epoch at the last loss of a node

    def judge(
        self,
        trial_id: str,
        kind: str,
        *,
        epoch: int,
        has_more_room: bool = False,
        is_repeated: bool = False,
    ) -> Verdict:
        """Take an interruption in.

        Args:
            trial_id: Of the trial.
            kind: Of the failure.
            epoch: Epochs trained by then.
            has_more_room: The next attempt shares its GPU with fewer others than this one did.
            is_repeated: An earlier failure of the trial, of another run as well, says the same.
        """
        excused = kind == OUT_OF_MEMORY and has_more_room
        if kind == NODE_LOST:
            excused = epoch > self._furthest.get(trial_id, -1)
            self._furthest[trial_id] = max(epoch, self._furthest.get(trial_id, -1))
        if not excused:
            self._num[trial_id] = self._num.get(trial_id, 0) + 1
        num = self._num.get(trial_id, 0)
        is_in_vain = kind == DIVERGED and is_repeated
        again = excused or (num <= self.max_retries and not is_in_vain)
        return Verdict(again, counts=not excused, num=num)


class Breaker:
    """Tells that a run had better stop: trial after trial is given up with no epoch trained.

    Then the cause is rather the machine, the disk or the installation than the trials, and to go on
    would close the whole sweep as failed. Five in a row are enough. Others that are in training
    meanwhile do not interrupt the row, for one bad machine fails fast and would get all trials of a
    cluster; only one that is done does, or one that is given up later than its first epoch.

    Cells of a sweep that are simply wrong do not count: what `run_trial` closes itself (a
    UsageError) is not given up here, and a divergence or a want of memory on a GPU is the trial's
    own. As retries wait behind the other trials, all have had their turn before one is given up.
    """

    def __init__(self) -> None:
        self.num = 0  # given up in a row
        self._trained: set[str] = set()

    def trained(self, trial_id: str) -> None:
        """A trial has trained an epoch in this run."""
        self._trained.add(trial_id)

    def ended_well(self) -> None:
        """A trial is done."""
        self.num = 0

    def gave_up(self, trial_id: str, kind: str) -> bool:
        """Take in that a trial is given up; tells whether to stop.

        Args:
            trial_id: Of the trial.
            kind: Of its last failure.
        """
        if trial_id in self._trained:
            self.num = 0
        elif kind not in _OF_THE_TRIAL:
            self.num += 1
        return self.num >= _MOST_IN_VAIN


def tells_most(failures: Sequence[Failure]) -> Failure:
    """Of the failures of one trial in one run, the one that it is given up for.

    The last, unless that is the loss of its process, of which the trial may be innocent, and it
    had diverged before: how often processes were lost must not decide what a table shows.
    """
    last = failures[-1]
    if last.kind in _LOSSES:
        return next((each for each in reversed(failures) if each.kind == DIVERGED), last)
    return last
