"""How the trials of a command are trained: prepared, watched, told of, summed up."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from rich.console import Console

from clar_sweeps import run_folder
from clar_sweeps.cli.audit import audit_briefly
from clar_sweeps.cli.data import prepare_datasets
from clar_sweeps.cli.logs import LOG, log_to
from clar_sweeps.cli.options import Plan
from clar_sweeps.config import Trial
from clar_sweeps.errors import ConfigError, DependencyError, RecordError
from clar_sweeps.records import EndState, add_command, reopen, trial_folder
from clar_sweeps.run_folder.presence import Presence
from clar_sweeps.sweep import Recovery, Resources
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.slots import Slots, share_out, this_machine
from clar_sweeps.watching import overview


class Manner(NamedTuple):
    """How trials are run, as the sweep file and the options say."""

    resources: Resources
    recovery: Recovery
    local: bool
    address: str | None = None  # of the Ray cluster; Ray is started here where there is none
    trackers: tuple[str, ...] = ()  # names of `--log`


def check_ray(manner: Manner) -> None:
    """Refuse early what needs a Ray that is not there.

    Raises:
        DependencyError: It is not installed.
    """
    if not manner.local and importlib.util.find_spec("ray") is None:
        raise DependencyError(
            "Ray is not installed; use --local, or run pip install 'ray[default,tune]'"
        )


def execute(
    plan: Plan,
    work: run_folder.Work,
    manner: Manner,
    *,
    presence: Presence | None,
    console: Console,
) -> Schedule:
    """Train what is to be run.

    Args:
        plan: The sweep and its run folder.
        work: What is to be run.
        manner: How.
        presence: Tells that this process holds the run folder; None where it does not.
        console: For progress.

    Returns:
        The schedule, which tells how the run ended.

    Raises:
        UsageError: A dataset, a chain, a cluster, a disk; see there.
    """
    from clar_sweeps.tuning.events import Broadcast
    from clar_sweeps.tuning.local import run_locally
    from clar_sweeps.tuning.loggers import tracking
    from clar_sweeps.tuning.runner import run_with_ray
    from clar_sweeps.watching.progress import Progress

    trials, run = work.to_run, plan.run
    run_folder.refuse_links(run)
    # First, so that a request during what follows, which may take an hour, is heard.
    run_folder.withdraw_stops(run, trials, ours=presence is not None)
    slots = find_slots(manner, trials)
    prepare_datasets(trials, console)
    run_folder.refuse_other_clips(trials, run)
    audit_briefly(trials)
    _reopen(trials, run, console)
    at_once = slots.num if slots else 1
    with (
        Progress(trials, run=run, slots=at_once, console=console) as progress,
        tracking(manner.trackers, run) as trackers,
    ):
        schedule = Schedule(
            trials,
            run,
            slots=slots or Slots(0, 0, 0, this_machine()),  # until the cluster has told
            max_retries=manner.recovery.max_retries,
            listener=Broadcast([progress, *trackers]),
            use_slots=progress.use_slots,
        )
        if presence is not None:
            presence.work = schedule
        schedule.see_request()
        try:
            if manner.local:
                run_locally(schedule)
            elif not schedule.is_over:  # Ray takes seconds to start
                run_with_ray(
                    schedule,
                    resources=manner.resources,
                    address=manner.address,
                    hang_timeout_seconds=60 * manner.recovery.hang_timeout_minutes,
                    look=progress.snapshot,
                    set_up=log_to,
                )
        finally:
            schedule.close()
    return schedule


def _reopen(trials: Sequence[Trial], run: Path, console: Console) -> None:
    for trial in trials:
        if not reopen(run, trial):
            console.print(
                f"{trial.name}: is not taken up again, for another process holds "
                f"{trial_folder(run, trial)}; wait for it, then run with --retry-failed again",
                markup=False,
                soft_wrap=True,
            )


def find_slots(manner: Manner, trials: Sequence[Trial]) -> Slots | None:
    """Slots of this machine, shown as well; None on a cluster, which tells its own."""
    resources = manner.resources
    if manner.local:
        resources = resources.model_copy(update={"max_concurrent": 1})
    elif manner.address:
        print(f"on the Ray cluster at {manner.address}", flush=True)
        return None
    slots = share_out(this_machine(), resources, trials)
    if manner.local and slots.ranks > 1:
        raise ConfigError(
            f"resources: a trial of {slots.ranks} ranks needs Ray, which starts them; run without "
            "--local, or set ranks_per_trial and gpus_per_trial to at most 1"
        )
    print(slots.describe(), flush=True)
    return slots


def show_work(plan: Plan, work: run_folder.Work) -> None:
    """Say what there is and what is to be run."""
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


def keep_cost(plan: Plan, work: run_folder.Work, *, slots: int, seconds: float) -> None:
    """Enter what a run took beside what was predicted of it; a damaged prediction is told of.

    Args:
        plan: The sweep and its run folder.
        work: As it was before the run.
        slots: Trials at once.
        seconds: That the run took.
    """
    states = run_folder.find_work(plan.sweep, plan.run).states
    ended = [trial.id for trial in work.to_run if states[trial.id] in get_args(EndState)]
    try:
        add_command(plan.run, seconds=seconds, slots=slots, ended=ended)
    except RecordError as error:
        print(error)


def show_outcome(plan: Plan, schedule: Schedule | None, *, seconds: float) -> int:
    """Say how all ended.

    Returns:
        The exit code: 0 all done, 1 something is not, 128 and more: a signal ended the run.
    """
    from clar_sweeps.watching.wording import format_seconds

    work = run_folder.find_work(plan.sweep, plan.run)
    trials = (*plan.sweep.baselines, *plan.sweep.trials)
    for line in overview.unsuccessful_lines(trials, plan.run, work.states):
        print(line)
    counts = overview.count_states(plan.sweep.trials, work.states)
    print(f"{plan.sweep.name}: {counts}, in {format_seconds(seconds)}")
    if work.waiting:
        print(f"log: {plan.run / LOG}; run with --retry-failed to take up what failed")
    is_left = any(state in ("missing", "unfinished") for state in work.states.values())
    if is_left and schedule is not None:
        print("stopped before all were done; the same command goes on", flush=True)
    else:
        print(f"next: clar-sweep report {plan.run}", flush=True)
    if schedule is not None and schedule.signal is not None:
        return 128 + schedule.signal
    return 0 if all(state == "done" for state in work.states.values()) else 1
