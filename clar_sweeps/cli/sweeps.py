"""Commands on sweeps: run, plan, train, schema."""

import json
import time
from typing import Annotated

import typer

from clar_sweeps import run_folder
from clar_sweeps.cli.calibrating import calibrate as predict
from clar_sweeps.cli.data import show_missing_datasets
from clar_sweeps.cli.entry import app, command, stdout_console
from clar_sweeps.cli.execution import (
    Manner,
    check_ray,
    execute,
    find_slots,
    keep_cost,
    show_outcome,
    show_work,
)
from clar_sweeps.cli.logs import logging_into
from clar_sweeps.cli.options import (
    AddressOption,
    GpusOption,
    LocalOption,
    MaxConcurrentOption,
    MaxRetriesOption,
    Plan,
    RetryOption,
    RunDirOption,
    SeedsOption,
    SetOption,
    SweepFileArgument,
    find_trial,
    lay_over,
    plan_of,
)
from clar_sweeps.errors import ConfigError
from clar_sweeps.sweep import Resources, json_schema
from clar_sweeps.watching import overview


@command(app, "run")
def run_command(
    file: SweepFileArgument,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    run_dir: RunDirOption = None,
    max_concurrent: MaxConcurrentOption = None,
    gpus_per_trial: GpusOption = None,
    max_retries: MaxRetriesOption = None,
    hang_timeout_minutes: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Without a sign of life for so long, a trial's process is ended and the trial "
            "retried; 60 if the file is mute. There is no such watch with --local.",
        ),
    ] = None,
    address: AddressOption = None,
    local: LocalOption = False,
    retry_failed: RetryOption = False,
    trackers: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="NAME",
            help="Show trials in tensorboard, wandb or mlflow as well; may be given again.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
) -> int:
    """Train the trials of a sweep that are not done, show them, keep their records."""
    from clar_sweeps.tuning.loggers import check_trackers

    plan = plan_of(file, overrides, seeds, run_dir)
    resources = lay_over(
        plan.sweep.resources, max_concurrent=max_concurrent, gpus_per_trial=gpus_per_trial
    )
    recovery = lay_over(
        plan.sweep.recovery, max_retries=max_retries, hang_timeout_minutes=hang_timeout_minutes
    )
    manner = _manner(plan, resources, address=address, local=local)
    manner = manner._replace(recovery=recovery, trackers=tuple(trackers or ()))
    if local and hang_timeout_minutes is not None:
        raise ConfigError("--hang-timeout-minutes: nobody watches with --local; drop one of them")
    check_ray(manner)
    check_trackers(manner.trackers)
    if dry_run:
        work = run_folder.find_work(plan.sweep, plan.run, retry_failed=retry_failed)
        show_work(plan, work)
        show_missing_datasets(work.to_run)
        find_slots(manner, work.to_run)
        return 0
    with run_folder.opened(plan.run, plan.sweep) as presence, logging_into(plan.run) as console:
        started = time.monotonic()
        work = run_folder.find_work(plan.sweep, plan.run, retry_failed=retry_failed)
        show_work(plan, work)
        schedule = (
            execute(plan, work, manner, presence=presence, console=console) if work.to_run else None
        )
        seconds = time.monotonic() - started
        if schedule is not None:
            keep_cost(plan, work, slots=schedule.slots.num, seconds=seconds)
        return show_outcome(plan, schedule, seconds=seconds)


@command(app, "plan")
def plan_command(
    file: SweepFileArgument,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    run_dir: RunDirOption = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Prepare what datasets are missing, time parts of the missing trials here with "
            "all slots busy, and predict seconds a trial, slot-hours, wall time and disk; half a "
            "minute for a quickstart. On a cluster this machine stands for all, and the wall time "
            "is not predicted.",
        ),
    ] = False,
    max_concurrent: MaxConcurrentOption = None,
    gpus_per_trial: GpusOption = None,
    address: AddressOption = None,
    local: LocalOption = False,
) -> int:
    """Show the trials of a sweep, which are done and which are missing; starts none."""
    plan = plan_of(file, overrides, seeds, run_dir)
    given = {
        "--max-concurrent": max_concurrent,
        "--gpus-per-trial": gpus_per_trial,
        "--address": address,
        "--local": local or None,
    }
    for option, value in given.items():
        if value is not None and not calibrate:
            raise ConfigError(f"{option}: says how trials are timed; add --calibrate, or drop it")
    resources = lay_over(
        plan.sweep.resources, max_concurrent=max_concurrent, gpus_per_trial=gpus_per_trial
    )
    manner = _manner(plan, resources, address=address, local=local) if calibrate else None
    work = run_folder.find_work(plan.sweep, plan.run)
    out = stdout_console()
    out.print(overview.plan_table(plan.sweep, work.states))
    if plan.sweep.operations:
        out.print(overview.pair_matrices(plan.sweep, work.states))
    show_work(plan, work)
    show_missing_datasets(work.to_run)
    if manner is not None:
        predict(plan, work, manner)
    return 0


def _manner(plan: Plan, resources: Resources, *, address: str | None, local: bool) -> Manner:
    from clar_sweeps.tuning.cluster import cluster_address

    if local and address is not None:
        raise ConfigError("--address: there is no cluster with --local; drop one of them")
    return Manner(
        resources, plan.sweep.recovery, local, None if local else cluster_address(address)
    )


@command(app, "train")
def train_command(
    file: SweepFileArgument,
    trial: Annotated[str, typer.Option(metavar="NAME", help="Name or id of the trial.")],
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    run_dir: RunDirOption = None,
    max_retries: MaxRetriesOption = None,
    retry_failed: RetryOption = False,
) -> int:
    """Train a single trial of a sweep in this process, without Ray."""
    plan = plan_of(file, overrides, seeds, run_dir)
    chosen = find_trial(plan.sweep, trial)
    one = Plan(plan.sweep._replace(trials=(chosen,), baselines=()), plan.run)
    recovery = lay_over(plan.sweep.recovery, max_retries=max_retries)
    manner = Manner(plan.sweep.resources, recovery, local=True)
    if not (plan.run / run_folder.PLAN).exists():
        with run_folder.opened(plan.run, plan.sweep):
            pass  # so that `status` and `report` know the whole plan
    with logging_into(plan.run) as console:
        started = time.monotonic()
        work = run_folder.find_work(one.sweep, one.run, retry_failed=retry_failed)
        schedule = (
            execute(one, work, manner, presence=None, console=console) if work.to_run else None
        )
        return show_outcome(one, schedule, seconds=time.monotonic() - started)


@command(app, "schema")
def schema_command() -> int:
    """Print the JSON schema of sweep files, for editors that complete and check them."""
    print(json.dumps(json_schema(), indent=2))
    return 0
