"""What Tune calls back, without a Ray that runs."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError

from clar_sweeps import records
from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.errors import DiskFullError, UsageError
from clar_sweeps.records import Record
from clar_sweeps.tuning.experiment import Bookkeeper, Idle, InOrder
from clar_sweeps.tuning.hang import HangWatch
from clar_sweeps.tuning.nodes import Expected
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.slots import Machine, Slots
from clar_sweeps.tuning.trainable import Order, train_in_ray

# As the control store words it; test_nodes.py hears it from a real one.
NODE_DIED = "The actor died because its node has died. Node Id: 12ab"


class TuneTrial:
    """As much of Tune's trial as is read."""

    def __init__(self, trial: Trial, run: Path, error: Exception | None = None) -> None:
        self.config = order(trial, run)
        self.last_result: dict[str, Any] = {}
        self.error_file = None
        if error is not None:
            self.error_file = str(run / "error.txt")
            occurred = "Failure # 1 (occurred at 2026-01-01_00-00-00)"
            (run / "error.txt").write_text(f"{occurred}\n{error}\n")


def order(trial: Trial, run: Path) -> dict[str, Any]:
    config = trial.config.model_dump(mode="json")
    return Order(
        config=config,
        run=str(run),
        cpus=1.0,
        gpus=0.0,
        is_one_of_many=True,
        ranks=1,
        patience_seconds=60.0,
        attempt=0,
        expected=None,
        set_up=print,
    )._asdict()


class Silent:
    """A listener that does not listen."""

    def started(self, trial: Trial) -> None: ...

    def reported(self, trial: Trial, row: Mapping[str, Any]) -> None: ...

    def restarted(self, trial: Trial, why: str) -> None: ...

    def ended(self, trial: Trial, record: Record | None) -> None: ...

    def note(self, text: str) -> None: ...


@pytest.fixture
def trials() -> list[Trial]:
    return [
        make_trial(TrialConfig.model_validate({"augment": ("FD",), "seed": seed}))
        for seed in range(3)
    ]


@pytest.fixture
def schedule(trials: list[Trial], tmp_path: Path) -> Schedule:
    slots = Slots(1, 0, 2, Machine(2, 0))
    return Schedule(trials, tmp_path, slots=slots, max_retries=0, listener=Silent())


@pytest.fixture
def in_order(schedule: Schedule, tmp_path: Path) -> InOrder:
    return InOrder(schedule, lambda trial: order(trial, tmp_path), batch=100)


@pytest.fixture
def bookkeeper(schedule: Schedule, tmp_path: Path) -> Bookkeeper:
    return Bookkeeper(schedule, HangWatch(tmp_path, timeout_seconds=60))


def test_an_order_gives_back_its_trial(trials: list[Trial], tmp_path: Path) -> None:
    assert Order(**order(trials[0], tmp_path)).trial == trials[0]


def test_orders_go_out_up_to_the_slots_and_end_when_nothing_runs(
    in_order: InOrder, schedule: Schedule, trials: list[Trial], tmp_path: Path
) -> None:
    assert in_order.suggest("a") == order(trials[0], tmp_path)
    assert in_order.suggest("b") == order(trials[1], tmp_path)
    assert in_order.suggest("c") is None
    schedule.returned(trials[0])
    assert in_order.suggest("c") == order(trials[2], tmp_path)
    schedule.returned(trials[1])
    assert in_order.suggest("d") is None  # the last one may come back
    schedule.returned(trials[2])
    assert in_order.suggest("d") == InOrder.FINISHED


