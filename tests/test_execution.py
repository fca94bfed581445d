"""What a command does around the training of its trials; whole runs are in tuning/test_runs.py."""

import io
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from clar_sweeps import records, run_folder
from clar_sweeps.cli import execution
from clar_sweeps.cli.options import Plan
from clar_sweeps.sweep import load_sweep
from clar_sweeps.tuning.schedule import Schedule

ONE = """
name: one
fixed: {width: 4, augment: [FD]}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    file = tmp_path / "one.yaml"
    file.write_text(ONE)
    return Plan(load_sweep(file), tmp_path / "run")


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def execute(plan: Plan, console: Console, *, local: bool) -> Schedule:
    manner = execution.Manner(plan.sweep.resources, plan.sweep.recovery, local=local)
    with run_folder.opened(plan.run, plan.sweep) as presence:
        work = run_folder.find_work(plan.sweep, plan.run, retry_failed=True)
        return execution.execute(plan, work, manner, presence=presence, console=console)


@pytest.mark.parametrize("local", [True, False])
def test_a_stop_while_datasets_are_prepared_is_heard(
    plan: Plan, console: Console, monkeypatch: pytest.MonkeyPatch, local: bool
) -> None:
    def stop_meanwhile(*args: object) -> None:
        records.request_stop(plan.run)

    monkeypatch.setattr(execution, "prepare_datasets", stop_meanwhile)
    monkeypatch.setattr(run_folder, "refuse_other_clips", lambda *args: None)
    monkeypatch.setattr(execution, "audit_briefly", lambda trials: None)
    schedule = execute(plan, console, local=local)
    assert schedule.is_over
    assert shown(console) == "asked to stop: no trial is in training\n"
    (trial,) = plan.sweep.trials
    assert records.state_of(plan.run, trial) == "missing"


def test_a_failed_trial_that_another_process_holds_is_named(
    plan: Plan, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trial,) = plan.sweep.trials
    folder = records.trial_folder(plan.run, trial)
    records.write_config(folder, trial)
    records.close_unsuccessful(folder, trial)
    at_once = partial(records.reopen, timeout_seconds=0.0)
    monkeypatch.setattr(execution, "reopen", at_once)
    with records.locked(folder, timeout_seconds=0.0):
        execution._reopen([trial], plan.run, console)
    assert shown(console) == (
        f"{trial.name}: is not taken up again, for another process holds {folder}; "
        "wait for it, then run with --retry-failed again\n"
    )
