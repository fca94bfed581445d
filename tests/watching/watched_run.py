"""A run folder as trials in training leave it, at a time that a test sets."""

from pathlib import Path
from typing import Any

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.records import Driver, Live
from clar_sweeps.sweep import Sweep, load_sweep, plan_to_json

PAIRS = """
name: grid
fixed: {width: 4, epochs: 4, warmup_epochs: 0}
axes:
  augment: {pairs: [PS, FD, TM]}
"""


class WatchedRun:
    """Writes the records that are watched, with the functions that write real ones."""

    def __init__(self, folder: Path, sweep: str = PAIRS, seeds: tuple[int, ...] = (0,)) -> None:
        file = folder / "sweep.yaml"
        file.write_text(sweep)
        self.path = folder / "run"
        self.now = 1000.0
        self.begun = self.now
        self.sweep: Sweep = load_sweep(file, seeds=seeds)
        self.path.mkdir()
        records.write_json(self.path / "plan.json", plan_to_json(self.sweep))

    def clock(self) -> float:
        """Unix time, as the test sets it."""
        return self.now

    def trial(self, *augment: str, seed: int = 0) -> Trial:
        """The trial of a chain."""
        return next(
            trial
            for trial in self.sweep.trials
            if (trial.config.augment, trial.config.seed) == (augment, seed)
        )

    def folder(self, trial: Trial) -> Path:
        """Its folder."""
        return records.trial_folder(self.path, trial)

    def done(self, trial: Trial, top1: float = 0.5, *, seconds: float = 40.0) -> None:
        """The trial is done."""
        records.write_config(self.folder(trial), trial)
        records.end_live(self.folder(trial))
        records.write_summary(
            self.folder(trial),
            trial,
            state="done",
            metrics={"test_top1": top1},
            cost={"total_seconds": seconds},
            provenance={},
        )

    def failed(self, trial: Trial, message: str = "clip 7 is empty") -> None:
        """The trial has failed."""
        records.write_config(self.folder(trial), trial)
        records.write_summary(
            self.folder(trial),
            trial,
            state="failed",
            metrics={},
            cost={},
            provenance={},
            error={"type": "DataError", "message": message, "traceback": "", "log": "run.log"},
        )

    def trained(self, trial: Trial, *epochs: int, seconds: float = 10.0) -> None:
        """The trial has trained these epochs."""
        if not self.folder(trial).exists():
            records.write_config(self.folder(trial), trial)
        for epoch in epochs:
            records.append_history(self.folder(trial), {"epoch": epoch, "seconds": seconds})

    def lives(self, trial: Trial, **numbers: Any) -> Live:
        """The trial gives a sign of life."""
        if not self.folder(trial).exists():
            records.write_config(self.folder(trial), trial)
        given = {"since": self.now, "at": self.now, "phase": "training", "steps": 10, **numbers}
        live = records.begin_live()._replace(**given)
        records.write_live(self.folder(trial), live)
        return live

    def drive(self, *running: Trial, waiting: int = 0, **fields: Any) -> Driver:
        """The driving process gives a sign of life; it is on a machine that is not this one."""
        driver = Driver(
            host="gpu7",
            pid=123,
            since=self.begun,
            at=self.now,
            slots=2,
            running=tuple(self.folder(each).relative_to(self.path).as_posix() for each in running),
            waiting=waiting,
            stopping=False,
        )._replace(**fields)
        records.write_driver(self.path, driver)
        return driver