def test_a_batch_ends_and_leaves_the_rest_to_the_next_one(
    schedule: Schedule, trials: list[Trial], tmp_path: Path
) -> None:
    in_order = InOrder(schedule, lambda trial: order(trial, tmp_path), batch=1)
    assert in_order.suggest("a") == order(trials[0], tmp_path)
    assert in_order.suggest("b") == InOrder.FINISHED
    assert not schedule.is_over
    assert schedule.waiting == trials[1:]


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            ActorDiedError(),
            "ProcessDied",
            "its process died, often for want of memory; lower max_concurrent or batch_size",
        ),
        (
            RayActorError(None, f"{ActorDiedError.BASE_ERROR_MSG}\n\tpid: 7\n{NODE_DIED}"),
            "NodeLost",
            "the machine that it ran on was lost",
        ),
        (
            RuntimeError(f"told by a trial: {NODE_DIED}"),
            "TrialFailed",
            f"told by a trial: {NODE_DIED}",
        ),
        (
            ActorUnavailableError("no connection", None),
            "NodeLost",
            "the machine that it ran on was lost",
        ),
        (
            RayActorError(None, "in its creation task\nImportError: torch", True),
            "TrialFailed",
            "ImportError: torch",
        ),
        (ImportError("no module named clar_sweeps"), "TrialFailed", "no module named clar_sweeps"),
        (None, "TrialFailed", "for no reason that Ray told"),
    ],
)
def test_what_a_trial_could_not_tell_is_told_from_what_ray_knows(
    bookkeeper: Bookkeeper,
    schedule: Schedule,
    tmp_path: Path,
    error: Exception | None,
    kind: str,
    message: str,
) -> None:
    trial = schedule.next()
    assert trial is not None
    bookkeeper.on_trial_error(0, [], TuneTrial(trial, tmp_path, error))
    last = records.read_failures(records.trial_folder(tmp_path, trial))[-1]
    assert (last.kind, last.message) == (kind, message)


def test_a_record_that_stands_is_left_alone(
    bookkeeper: Bookkeeper, schedule: Schedule, tmp_path: Path
) -> None:
    trial = schedule.next()
    assert trial is not None
    folder = records.trial_folder(tmp_path, trial)
    records.write_config(folder, trial)
    metrics = {"test_top1": 0.5}
    records.write_summary(folder, trial, state="done", metrics=metrics, cost={}, provenance={})
    bookkeeper.on_trial_error(0, [], TuneTrial(trial, tmp_path, ActorDiedError()))
    assert records.state_of(tmp_path, trial) == "done"


def test_a_full_disk_of_a_trials_machine_ends_the_run(
    bookkeeper: Bookkeeper, schedule: Schedule, tmp_path: Path
) -> None:
    trial = schedule.next()
    assert trial is not None
    of_tune = TuneTrial(trial, tmp_path)
    of_tune.last_result = {"disk_full": "checkpoint.pt: the disk at / is full"}
    bookkeeper.on_trial_complete(0, [], of_tune)
    assert isinstance(schedule.fault, DiskFullError)
    assert schedule.is_over


def test_a_trial_that_another_process_holds_is_put_back(
    bookkeeper: Bookkeeper, schedule: Schedule, trials: list[Trial], tmp_path: Path
) -> None:
    trial = schedule.next()
    assert trial is not None
    of_tune = TuneTrial(trial, tmp_path)
    of_tune.last_result = {"locked": "another process trains this trial"}
    bookkeeper.on_trial_complete(0, [], of_tune)
    assert schedule.waiting == [*trials[1:], trials[0]]


def test_the_experiment_of_a_run_that_stops_ends_with_nothing_in_training(
    schedule: Schedule,
) -> None:
    idle = Idle(schedule)
    trial = schedule.next()
    assert trial is not None
    schedule.started(trial)
    assert not idle.stop_all()
    schedule.stop()
    assert not idle.stop_all()
    schedule.returned(trial)
    assert idle.stop_all()


def test_tune_can_pickle_what_holds_a_live_display(
    bookkeeper: Bookkeeper, in_order: InOrder
) -> None:
    for part in (bookkeeper, in_order, Idle(bookkeeper.schedule)):
        pickle.loads(pickle.dumps(part))


def test_a_machine_that_does_not_agree_ends_the_run_and_no_trial(
    bookkeeper: Bookkeeper,
    schedule: Schedule,
    trials: list[Trial],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("ray.tune.report", told.append)
    trial = schedule.next()
    assert trial is not None
    train_in_ray(order(trial, tmp_path) | {"expected": Expected("token", {"torch": "0.1"}, [])})
    (last,) = told
    tune_trial = TuneTrial(trial, tmp_path)
    tune_trial.last_result = last
    bookkeeper.on_trial_complete(0, [], tune_trial)  # type: ignore[arg-type]
    assert isinstance(schedule.fault, UsageError)
    assert str(schedule.fault).startswith("node ")
    assert schedule.is_over
    assert records.state_of(tmp_path, trial) == "missing"
