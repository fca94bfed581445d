"""What Tune calls back: the source of its trials, and the listener to them. Imports Ray."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from ray import tune
from ray.exceptions import RayActorError
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError
from clar_sweeps.tuning.progress import Progress
from clar_sweeps.tuning.trainable import Order

_ACTIVE = (TuneTrial.PENDING, TuneTrial.RUNNING, TuneTrial.PAUSED)


class InOrder(Searcher):
    """Hands out a list, no more than `limit` at once.

    Tune's own `max_concurrent_trials` counts a trial whose actor could not be reused as running
    for ever, so the trials themselves are counted here.
    """

    def __init__(self, orders: Sequence[dict[str, Any]], *, limit: int) -> None:
        super().__init__()
        self.orders = list(orders)
        self.limit = limit
        self.trials: list[TuneTrial] = []  # Tune's own list, from the first step on

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next order, None to be asked again later."""
        if not self.orders:
            return cast(dict[str, Any], Searcher.FINISHED)  # a string that Ray's type leaves out
        active = sum(trial.status in _ACTIVE for trial in self.trials)
        return self.orders.pop(0) if active < self.limit else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing to learn: the list is fixed."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to keep: what is missing is found anew from the records."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: no experiment of Tune's is restored."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its parts, and its live trials cannot be."""
        return {**self.__dict__, "trials": []}


class Bookkeeper(tune.Callback):
    """Tells progress of what happens, and closes the record of a trial that could not."""

    def __init__(self, in_order: InOrder, progress: Progress, run: Path) -> None:
        self.in_order = in_order
        self.progress = progress
        self.run = run
        self.fault: OSError | RecordError | None = None  # why the run had to be given up

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its parts, and a live display cannot be."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Let the source see the trials that it must count."""
        self.in_order.trials = trials

    def on_trial_start(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """A process has taken the trial up."""
        self.progress.started(_ours(trial))

    def on_trial_result(
        self,
        iteration: int,
        trials: list[TuneTrial],
        trial: TuneTrial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """An epoch has ended; Tune tells the last one again when the function returns."""
        if "epoch" in result:
            self.progress.reported(_ours(trial), result)

    def on_trial_complete(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """The function has returned: the record stands."""
        ours = _ours(trial)
        with self._keeping_fault():
            record = records.read_record(records.trial_folder(self.run, ours))
        self.progress.ended(ours, record)

    def on_trial_recover(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """The process has died; Tune queues the trial again."""
        self.progress.restarted(_ours(trial))

    def on_trial_error(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """The process has died once too often, or the trial could not write its record."""
        ours = _ours(trial)
        folder = records.trial_folder(self.run, ours)
        with (
            self._keeping_fault(),
            records.locked(folder, timeout_seconds=0.0) as acquired,
        ):
            # Held by a process that is no longer ours: what it trains is not ours to close.
            if acquired and records.state_of(self.run, ours) in ("missing", "unfinished"):
                _close_in_error(folder, ours, trial)
            opened = (folder / "config.json").exists()
            record = records.read_record(folder) if opened else None
        self.progress.ended(ours, record)

    @contextmanager
    def _keeping_fault(self) -> Iterator[None]:
        """Tune turns what a callback raises into a text of its own."""
        try:
            yield
        except (OSError, RecordError) as error:
            self.fault = error
            raise


def _ours(trial: TuneTrial) -> Trial:
    return Order(**trial.config).trial


def _close_in_error(folder: Path, trial: Trial, failed: TuneTrial) -> None:
    trace = str(failed.get_error() or "").strip().splitlines()
    try:
        reason = failed.get_pickled_error()
    except EOFError:  # Tune's file is empty, as on a full disk
        reason = None
    if isinstance(reason, RayActorError):
        kind = "ProcessDied"
        message = (
            f"the trial's process died {failed.num_failures} times, often for want of memory; "
            "lower max_concurrent or batch_size"
        )
    else:
        kind, message = "TrialFailed", trace[-1].strip() if trace else "for no reason that Ray told"
    if not (folder / "config.json").exists():
        records.write_config(folder, trial)
    records.write_summary(
        folder,
        trial,
        state="failed",
        metrics={},
        cost={},
        provenance={},
        error={"type": kind, "message": message, "traceback": "\n".join(trace[-20:])},
    )
