"""What a user sees while trials run: a line each trial that ends, and a live view below."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from clar_sweeps.config import Trial
from clar_sweeps.records import Record
from clar_sweeps.tuning.estimate import Estimate, seconds_left

_ROWS = 12  # running trials shown at most
_STYLES = {"done": "green", "failed": "red", "diverged": "red"}


@dataclass
class _Running:
    trial: Trial
    started: float
    last_word: float
    epoch: int | None = None
    loss: float | None = None
    clips_per_second: float | None = None


class Progress:
    """Counts trials, learns their pace, and shows both.

    On a terminal the running trials stand below the lines of the ended ones; anywhere else there
    are the lines alone. Baselines are shown and not counted.
    """

    def __init__(
        self,
        to_run: Iterable[Trial],
        *,
        total: int,
        slots: int,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is shown until the context is entered.

        Args:
            to_run: Trials and baselines that are about to run.
            total: Trials of the plan, those of earlier runs included.
            slots: Trials at once; see also `use_slots`.
            console: Where to show; not by way of descriptor 2, which leads elsewhere under Ray.
            clock: Seconds, from any origin.
        """
        self._waiting = {trial.id: trial for trial in to_run}
        self._running: dict[str, _Running] = {}
        self._total = total
        self._ended = total - sum(1 for trial in self._waiting.values() if _counts(trial))
        self._unsuccessful = 0
        self._slots = slots
        self._console = console
        self._clock = clock
        self._begun = clock()
        self._estimate = Estimate()
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
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the live view away; the lines stay."""
        self._live.stop()

    def use_slots(self, slots: int) -> None:
        """Correct how many trials run at once."""
        self._slots = slots

    def note(self, text: str) -> None:
        """Show a line above the live view."""
        self._console.print(Text(text), soft_wrap=True)

    def started(self, trial: Trial) -> None:
        """A trial begins, or begins again."""
        self._waiting.pop(trial.id, None)
        self._running[trial.id] = _Running(trial, self._clock(), self._clock())

    def reported(self, trial: Trial, row: Mapping[str, Any]) -> None:
        """A trial has trained an epoch."""
        running, now = self._running[trial.id], self._clock()
        epochs = row["epoch"] - running.epoch if running.epoch is not None else 1
        self._estimate.learn(trial, seconds=now - running.last_word, epochs=epochs)
        running.last_word = now
        running.epoch = row["epoch"]
        running.loss = row["loss"]
        running.clips_per_second = row["clips_per_second"]

    def restarted(self, trial: Trial) -> None:
        """A trial's process has died and the trial waits for another."""
        self._running.pop(trial.id, None)
        self._waiting[trial.id] = trial
        self.note(f"{trial.name}: its process died; it goes on from its checkpoint")

    def ended(self, trial: Trial, record: Record | None) -> None:
        """A trial has ended; without a record, without one of its own."""
        self._waiting.pop(trial.id, None)
        running = self._running.pop(trial.id, None)
        state = record.state if record else "unfinished"
        count = ""
        if _counts(trial):
            self._ended += 1
            self._unsuccessful += state != "done"
            count = f"[{self._ended}/{self._total}] "
        line = Text(count)
        line.append(trial.name).append(" ").append(state, _STYLES.get(state, "yellow"))
        if running:
            line.append(f" in {format_seconds(self._clock() - running.started)}")
        line.append(f": {_outcome(record)}" if record else "")
        left = self.seconds_left()
        if left is not None and _counts(trial) and (self._waiting or self._running):
            line.append(f", about {format_duration(left)} left", "dim")
        self._console.print(line, soft_wrap=True)

    def seconds_left(self) -> float | None:
        """Estimate for everything that is not yet done; None while nothing is known."""
        now = self._clock()
        running = []
        for each in list(self._running.values()):
            epochs = each.trial.config.epochs - (each.epoch or 0)
            time_left = self._estimate.seconds_of(each.trial, epochs=epochs)
            since = now - each.last_word
            running.append(None if time_left is None else max(0.0, time_left - since))
        waiting = [
            self._estimate.seconds_of(trial, epochs=trial.config.epochs)
            for trial in list(self._waiting.values())
        ]
        return seconds_left(running, waiting, slots=max(1, self._slots))

    def _view(self) -> RenderableType:
        left = self.seconds_left()
        running = list(self._running.values())
        parts = sum((each.epoch or 0) / max(1, each.trial.config.epochs) for each in running)
        done = self._ended + parts
        bar = ProgressBar(
            total=max(1, self._total), completed=done, width=30, complete_style="cyan"
        )
        summary = Table.grid(padding=(0, 1))
        summary.add_row(
            bar,
            Text(f"{self._ended}/{self._total} trials", "bold"),
            Text(f"{self._unsuccessful} failed" if self._unsuccessful else "", "red"),
            Text(f"{format_duration(self._clock() - self._begun)} so far", "dim"),
            Text("" if left is None else f"about {format_duration(left)} left"),
        )
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, overflow="ellipsis")
        for each in running[:_ROWS]:
            table.add_row(*_describe(each))
        if len(running) > _ROWS:
            table.add_row(Text(f"  and {len(running) - _ROWS} more", "dim"))
        if not running:
            table.add_row(Text("  starting", "dim"))
        return Group(summary, table)


def _counts(trial: Trial) -> bool:
    return trial.config.epochs > 0


def _describe(running: _Running) -> tuple[Text, ...]:
    name = Text(f"  {running.trial.name}", "cyan")
    if running.epoch is None or running.loss is None:
        doing = "starting" if _counts(running.trial) else "evaluating"
        return (name, Text(doing, "dim"), Text(), Text())
    return (
        name,
        Text(f"epoch {running.epoch}/{running.trial.config.epochs}"),
        Text(f"loss {running.loss:.3f}"),
        Text(f"{running.clips_per_second:,.0f} clips/s", "dim"),
    )


def _outcome(record: Record) -> str:
    if record.state == "done":
        return f"test top-1 {100 * record.summary['metrics']['test_top1']:.1f} %"
    return last_line_of_error(record)


def last_line_of_error(record: Record) -> str:
    """Why a trial failed, in one line."""
    error = record.summary.get("error") or {}
    lines = str(error.get("message", "")).strip().splitlines() or [""]
    return lines[-1] or str(error.get("type", "unknown error"))


def format_seconds(seconds: float) -> str:
    """A measured time: `9.8 s`, `2 min 5 s`, `1 h 3 min`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def format_duration(seconds: float) -> str:
    """A rough time: `40 s`, `3 min`, `2 h 10 min`, `3 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes / 60 / 24:.0f} days"
