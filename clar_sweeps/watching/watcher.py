"""Reads a run folder again and again, each time only what may have changed."""

import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError
from clar_sweeps.records import Driver, Live, State
from clar_sweeps.run_folder import PLAN, read_plan
from clar_sweeps.watching.estimate import Estimate, Left, Task, kind_of
from clar_sweeps.watching.panels import lay_out
from clar_sweeps.watching.snapshot import Running, Snapshot, Standing, part_of_epoch
from clar_sweeps.watching.standing import ENDED, first_epoch, read_standing

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_SCANS = 30.0
# By the clocks alone, which differ between machines, a younger sign is a fresh one.
_CLOCKS_DIFFER_SECONDS = 60.0


class _Sign(NamedTuple):
    """A sign of life as it was first seen here."""

    at: float  # by the clock of whoever gave it
    seen: float  # by ours
    has_changed: bool  # while we looked


class Watcher:
    """Makes snapshots of a run from its records alone.

    The first look goes through the folders of all trials. After that only the trials that the
    driver names as running are read, and those that have left its list; the folders are gone
    through again now and then, and when another process takes the run up. A trial that has ended
    is not read again.
    """

    def __init__(self, run: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Prepare; nothing is read.

        Args:
            run: The run folder.
            clock: Unix time.
        """
        self._run = run
        self._clock = clock
        self._plan_stamp: int | None = None
        self._signs: dict[str, _Sign] = {}
        self._running: dict[str, Trial] = {}  # by folder
        self._noticed: list[Trial] = []
        self._begun_at: dict[tuple[str, float], int] = {}  # epoch, by trial and start of process
        self._driven_since: float | None = None
        self._scanned = -_SECONDS_BETWEEN_SCANS

    def read(self, driver: Driver | None = None) -> Snapshot:
        """A snapshot.

        Args:
            driver: Who drives the run, where that is the caller; read from the records if none.

        Raises:
            RecordError: Not a run folder, or its plan cannot be read.
        """
        now = self._clock()
        own = driver is not None
        driver = driver or records.read_driver(self._run)
        self._follow_plan()
        is_gone = driver is not None and not own and _has_died(driver)
        named = driver.running if driver and not is_gone else ()
        silent = self._silence("", driver.at, now=now) if driver else 0.0
        self._look_where_needed(driver, named, now=now)
        running = tuple(self._read_running(trial, now=now) for trial in self._running.values())
        is_driven = driver is not None and not is_gone
        if driver is None:
            running = tuple(self._trained_alone(now=now))
        stopping = is_driven and bool(
            (driver and driver.stopping) or records.stop_requested(self._run)
        )
        return Snapshot(
            run=self._run,
            sweep=self._sweep,
            panels=self._panels,
            standings=dict(self._standings),
            counts=+self._counts,
            running=running,
            failed=tuple(reversed(self._failed.values())),
            driver=driver,
            driver_silent_seconds=silent,
            driver_is_us=own,
            driver_is_gone=is_gone,
            stopping=stopping,
            stopping_seconds=self._until_epochs_end(running) if stopping else None,
            elapsed_seconds=(
                max(0.0, driver.at - driver.since) + silent if driver and is_driven else None
            ),
            left=self._left(driver, running) if driver and is_driven else None,
        )

    def notice(self, trial: Trial) -> None:
        """Have a trial that has ended read at the next look, also if it was never seen to run."""
        self._noticed.append(trial)

    def _follow_plan(self) -> None:
        """Read the plan, and again where it has been written anew."""
        path = self._run / PLAN
        stamp = path.stat().st_mtime_ns if path.exists() else None
        if stamp is not None and stamp == self._plan_stamp:
            return
        self._sweep = read_plan(self._run)
        self._plan_stamp = stamp
        self._panels = lay_out(self._sweep)
        everything = (*self._sweep.baselines, *self._sweep.trials)
        self._trials = {_place(trial): trial for trial in everything}
        self._standings = {trial.id: Standing() for trial in everything}
        self._counts = Counter[State]({"missing": len(self._sweep.trials)})
        self._failed: dict[str, Trial] = {}
        self._kinds = {trial.id: kind_of(trial) for trial in everything}
        self._estimate = Estimate()
        self._take_prediction(everything)
        self._running = {}
        self._scanned = -_SECONDS_BETWEEN_SCANS

    def _take_prediction(self, trials: Iterable[Trial]) -> None:
        """Begin the estimate with what `plan --calibrate` has left."""
        try:
            cost = records.read_cost(self._run)
        except RecordError as error:  # told when the run ends, and in its report
            logger.warning("%s", error)
            return
        seconds = cost.seconds if cost else {}
        for trial in trials:
            if trial.id in seconds:
                self._estimate.predict(trial, seconds=seconds[trial.id])

    def _look_where_needed(
        self, driver: Driver | None, named: Iterable[str], *, now: float
    ) -> None:
        since = driver.since if driver else None
        began_anew = since is not None and since != self._driven_since
        has_ended = since is None and self._driven_since is not None
        self._driven_since = since
        running = {place: self._trials[place] for place in named if place in self._trials}
        left = [trial for place, trial in self._running.items() if place not in running]
        left += [trial for trial in self._noticed if trial.id in self._standings]
        self._noticed = []
        self._running = running
        if began_anew or has_ended or abs(now - self._scanned) >= _SECONDS_BETWEEN_SCANS:
            self._scanned = now
            self._scan(ended_too=began_anew)
        for trial in left:
            self._signs.pop(trial.id, None)
            self._look(trial)
        for trial in running.values():
            if self._standings[trial.id].state in (*ENDED, "missing"):
                self._look(trial)

    def _scan(self, *, ended_too: bool) -> None:
        """Look at the trials that have a folder."""
        for room in ("untrained", "trials"):
            try:
                names = sorted(os.listdir(self._run / room))  # noqa: PTH208 - 10,000 in one go
            except OSError:  # no trial has begun
                continue
            for name in names:
                trial = self._trials.get(f"{room}/{name}")
                if trial and (ended_too or self._standings[trial.id].state not in ENDED):
                    self._look(trial)

    def _look(self, trial: Trial) -> None:
        """Read how far a trial is that is not in training."""
        standing = read_standing(records.trial_folder(self._run, trial))
        self._set(trial, standing)
        # An untrained encoder is only evaluated: its time says nothing of an epoch's.
        if standing.state == "done" and standing.seconds and trial.config.epochs:
            self._estimate.learn(trial, seconds=standing.seconds, epochs=trial.config.epochs)
        elif standing.state in ENDED:
            self._estimate.forget(trial)

    def _set(self, trial: Trial, standing: Standing) -> None:
        if trial.config.epochs:
            self._counts[self._standings[trial.id].state] -= 1
            self._counts[standing.state] += 1
        self._standings[trial.id] = standing
        self._failed.pop(trial.id, None)
        if standing.state in ("failed", "diverged"):
            self._failed[trial.id] = trial

    def _read_running(self, trial: Trial, *, now: float) -> Running:
        folder = records.trial_folder(self._run, trial)
        live = records.read_live(folder)
        silent = self._silence(trial.id, live.at, now=now) if live else 0.0
        standing = self._standings[trial.id]
        if live and standing.state not in ENDED:
            if (standing.state, standing.epoch) != ("unfinished", live.epoch):
                self._set(trial, Standing("unfinished", epoch=live.epoch))
            self._learn_from_running(trial, live, folder)
        return Running(trial, live, silent, stopping=records.stop_requested(folder))

    def _trained_alone(self, *, now: float) -> Iterator[Running]:
        """Trials that `clar-sweep train` trains: it drives no run."""
        for place, trial in self._trials.items():
            is_begun = self._standings[trial.id].state == "unfinished"
            if is_begun and (live := records.read_live(self._run / place)):
                running = self._read_running(trial, now=now)
                if not _has_died(live) and not running.is_late:
                    yield running

    def _learn_from_running(self, trial: Trial, live: Live, folder: Path) -> None:
        """Take in the time of a process from its start to this sign, once an epoch has ended."""
        if not live.epoch:
            return
        process = trial.id, live.since
        if process not in self._begun_at:
            self._begun_at[process] = first_epoch(folder, live)
        epochs = live.epoch - self._begun_at[process]
        if epochs >= 1:
            epochs_and_part = epochs + part_of_epoch(live)
            self._estimate.learn(trial, seconds=live.at - live.since, epochs=epochs_and_part)

    def _silence(self, key: str, at: float, *, now: float) -> float:
        """Seconds since a sign of life, as far as clocks that differ can tell."""
        sign = self._signs.get(key)
        if sign is None:
            sign = _Sign(at, now, has_changed=False)
        elif sign.at != at:
            sign = _Sign(at, now, has_changed=True)
        self._signs[key] = sign
        watched = max(0.0, now - sign.seen)
        by_clocks = now - at
        if sign.has_changed or by_clocks <= _CLOCKS_DIFFER_SECONDS:
            return watched
        return by_clocks

    def _left(self, driver: Driver, running: tuple[Running, ...]) -> Left | None:
        waiting = []
        if driver.waiting:
            for place, trial in self._trials.items():
                standing = self._standings[trial.id]
                if standing.state not in ENDED and place not in self._running:
                    waiting.append(self._task(trial, trained=standing.epoch))
                if len(waiting) == driver.waiting:
                    break
        now = [self._task(each.trial, trained=each.epochs_trained) for each in running]
        return self._estimate.left(now, waiting, slots=max(1, driver.slots, len(now)))

    def _until_epochs_end(self, running: tuple[Running, ...]) -> float | None:
        now = [
            Task(self._kinds[each.trial.id], 1 - each.epochs_trained % 1)
            for each in running
            if each.live
        ]
        left = self._estimate.left(now, (), slots=max(1, len(now)))
        return left.seconds if left else None

    def _task(self, trial: Trial, *, trained: float) -> Task:
        return Task(self._kinds[trial.id], max(0.0, _epochs(trial) - trained))


def _place(trial: Trial) -> str:
    return records.trial_folder(Path(), trial).as_posix()


def _epochs(trial: Trial) -> int:
    return max(1, trial.config.epochs)


def _has_died(driver: Driver | Live) -> bool:
    """Whether the process is known to be no more; of another machine's nothing is known."""
    if driver.host != socket.gethostname():
        return False
    try:
        os.kill(driver.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        return False
    return False
