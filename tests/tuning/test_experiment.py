"""What Tune calls back, without a Ray that runs."""

import io
import pickle
from pathlib import Path

import pytest
from ray.exceptions import ActorDiedError
from rich.console import Console

from clar_sweeps import records
from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.tuning.experiment import Bookkeeper, InOrder
from clar_sweeps.tuning.progress import Progress
from clar_sweeps.tuning.trainable import Order


class TuneTrial:
    """As much of Tune's trial as is read."""

    def __init__(self, trial: Trial, run: Path, error: Exception | None = None) -> None:
        order = Order(trial.config.model_dump(mode="json"), str(run), 1.0, 0.0, print)
        self.config = order._asdict()
        self.status = "RUNNING"
        self.error = error
        self.num_failures = 3

    def get_error(self) -> str | None:
        return f"Failure # 1\n{self.error}" if self.error else None

    def get_pickled_error(self) -> Exception | None:
        return self.error


@pytest.fixture
def trial() -> Trial:
    return make_trial(TrialConfig.model_validate({"augment": ("FD",)}))


@pytest.fixture
def bookkeeper(trial: Trial, tmp_path: Path) -> Bookkeeper:
    console = Console(file=io.StringIO(), width=200)
    progress = Progress([trial], total=1, slots=1, console=console)
    return Bookkeeper(InOrder([], limit=1), progress, tmp_path)


def test_orders_are_handed_out_in_order_up_to_the_limit(trial: Trial, tmp_path: Path) -> None:
    in_order = InOrder([{"n": 1}, {"n": 2}, {"n": 3}], limit=2)
    running = [TuneTrial(trial, tmp_path)]
    in_order.trials = running
    assert in_order.suggest("a") == {"n": 1}
    running.append(TuneTrial(trial, tmp_path))
    assert in_order.suggest("b") is None
    running[0].status = "TERMINATED"
    assert in_order.suggest("c") == {"n": 2}
    running[1].status = "ERROR"
    assert in_order.suggest("d") == {"n": 3}
    assert in_order.suggest("e") == InOrder.FINISHED


def test_an_order_gives_back_its_trial(trial: Trial, tmp_path: Path) -> None:
    assert Order(**TuneTrial(trial, tmp_path).config).trial == trial


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            ActorDiedError(),
            "ProcessDied",
            "the trial's process died 3 times, often for want of memory; "
            "lower max_concurrent or batch_size",
        ),
        (OSError("No space left on device"), "TrialFailed", "No space left on device"),
        (None, "TrialFailed", "for no reason that Ray told"),
    ],
)
def test_a_trial_that_could_not_close_its_record_gets_one(
    bookkeeper: Bookkeeper,
    trial: Trial,
    tmp_path: Path,
    error: Exception | None,
    kind: str,
    message: str,
) -> None:
    bookkeeper.on_trial_error(0, [], TuneTrial(trial, tmp_path, error))
    record = records.read_record(records.trial_folder(tmp_path, trial))
    assert record.state == "failed"
    assert (record.summary["error"]["type"], record.summary["error"]["message"]) == (kind, message)


def test_a_record_that_stands_is_left_alone(
    bookkeeper: Bookkeeper, trial: Trial, tmp_path: Path
) -> None:
    folder = records.trial_folder(tmp_path, trial)
    records.write_config(folder, trial)
    metrics = {"test_top1": 0.5}
    records.write_summary(folder, trial, state="done", metrics=metrics, cost={}, provenance={})
    bookkeeper.on_trial_error(0, [], TuneTrial(trial, tmp_path, ActorDiedError()))
    assert records.state_of(tmp_path, trial) == "done"


def test_a_trial_that_another_process_holds_is_left_to_it(
    bookkeeper: Bookkeeper, trial: Trial, tmp_path: Path
) -> None:
    with records.locked(records.trial_folder(tmp_path, trial), timeout_seconds=0.0):
        bookkeeper.on_trial_error(0, [], TuneTrial(trial, tmp_path, ActorDiedError()))
    assert records.state_of(tmp_path, trial) == "missing"


def test_a_record_that_cannot_be_written_is_kept_for_the_user(
    bookkeeper: Bookkeeper, trial: Trial, tmp_path: Path
) -> None:
    (tmp_path / "trials").write_text("in the way")
    with pytest.raises(OSError, match="trials"):
        bookkeeper.on_trial_error(0, [], TuneTrial(trial, tmp_path, ActorDiedError()))
    assert isinstance(bookkeeper.fault, OSError)


def test_tune_can_pickle_what_holds_a_live_display(bookkeeper: Bookkeeper) -> None:
    pickle.loads(pickle.dumps(bookkeeper))
    bookkeeper.in_order.trials = [bookkeeper.progress]
    assert pickle.loads(pickle.dumps(bookkeeper.in_order)).trials == []
