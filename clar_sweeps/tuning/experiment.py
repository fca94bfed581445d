"""What Tune calls back: the source of its trials, and the listener to them. Imports Ray."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import ray
from ray import tune
from ray.exceptions import ActorDiedError
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper
from ray.tune.trainable import wrap_function

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import DiskFullError, UsageError
from clar_sweeps.records import Failure
from clar_sweeps.tuning.deaths import describe_death
from clar_sweeps.tuning.hang import HangWatch
from clar_sweeps.tuning.retries import HUNG, NODE_LOST, PROCESS_DIED
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.trainable import Order, train_in_ray

logger = logging.getLogger(__name__)

_LINES = 20  # of a trace
# How Ray words the loss of a machine: the control store (only in its binary), and
# `ActorUnavailableError`, where the machine is away and not yet given up.
_NODE_DIED = "because its node has died"
_UNAVAILABLE = re.compile(r"The actor \S+ is unavailable: ")


class InOrder(Searcher):
    """Hands out what the schedule does, up to `batch` orders.

    Tune keeps all its trials in memory, so one experiment does not get all of a large sweep. Its
    own `max_concurrent_trials` counts a trial whose actor could not be reused as running for ever,
    and its own `max_failures` knows no retry that does not count: the schedule does both.
    """

    def __init__(
        self, schedule: Schedule, order: Callable[[Trial], dict[str, Any]], *, batch: int
    ) -> None:
        super().__init__()
        self.schedule = schedule
        self.order = order
        self.left = batch

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next order, None to be asked again later."""
        trial = self.schedule.next() if self.left else None
        if trial is None:
            # One in training may have to be handed out again.
            over = self.schedule.is_over or not self.left
            return cast(dict[str, Any], Searcher.FINISHED) if over else None
        self.left -= 1
        return self.order(trial)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing to learn: what is to be run is known."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to keep: what is missing is found anew from the records."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: no experiment of Tune's is restored."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its parts, and a live display cannot be."""
        return {}


class Idle(Stopper):
    """Ends the experiment of a run that stops once none is in training.

    A trial that was handed out may wait for room for ever, as where a cluster has lost a machine.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is stopped for its numbers."""
        return False

    def stop_all(self) -> bool:
        """Asked in each round of Tune's; see also `Schedule.drop_unstarted`."""
        return self.schedule.is_idle

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its parts, and a live display cannot be."""
        return {}


class Process(wrap_function(train_in_ray)):  # type: ignore[misc]  # made by Ray, untyped
    """A process that trains; Ray's dashboard lists it under the name of its trial."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What an order occupies; of a retry it may be more than of the first try."""
        order = Order(**config)
        share = {"CPU": order.cpus / order.ranks, "GPU": order.gpus / order.ranks}
        return tune.PlacementGroupFactory([share] * order.ranks)

    def __repr__(self) -> str:
        """Asked by Ray once, when the process has been set up."""
        order = Order(**self.config)
        return "short trials, one after another" if order.is_one_of_many else order.trial.name


class Bookkeeper(tune.Callback):
    """Passes what happens on to the schedule, and ends processes that give no sign of life.

    A callback must not raise: Tune would end all trials, and turn the error into a text.
    """

    def __init__(
        self, schedule: Schedule, watch: HangWatch, recount: Callable[[], None] | None = None
    ) -> None:
        self.schedule = schedule
        self.watch = watch
        self.recount = recount  # of the slots of a cluster
        self.hung: dict[str, Failure] = {}  # by trial, until Tune tells of its end

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its parts, and a live display cannot be."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Look about, some times a second."""
        if self.schedule.look():
            self._end_silent(trials)
            if self.recount is not None:
                self.recount()

    def on_trial_start(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """A process is about to take the trial up."""
        ours = _ours(trial)
        self.watch.begin(ours)
        self.schedule.started(ours)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[TuneTrial],
        trial: TuneTrial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """The trial has told something; Tune tells the last again when the function returns."""
        if not result.get("done"):
            self.schedule.reported(_ours(trial), result)

    def on_trial_complete(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """The function has returned: the record tells how the trial ended."""
        ours = _ours(trial)
        self.watch.end(ours)
        if full := trial.last_result.get("disk_full"):
            self.schedule.give_up(DiskFullError(full))
        if refused := trial.last_result.get("refused"):
            self.schedule.give_up(UsageError(refused))
        if trial.last_result.get("locked"):
            self.schedule.locked(ours)
        else:
            self.schedule.returned(ours)

    def on_trial_error(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """The function has raised, or its process has died."""
        ours = _ours(trial)
        self.watch.end(ours)
        death = self.hung.pop(ours.id, None) or _death(trial, self.schedule.run)
        self.schedule.interrupted(ours, death)

    def _end_silent(self, trials: list[TuneTrial]) -> None:
        silent = {trial.id: trial for trial in self.watch.silent() if trial.id not in self.hung}
        for trial in trials if silent else ():
            ours = _ours(trial)
            actor = trial.temporary_state.ray_actor
            if ours.id in silent and trial.status == TuneTrial.RUNNING and actor is not None:
                self.hung[ours.id] = self._describe_hang(ours)
                # By the node's own agent: it reaches another machine, and a stopped process.
                ray.kill(actor)

    def _describe_hang(self, trial: Trial) -> Failure:
        folder = records.trial_folder(self.schedule.run, trial)
        minutes = self.watch.patience_seconds(trial) / 60
        message = f"gave no sign of life for {minutes:g} min; its process was ended"
        return describe_death(
            HUNG,
            message,
            trace=records.read_stack(folder),
            log=self.schedule.run / "run.log",
        )


def _ours(trial: TuneTrial) -> Trial:
    return Order(**trial.config).trial


def _death(trial: TuneTrial, run: Path) -> Failure:
    """What Ray knows of a process that ended."""
    lines = _told(trial)
    first = lines[0] if lines else ""
    if _UNAVAILABLE.match(first) or (_has_died(first) and _NODE_DIED in "\n".join(lines)):
        kind, message = NODE_LOST, "the machine that it ran on was lost"
    elif _has_died(first):
        kind = PROCESS_DIED
        message = "its process died, often for want of memory; lower max_concurrent or batch_size"
    else:
        kind, message = "TrialFailed", lines[-1].strip() if lines else "for no reason that Ray told"
    return describe_death(kind, message, trace="\n".join(lines[-_LINES:]), log=run / "ray.log")


def _has_died(first_line: str) -> bool:
    return first_line == ActorDiedError.BASE_ERROR_MSG


def _told(trial: TuneTrial) -> list[str]:
    """The error's text, from the file that Tune has just written on this machine.

    Not the error itself, which lies beside it as a pickle: others may write where a cluster's Ray
    keeps its files, and whoever writes a pickle has its reader run code.
    """
    try:
        text = Path(trial.error_file or "").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.strip().splitlines()[1:]  # after the time
