"""What a run still has to do, and what becomes of what happens; the same with Ray and without."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import DiskFullError, RecordError, UsageError
from clar_sweeps.records import OUT_OF_MEMORY, Failure, Record
from clar_sweeps.tuning.deaths import is_repeated, keep_death, last_line
from clar_sweeps.tuning.events import Listener
from clar_sweeps.tuning.requests import Requests
from clar_sweeps.tuning.retries import Breaker, Retries, tells_most
from clar_sweeps.tuning.slots import Slots, one_fewer_per_gpu

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 1.0
# A process that was killed a moment ago may not have given the lock back.
_LOCK_TIMEOUT_SECONDS = 2.0
# A lost process may hold its trial until NFS takes the lock from its machine, 90 s, or until Ray,
# which may first learn of the loss, has cleaned up after it.
_LOCK_PATIENCE_SECONDS = 15 * 60.0


@dataclass
class _Running:
    trial: Trial
    slots: Slots  # at the time it was handed out
    failures: int  # that its failures.jsonl told of then
    epoch: int = 0
    started: bool = False


class Schedule:
    """Hands out trials, takes in how they ended, and decides what comes next.

    Nothing in here raises for what a record or a disk does: the first such fault is kept, nothing
    more is handed out, and whoever drives the run raises it when the others have ended.
    """

    def __init__(
        self,
        trials: Iterable[Trial],
        run: Path,
        *,
        slots: Slots,
        max_retries: int,
        listener: Listener,
        use_slots: Callable[[int], object] = lambda num: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            trials: Those to train, in order.
            run: The run folder.
            slots: How many at once, and what each has; see also `take_slots`.
            max_retries: Times that a trial is taken up again.
            listener: Told of all that happens.
            use_slots: Told how many run at once, when that is found or changes.
            clock: Seconds, from any origin.
        """
        self.run = run
        self.slots = slots
        self.stopping = False
        self.signal: int | None = None  # that told this process to stop
        self.fault: OSError | UsageError | None = None
        self._waiting = deque(trials)
        self._running: dict[str, _Running] = {}
        self._requests = Requests()
        self._retries = Retries(max_retries)
        self._breaker = Breaker()
        self._locked_since: dict[str, float] = {}  # by trial, until it is trained here
        self._failures_before: dict[str, int] = {}  # this run, by trial
        self._listener = listener
        self._use_slots = use_slots
        self._clock = clock
        self._looked = clock()

    def take_slots(self, slots: Slots) -> None:
        """Use other slots from now on."""
        self.slots = slots
        self._use_slots(slots.num)

    @property
    def waiting(self) -> list[Trial]:
        """Trials that are to be handed out, the next one first."""
        return list(self._waiting)

    @property
    def num_slots(self) -> int:
        """Trials at once."""
        return self.slots.num

    @property
    def running(self) -> list[Trial]:
        """Trials in training."""
        return [each.trial for each in list(self._running.values()) if each.started]

    @property
    def num_waiting(self) -> int:
        """Trials that are still to be started, if nobody stops the run."""
        return len(self._waiting) + sum(not each.started for each in list(self._running.values()))

    @property
    def is_over(self) -> bool:
        """Nothing is handed out and nothing will be."""
        return not self._running and (self.stopping or not self._waiting)

    @property
    def is_idle(self) -> bool:
        """The run stops and none is in training: what was handed out need not begin."""
        return self.stopping and not self.running

    def next(self) -> Trial | None:
        """The next trial, which counts as running from now on; None where none may start now."""
        while self._waiting and len(self._running) < self.slots.num:
            self.see_request()
            if self.stopping:
                return None
            trial = self._waiting.popleft()
            folder = records.trial_folder(self.run, trial)
            if records.stop_requested(folder):  # by name, before it began
                self._listener.ended(trial, self._record(trial))
                continue
            try:
                failures = len(records.read_failures(folder))
            except (OSError, RecordError) as error:
                self.give_up(error)
                return None
            self._failures_before.setdefault(trial.id, failures)
            self._running[trial.id] = _Running(trial, self.slots, failures)
            return trial
        return None

    def started(self, trial: Trial) -> None:
        """A process takes up a trial that was handed out."""
        self._running[trial.id].started = True
        if self.stopping:  # by a signal, just when it was handed out
            self._ask_to_stop(trial)
        self._listener.started(trial)

    def reported(self, trial: Trial, row: Mapping[str, Any]) -> None:
        """A trial tells of an epoch, or of something that the user should know."""
        if "note" in row:
            self.note(f"{trial.name}: {row['note']}")
        elif "epoch" in row:
            self._running[trial.id].epoch = row["epoch"]
            self._breaker.trained(trial.id)
            self._locked_since.pop(trial.id, None)
            self._listener.reported(trial, row)

    def note(self, text: str) -> None:
        """Something that the user should know."""
        self._listener.note(text)

    def returned(self, trial: Trial) -> None:
        """A trial has ended, or stopped as asked; its record tells which."""
        self.see_request()  # the trial may have seen it first
        self._running.pop(trial.id)
        record = self._record(trial)
        if record is not None and record.state == "done":
            self._breaker.ended_well()
        self._listener.ended(trial, record)

    def locked(self, trial: Trial) -> None:
        """Another process holds the trial, perhaps one that was lost and lives on for a while.

        It is no fault of the trial's: it waits behind the others and is tried again, which does not
        count, and after 15 min is left to that process.
        """
        self.see_request()
        self._running.pop(trial.id)
        is_news = trial.id not in self._locked_since
        since = self._locked_since.setdefault(trial.id, self._clock())
        minutes = f"{_LOCK_PATIENCE_SECONDS / 60:g} min"
        if not self.stopping and self._clock() - since < _LOCK_PATIENCE_SECONDS:
            self._waiting.append(trial)
            why = f"another process still holds it; tried again for at most {minutes}"
            self._listener.restarted(trial, why if is_news else "")
            return
        if not self.stopping:
            self.note(
                f"{trial.name}: left out, for another process has held "
                f"{records.trial_folder(self.run, trial)} for more than {minutes}; wait for that "
                "process or end it, then the same command goes on"
            )
        self._listener.ended(trial, self._record(trial))

    def interrupted(self, trial: Trial, death: Failure) -> None:
        """A trial's process has raised, died or been ended.

        Args:
            trial: The trial.
            death: What to keep where the trial itself could keep nothing.
        """
        was = self._running.pop(trial.id)
        self._locked_since.pop(trial.id, None)
        folder = records.trial_folder(self.run, trial)
        try:
            self._decide(was, keep_death(folder, death, before=was.failures))
        except (OSError, RecordError, DiskFullError) as error:
            self.give_up(error)
            self._listener.ended(trial, self._record(trial))

    def _decide(self, was: _Running, failures: list[Failure]) -> None:
        trial, failure = was.trial, failures[-1]
        if failure.kind == OUT_OF_MEMORY and was.slots.gpus == self.slots.gpus:
            self._make_room(trial)
        verdict = self._retries.judge(
            trial.id,
            failure.kind,
            epoch=was.epoch,
            has_more_room=self.slots.gpus > was.slots.gpus,
            is_repeated=is_repeated(failures),
        )
        if not verdict.again:
            # Of those of this run; all may have gone with the file.
            failures = failures[self._failures_before[trial.id] :] or failures[-1:]
            self._close(trial, tells_most(failures))
            self._stop_if_in_vain(trial, failure)
        elif self.stopping:
            self._listener.ended(trial, self._record(trial))
        else:
            # What counted waits behind the others: its cause may have gone by then, and a bad
            # trial is to keep no good one waiting.
            (self._waiting.append if verdict.counts else self._waiting.appendleft)(trial)
            tried = f"retry {verdict.num} of {self._retries.max_retries}"
            tried = tried if verdict.counts else "a retry that does not count"
            self._listener.restarted(trial, f"{last_line(failure)}; {tried}")

    def _stop_if_in_vain(self, trial: Trial, failure: Failure) -> None:
        in_vain = self._breaker.gave_up(trial.id, failure.kind)
        is_left = self._waiting or self._running
        if in_vain and is_left and not self.stopping:
            self.note(
                f"{self._breaker.num} trials in a row were given up before they had trained an "
                f"epoch, so no more are started; the last for: {last_line(failure)}"
            )
            self.stop()

    def _make_room(self, trial: Trial) -> None:
        fewer = one_fewer_per_gpu(self.slots)
        if fewer is None:
            return
        self.take_slots(fewer)
        self.note(
            f"{trial.name}: out of memory on a GPU that trials share; those that start from now on "
            f"are one fewer on each: {fewer.describe()}"
        )

    def _close(self, trial: Trial, failure: Failure) -> None:
        """Give a trial up."""
        folder = records.trial_folder(self.run, trial)
        with records.locked(folder, timeout_seconds=_LOCK_TIMEOUT_SECONDS) as acquired:
            # Held by a process that is no longer ours: what it trains is not ours to close.
            if acquired and records.state_of(self.run, trial) in ("missing", "unfinished"):
                records.close_unsuccessful(folder, trial, failure)
        self._listener.ended(trial, self._record(trial))

    def _record(self, trial: Trial) -> Record | None:
        folder = records.trial_folder(self.run, trial)
        try:
            return records.read_record(folder) if (folder / "config.json").exists() else None
        except (OSError, RecordError) as error:
            self.give_up(error)
            return None

    def give_up(self, fault: OSError | UsageError) -> None:
        """Hand out nothing more for a fault that no trial can mend; those in training stop."""
        logger.error("%s", fault)
        if self.fault is None:
            self.fault = fault
            self.stop()

    def stop(self) -> None:
        """Hand out nothing more, and let those in training end their epoch and stop."""
        self.stopping = True
        for each in list(self._running.values()):
            self._ask_to_stop(each.trial)

    def _ask_to_stop(self, trial: Trial) -> None:
        self._requests.ask(records.trial_folder(self.run, trial))

    def drop_unstarted(self) -> None:
        """Forget what was handed out and got no process; the next run of the folder takes it up."""
        for each in [each for each in self._running.values() if not each.started]:
            del self._running[each.trial.id]
            self._listener.ended(each.trial, self._record(each.trial))

    def look(self) -> bool:
        """See whether somebody asked the run to stop; call it often, it tells when it did look."""
        if self._clock() - self._looked < _SECONDS_BETWEEN_LOOKS:
            return False
        self._looked = self._clock()
        self.see_request()
        return True

    def see_request(self) -> None:
        """Stop if somebody asked the run to."""
        if not self.stopping and records.stop_requested(self.run):
            self.note(f"asked to stop: {self.describe_rest()}")
            self.stop()

    def describe_rest(self) -> str:
        """What a run that stops waits for."""
        num = len(self.running)
        if num == 0:
            return "no trial is in training"
        return "1 trial ends its epoch" if num == 1 else f"{num} trials end their epoch"

    def close(self) -> None:
        """Withdraw what this run asked of its trials; call it when none is in training."""
        self._requests.withdraw()
