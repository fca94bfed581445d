"""What a user sees while trials run: a line each trial that ends, and a live view below."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError
from clar_sweeps.records import Driver, Record
from clar_sweeps.watching.panel_view import STYLES
from clar_sweeps.watching.snapshot import Snapshot
from clar_sweeps.watching.view import Picture, one_line
from clar_sweeps.watching.watcher import Watcher
from clar_sweeps.watching.wording import (
    format_duration,
    format_seconds,
    last_line_of_error,
    plain,
)

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_READS = 1.0
_SECONDS_BETWEEN_LINES = 300.0


class Progress:
    """Shows the trials of a run, in the process that drives it. A Listener.

    On a terminal the picture that `clar-sweep status` draws stands below the lines of the ended
    trials; anywhere else there are the lines alone, and now and then one that tells how far the
    run is. Baselines are shown and not counted.
    """

    def __init__(
        self,
        to_run: Iterable[Trial],
        *,
        run: Path,
        slots: int,
        console: Console,
        clock: Callable[[], float] = time.time,
        seconds_between_lines: float = _SECONDS_BETWEEN_LINES,
    ) -> None:
        """Prepare; nothing is shown until the context is entered.

        Args:
            to_run: Trials and baselines that are about to run.
            run: The run folder, with the plan in it.
            slots: Trials at once; see also `use_slots`.
            console: Where to show; not by way of descriptor 2, which leads elsewhere under Ray.
            clock: Unix time.
            seconds_between_lines: That tell how far the run is, where there is no terminal.
        """
        self._waiting = {trial.id: trial for trial in to_run}
        self._running: dict[str, tuple[Trial, float]] = {}  # with the time of its start
        self._slots = slots
        self._console = console
        self._clock = clock
        self._begun = clock()
        self._run = run
        self._watcher = Watcher(run, clock=clock)
        self._reading = threading.Lock()  # the live view reads in a thread of its own
        self._last: tuple[float, Snapshot] | None = None
        self._shown: RenderableType = Text("")
        self._seconds_between_lines = seconds_between_lines
        self._left = threading.Event()
        self._lines = threading.Thread(target=self._tell_now_and_then, daemon=True)
        self._live = Live(
            console=console,
            get_renderable=self._view,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        """Start the live view, on a terminal."""
        self._begun = self._clock()
        if self._console.is_terminal:
            self._live.start()
        else:
            self._lines.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the live view away; the lines stay."""
        self._live.stop()
        self._left.set()
        if self._lines.is_alive():
            self._lines.join()

    def use_slots(self, slots: int) -> None:
        """Correct how many trials run at once."""
        self._slots = slots

    def note(self, text: str) -> None:
        """Show a line above the live view."""
        self._console.print(Text(plain(text)), soft_wrap=True)

    def started(self, trial: Trial) -> None:
        """A trial begins, or begins again."""
        self._waiting.pop(trial.id, None)
        self._running[trial.id] = trial, self._clock()

    def reported(self, trial: Trial, row: Mapping[str, Any]) -> None:
        """Nothing to do: the trial's own sign of life tells more, and is read."""

    def restarted(self, trial: Trial, why: str) -> None:
        """A trial was interrupted and waits for another process."""
        self._running.pop(trial.id, None)
        self._waiting[trial.id] = trial
        if why:
            self.note(f"{trial.name}: {why}; it goes on from its checkpoint")

    def ended(self, trial: Trial, record: Record | None) -> None:
        """A trial will not run again in this run; without a record, it has none."""
        self._waiting.pop(trial.id, None)
        _, started = self._running.pop(trial.id, (trial, None))
        state = record.state if record else "unfinished"
        with self._reading:
            self._watcher.notice(trial)
        snapshot = self._snapshot_if_readable()
        is_counted = trial.config.epochs > 0
        counts = is_counted and state != "unfinished"
        line = Text()
        if snapshot and counts:
            line.append(f"[{snapshot.ended}/{len(snapshot.sweep.trials)}] ")
        line.append(plain(trial.name)).append(" ")
        is_asked = records.stop_requested(self._run, records.trial_folder(self._run, trial))
        stopped = state == "unfinished" and is_asked
        line.append("stopped as asked" if stopped else state, STYLES[state])
        if started is not None:
            line.append(f" in {format_seconds(max(0.0, self._clock() - started))}")
        outcome = _outcome(record) if record else ""
        line.append(f": {outcome}" if outcome else "")
        if snapshot and snapshot.left and is_counted and not self._is_over(snapshot):
            line.append(f", about {format_duration(snapshot.left.seconds)} left", "dim")
        self._console.print(line, soft_wrap=True)

    def _is_over(self, snapshot: Snapshot) -> bool:
        return snapshot.stopping or not (self._waiting or self._running)

    def _snapshot_if_readable(self) -> Snapshot | None:
        try:
            return self.snapshot(anew=True)
        except (OSError, RecordError) as error:  # the next look may succeed
            logger.warning("%s", error)
            return None

    def snapshot(self, *, anew: bool = False) -> Snapshot:
        """The run as its records tell it, read about once a second.

        Args:
            anew: Read now; something has happened.

        Raises:
            RecordError: The plan cannot be read.
        """
        with self._reading:
            return self._read(anew=anew)

    def _read(self, *, anew: bool = False) -> Snapshot:
        now = self._clock()
        if anew or self._last is None or not 0 <= now - self._last[0] < _SECONDS_BETWEEN_READS:
            self._last = now, self._watcher.read(self._driver())
        return self._last[1]

    def _driver(self) -> Driver:
        """This process; what it knows itself it does not ask the records."""
        running = [trial for trial, _ in list(self._running.values())]
        return Driver(
            host=socket.gethostname(),
            pid=os.getpid(),
            since=self._begun,
            at=self._clock(),
            slots=self._slots,
            running=tuple(records.trial_folder(Path(), trial).as_posix() for trial in running),
            waiting=len(self._waiting),
            stopping=self._is_stopping(),
        )

    def _is_stopping(self) -> bool:
        """By request in the folder, or by Ctrl-C, which `run.json` tells."""
        told = records.read_driver(self._run)
        by_us = told is not None and told.pid == os.getpid() and told.stopping
        return by_us or records.stop_requested(self._run)

    def _view(self) -> RenderableType:
        # Called under rich's lock, for which a signal's handler may wait in the thread that reads.
        if not self._reading.acquire(blocking=False):
            return self._shown
        try:
            self._shown = Picture(self._read())
        except (OSError, RecordError) as error:  # the next look may succeed; training goes on
            self._shown = Text(plain(error), "yellow")
        finally:
            self._reading.release()
        return self._shown

    def _tell_now_and_then(self) -> None:
        while not self._left.wait(self._seconds_between_lines):
            try:
                line = one_line(self.snapshot(anew=True))
            except (OSError, RecordError) as error:
                line = plain(error)
            self._console.print(Text(line), soft_wrap=True)


def _outcome(record: Record) -> str:
    if record.state == "done":
        return f"test top-1 {100 * record.summary['metrics']['test_top1']:.1f} %"
    return last_line_of_error(record.summary)
