"""Commands on sweeps: run, plan, status, train, schema."""

import importlib.util
import json
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from clar_sweeps.cli.data import prepare_datasets, show_missing_datasets
from clar_sweeps.cli.entry import app, command, stdout_console
from clar_sweeps.cli.logs import LOG, log_to, logging_into
from clar_sweeps.cli.options import (
    RUNS,
    Plan,
    RetryOption,
    RunArgument,
    RunDirOption,
    SeedsOption,
    SetOption,
    SweepFileArgument,
    find_trial,
    lay_over,
    plan_of,
)
from clar_sweeps.config import Trial
from clar_sweeps.errors import DependencyError
from clar_sweeps.records import reopen
from clar_sweeps.sweep import Resources, json_schema
from clar_sweeps.tuning import overview, run_folder
from clar_sweeps.tuning.slots import Slots, share_out, this_machine


@command(app, "run")
def run_command(
    file: SweepFileArgument,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    run_dir: RunDirOption = None,
    max_concurrent: Annotated[
        int | None, typer.Option(metavar="N", help="At most so many trials at once.")
    ] = None,
    gpus_per_trial: Annotated[
        float | None, typer.Option(metavar="X", help="GPUs a trial; fractions pack trials.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="One after another in this process, without Ray.")
    ] = False,
    retry_failed: RetryOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
) -> int:
    """Train the trials of a sweep that are not done, show them, keep their records."""
    plan = plan_of(file, overrides, seeds, run_dir)
    resources = lay_over(
        plan.sweep.resources, max_concurrent=max_concurrent, gpus_per_trial=gpus_per_trial
    )
    if not local and importlib.util.find_spec("ray") is None:
        raise DependencyError(
            "Ray is not installed; use --local, or run pip install 'ray[default,tune]'"
        )
    if dry_run:
        work = run_folder.find_work(plan.sweep, plan.run, retry_failed=retry_failed)
        _show_work(plan, work)
        show_missing_datasets(work.to_run)
        _find_slots(resources, work.to_run, local=local)
        return 0
    with run_folder.opened(plan.run, plan.sweep), logging_into(plan.run) as console:
        started = time.monotonic()
        work = run_folder.find_work(plan.sweep, plan.run, retry_failed=retry_failed)
        _show_work(plan, work)
        if work.to_run:
            _execute(plan, work, resources, local=local, console=console)
        return _show_outcome(plan, seconds=time.monotonic() - started)


def _execute(
    plan: Plan, work: run_folder.Work, resources: Resources, *, local: bool, console: Console
) -> None:
    from clar_sweeps.tuning.local import run_locally
    from clar_sweeps.tuning.progress import Progress
    from clar_sweeps.tuning.runner import run_with_ray

    trials, run = work.to_run, plan.run
    slots = _find_slots(resources, trials, local=local)
    prepare_datasets(trials, console)
    run_folder.refuse_other_clips(trials, run)
    for trial in trials:
        reopen(run, trial)
    total, at_once = len(plan.sweep.trials), slots.num if slots else 1
    with Progress(trials, total=total, slots=at_once, console=console) as progress:
        if local and slots:
            run_locally(trials, run, slots=slots, progress=progress)
        else:
            run_with_ray(
                trials, run, resources=resources, slots=slots, progress=progress, set_up=log_to
            )


def _find_slots(resources: Resources, trials: Sequence[Trial], *, local: bool) -> Slots | None:
    """Slots of this machine, shown as well; None on a cluster, which tells its own."""
    from clar_sweeps.tuning.cluster import cluster_address

    if local:
        resources = resources.model_copy(update={"max_concurrent": 1})
    elif address := cluster_address():
        print(f"on the Ray cluster at {address}", flush=True)
        return None
    slots = share_out(this_machine(), resources, trials)
    print(slots.describe(), flush=True)
    return slots


@command(app, "plan")
def plan_command(
    file: SweepFileArgument,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    run_dir: RunDirOption = None,
) -> int:
    """Show the trials of a sweep, which are done and which are missing; starts nothing."""
    plan = plan_of(file, overrides, seeds, run_dir)
    work = run_folder.find_work(plan.sweep, plan.run)
    out = stdout_console()
    out.print(overview.plan_table(plan.sweep, work.states))
    if plan.sweep.operations:
        out.print(overview.pair_matrices(plan.sweep, work.states))
    _show_work(plan, work)
    show_missing_datasets(work.to_run)
    return 0


@command(app, "status")
def status_command(run: RunArgument = None) -> int:
    """Show how far a run is, from its records alone."""
    folder = run or run_folder.newest_run(RUNS)
    plan = Plan(run_folder.read_plan(folder), folder)
    work = run_folder.find_work(plan.sweep, plan.run)
    stdout_console().print(overview.status_table(plan.sweep, plan.run, work.states))
    print(f"{folder}: {overview.count_states(plan.sweep.trials, work.states)}")
    return 0


@command(app, "train")
def train_command(
    file: SweepFileArgument,
    trial: Annotated[str, typer.Option(metavar="NAME", help="Name or id of the trial.")],
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    run_dir: RunDirOption = None,
    retry_failed: RetryOption = False,
) -> int:
    """Train a single trial of a sweep in this process, without Ray."""
    plan = plan_of(file, overrides, seeds, run_dir)
    chosen = find_trial(plan.sweep, trial)
    one = Plan(plan.sweep._replace(trials=(chosen,), baselines=()), plan.run)
    if not (plan.run / run_folder.PLAN).exists():
        with run_folder.opened(plan.run, plan.sweep):
            pass  # so that `status` and `report` know the whole plan
    with logging_into(plan.run) as console:
        started = time.monotonic()
        work = run_folder.find_work(one.sweep, one.run, retry_failed=retry_failed)
        if work.to_run:
            _execute(one, work, plan.sweep.resources, local=True, console=console)
        return _show_outcome(one, seconds=time.monotonic() - started)


@command(app, "schema")
def schema_command() -> int:
    """Print the JSON schema of sweep files, for editors that complete and check them."""
    print(json.dumps(json_schema(), indent=2))
    return 0


def _show_work(plan: Plan, work: run_folder.Work) -> None:
    sweep = plan.sweep
    counts = overview.count_states(sweep.trials, work.states)
    print(f"{sweep.name}: {_several(len(sweep.trials), 'trial')} ({counts})")
    print(f"records: {plan.run}")
    to_run = [trial for trial in work.to_run if trial.config.epochs]
    baselines = len(work.to_run) - len(to_run)
    if work.to_run:
        also = f", and {_several(baselines, 'untrained encoder')} to evaluate" if baselines else ""
        print(f"to run: {_several(len(to_run), 'trial')}{also}", flush=True)
    if work.waiting:
        print(f"{len(work.waiting)} failed before; --retry-failed takes them up again", flush=True)


def _several(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _show_outcome(plan: Plan, *, seconds: float) -> int:
    from clar_sweeps.tuning.progress import format_seconds

    work = run_folder.find_work(plan.sweep, plan.run)
    trials = (*plan.sweep.baselines, *plan.sweep.trials)
    for line in overview.unsuccessful_lines(trials, plan.run, work.states):
        print(line)
    counts = overview.count_states(plan.sweep.trials, work.states)
    print(f"{plan.sweep.name}: {counts}, in {format_seconds(seconds)}")
    if work.waiting:
        print(f"log: {plan.run / LOG}; run with --retry-failed to take up what failed")
    print(f"next: clar-sweep report {plan.run}", flush=True)
    return 0 if all(state == "done" for state in work.states.values()) else 1
