"""Where the time of a run went, from its records and from what could be seen from outside."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.sweep.job import Job
from clar_sweeps import records

SECONDS_BETWEEN_LOOKS = 0.02


class Span(NamedTuple):
    """One trial; Unix times, and seconds inside of it."""

    started: float
    prepared: float | None  # its trainer was built; None where that was not seen
    ended: float
    training: float
    evaluation: float


class Timeline(NamedTuple):
    """One run; Unix times."""

    began: float  # the process of the command
    opened: float  # the plan lies in the run folder
    ray_began: float
    ray_ready: float  # Tune has its folder
    trials: tuple[Span, ...]
    ended: float
    report_seconds: float


def ideal_seconds(training: float, evaluation: float, *, slots: int) -> float:
    """The least that a run can take: its training and evaluation, shared out evenly."""
    return (training + evaluation) / slots


def parts_of(timeline: Timeline, *, slots: int) -> dict[str, float]:
    """Seconds of the wall by what they went to; they add up to run and report.

    While trials run, a second of one slot counts as 1/slots.
    """
    spans = timeline.trials
    first, last = min(span.started for span in spans), max(span.ended for span in spans)
    at_end = idle_at_end(spans, slots=slots)
    within = sum(span.ended - span.started for span in spans)
    prepared = sum(span.prepared - span.started for span in spans if span.prepared is not None)
    training = sum(span.training for span in spans)
    evaluation = sum(span.evaluation for span in spans)
    return {
        "imports and plan": timeline.opened - timeline.began,
        "data and audit": timeline.ray_began - timeline.opened,
        "Ray's start": timeline.ray_ready - timeline.ray_began,
        "start of the first process": first - timeline.ray_ready,
        "trainers built": prepared / slots,
        "training": training / slots,
        "evaluation": evaluation / slots,
        "checkpoints and records": (within - prepared - training - evaluation) / slots,
        "between trials": (slots * (last - first) - within - at_end) / slots,
        "idle at the end": at_end / slots,
        "Ray's end": timeline.ended - last,
        "report": timeline.report_seconds,
    }


def idle_at_end(spans: Iterable[Span], *, slots: int) -> float:
    """Seconds of slots for which no trial was left, until the last trial ended."""
    spans = list(spans)
    since, last = max(span.started for span in spans), max(span.ended for span in spans)
    busy = sum(max(0.0, span.ended - since) for span in spans)
    return slots * (last - since) - busy


class Watch:
    """Looks at a run folder while the run goes on; what records do not keep is kept here."""

    def __init__(self, job: Job, run: Path) -> None:
        """Prepare."""
        self.run = run
        self.seen: dict[str, float] = {}  # of the driver's files, when they first appeared
        self.prepared: dict[Path, float] = {}
        self._folders = [records.trial_folder(run, trial) for trial in job.trials]
        self._left = set(self._folders)

    def look(self) -> None:
        """See what has happened; a few hundred file names are asked for."""
        for name in ("ray.log", ".ray"):
            if name not in self.seen and (self.run / name).exists():
                self.seen[name] = time.time()
        for folder in list(self._left):
            live = records.read_live(folder)
            if live is not None and live.phase != "preparing":
                self.prepared[folder] = live.at
                self._left.remove(folder)

    def timeline(self, *, began: float, ended: float, report_seconds: float) -> Timeline:
        """Put together what was seen and what the records tell, when the run has ended.

        Raises:
            RecordError: A trial has no record.
            OSError: Likewise.
        """
        opened = (self.run / "plan.json").stat().st_mtime
        ray_began = self.seen.get("ray.log", opened)
        return Timeline(
            began=began,
            opened=opened,
            ray_began=ray_began,
            ray_ready=self.seen.get(".ray", ray_began),
            trials=tuple(self._span(folder) for folder in self._folders),
            ended=ended,
            report_seconds=report_seconds,
        )

    def _span(self, folder: Path) -> Span:
        cost = records.read_json(folder / "summary.json")["cost"]
        return Span(
            started=(folder / "config.json").stat().st_mtime,  # its first file
            prepared=self.prepared.get(folder),
            ended=(folder / "summary.json").stat().st_mtime,  # its last
            training=cost["train_seconds"],
            evaluation=cost["eval_seconds"],
        )
