"""A run at one moment, in numbers: what the live view, `status` and its JSON all tell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from clar_sweeps.config import Trial
from clar_sweeps.records import Driver, Live, State
from clar_sweeps.sweep import Sweep
from clar_sweeps.watching.estimate import Left
from clar_sweeps.watching.panels import Panel

# Of a running trial: a step, or the preparation of its data, may take its time.
LATE_SECONDS = {"training": 60.0, "preparing": 600.0, "evaluating": 600.0}
# Of the driving process, which gives a sign every few seconds.
DRIVER_LATE_SECONDS = 60.0


class Standing(NamedTuple):
    """How far one trial is."""

    state: State = "missing"
    epoch: int = 0  # epochs trained, of a trial that is not done
    top1: float | None = None  # on test clips, of a trial that is done
    seconds: float | None = None  # that the trial took
    error: str = ""  # in one line


def part_of_epoch(live: Live) -> float:
    """How far the epoch under way is; evaluations have steps of their own."""
    return live.step / live.steps if live.phase == "training" and live.steps else 0.0


class Running(NamedTuple):
    """A trial in training."""

    trial: Trial
    live: Live | None  # None until its process has given a first sign of life
    silent_seconds: float  # since its last sign of life
    stopping: bool  # asked to stop after its epoch

    @property
    def is_late(self) -> bool:
        """Whether its sign of life is overdue."""
        return self.live is not None and self.silent_seconds > LATE_SECONDS[self.live.phase]

    @property
    def epochs_trained(self) -> float:
        """Epochs trained, with the part of the one under way."""
        if self.live is None:
            return 0.0
        return min(self.live.epoch + part_of_epoch(self.live), float(self.trial.config.epochs))

    @property
    def share(self) -> float:
        """Epochs trained as a share of all."""
        return self.epochs_trained / max(1, self.trial.config.epochs)


class Snapshot(NamedTuple):
    """A run as its records tell it."""

    run: Path
    sweep: Sweep
    panels: tuple[Panel, ...]
    standings: Mapping[str, Standing]  # by id, of trials and baselines
    counts: Mapping[State, int]  # of trials, without baselines
    running: tuple[Running, ...]
    failed: tuple[Trial, ...]  # or diverged, baselines included; what was found last comes first
    driver: Driver | None
    driver_silent_seconds: float
    driver_is_us: bool  # the process that looks is the one that drives
    driver_is_gone: bool  # its process is known to have ended without a word
    stopping: bool  # asked to stop after the epochs under way
    stopping_seconds: float | None  # until those epochs end, as far as known
    elapsed_seconds: float | None  # since the driver began; None where nobody drives
    left: Left | None  # None while nothing is known, and where nobody drives

    @property
    def is_driven(self) -> bool:
        """Whether a process drives the run, as far as can be told from here."""
        return self.driver is not None and not self.driver_is_gone

    @property
    def ended(self) -> int:
        """Trials that have ended, in any way."""
        return sum(self.counts.get(state, 0) for state in ("done", "failed", "diverged"))

    @property
    def unsuccessful(self) -> int:
        """Trials that failed or diverged."""
        return sum(self.counts.get(state, 0) for state in ("failed", "diverged"))


def to_json(snapshot: Snapshot) -> dict[str, Any]:
    """Plain data of a snapshot, as `status --json` prints it; absent numbers are null.

    Keys: `format` (1), `run`, `name`, `counts` (trials by state), `elapsed_seconds`,
    `left` (`seconds`, `low`, `high`: four in five times the rest takes from low to high),
    `stopping`, `driver` (null, or `host`, `pid`, `since`, `at`, `slots`, `running`, `waiting`,
    `stopping`, `silent_seconds`, `is_gone`),
    `running` (each `id`, `name`, `silent_seconds`, `is_late`, `stopping`, and `live`: null, or
    `host`, `pid`, `since`, `at`, `phase`, `epoch`, `step`, `steps`, `loss`, `clips_per_second`,
    `top1`, `memory_bytes`), and `trials` and `baselines` (each `id`, `name`, `state`, `epoch`,
    `top1`, `seconds`, `error`). Metrics are fractions, times Unix times.
    """
    driver = snapshot.driver

    def standing(trial: Trial) -> dict[str, Any]:
        own = snapshot.standings[trial.id]
        if own.state == "done":
            own = own._replace(epoch=trial.config.epochs)
        return {"id": trial.id, "name": trial.name, **own._asdict()}

    return {
        "format": 1,
        "run": str(snapshot.run),
        "name": snapshot.sweep.name,
        "counts": dict(snapshot.counts),
        "elapsed_seconds": snapshot.elapsed_seconds,
        "left": snapshot.left._asdict() if snapshot.left else None,
        "stopping": snapshot.stopping,
        "driver": driver
        and {
            **driver._asdict(),
            "silent_seconds": snapshot.driver_silent_seconds,
            "is_gone": snapshot.driver_is_gone,
        },
        "running": [_running_to_json(each) for each in snapshot.running],
        "trials": [standing(trial) for trial in snapshot.sweep.trials],
        "baselines": [standing(trial) for trial in snapshot.sweep.baselines],
    }


def _running_to_json(running: Running) -> dict[str, Any]:
    return {
        "id": running.trial.id,
        "name": running.trial.name,
        "silent_seconds": running.silent_seconds,
        "is_late": running.is_late,
        "stopping": running.stopping,
        "live": running.live._asdict() if running.live else None,
    }
