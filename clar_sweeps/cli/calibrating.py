"""`plan --calibrate`: times parts of trials, and shows what the sweep will cost."""

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clar_sweeps import run_folder
from clar_sweeps.cli.data import prepare_datasets
from clar_sweeps.cli.entry import stdout_console
from clar_sweeps.cli.execution import Manner, check_ray, find_slots
from clar_sweeps.cli.options import Plan
from clar_sweeps.config import Trial
from clar_sweeps.errors import ConfigError
from clar_sweeps.records import trial_folder
from clar_sweeps.records.cost import COST, Cost, write_cost
from clar_sweeps.tuning.slots import Slots, share_processes
from clar_sweeps.watching.standing import read_standing
from clar_sweeps.watching.wording import format_bytes, format_duration, format_seconds, plain

# Of a round of parts, one on each slot, and of what comes before the first; roughly.
_SECONDS_A_ROUND = 3.0
_SECONDS_BEFORE = 10.0

# Times as long, because of other processes.
_NOTEWORTHY = 1.1


def calibrate(plan: Plan, work: run_folder.Work, manner: Manner) -> Cost | None:
    """Time parts of the trials that are to be run, keep the prediction in the run folder, show it.

    Args:
        plan: The sweep and its run folder, which need not exist.
        work: What is to be run.
        manner: How it would be run; on a cluster this machine stands for all of it.

    Returns:
        The prediction; None where nothing is to be run.

    Raises:
        UsageError: What a run would refuse as well, or another process works in the run folder.
    """
    if not work.to_run:
        print("nothing is to be run, so nothing was timed")
        return None
    check_ray(manner)
    slots = find_slots(manner._replace(address=None), work.to_run)
    assert slots is not None  # of this machine
    if slots.ranks > 1:
        raise ConfigError(
            f"--calibrate: a trial has {slots.ranks} ranks, and only trials of one process can be "
            "timed; drop it, or set ranks_per_trial and gpus_per_trial to at most 1"
        )
    with run_folder.held(plan.run):  # a run in it would be timed along
        left = {trial.id: _share_left(plan.run, trial) for trial in work.to_run}
        cost, slowdown = _measure(plan.run, work.to_run, left, slots, manner)
        write_cost(plan.run, cost)
    seconds = sum(share * cost.seconds[trial] for trial, share in left.items())
    _show(plan, cost, manner, slot_hours=seconds / 3600)
    if slowdown > _NOTEWORTHY:
        print(_others(slowdown, cost), flush=True)
    return cost


def _measure(
    run: Path, trials: Sequence[Trial], left: Mapping[str, float], slots: Slots, manner: Manner
) -> tuple[Cost, float]:
    """The prediction, and how many times as long others made it take."""
    console = Console(stderr=True, highlight=False)
    prepare_datasets(trials, console)
    from clar_sweeps.calibration.crew import measure  # torch, from here on
    from clar_sweeps.calibration.parts import make_up
    from clar_sweeps.calibration.prediction import Circumstances, predict

    # What a trial warns of stands in the log of its run.
    logging.getLogger("clar_sweeps").addHandler(logging.NullHandler())
    makeups = make_up(trials)
    parts = list(dict.fromkeys(part for made in makeups.values() for part in made.parts))
    with (
        tempfile.TemporaryDirectory(prefix=run_folder.SCRATCH, dir=run) as scratch,
        _progress(console, num_parts=len(parts), slots=slots.num) as tell,
    ):
        measured = measure(
            parts, slots=slots, with_ray=not manner.local, scratch=Path(scratch), tell=tell
        )
    circumstances = Circumstances(
        slots=slots.num,
        with_ray=not manner.local,
        shares_processes=manner.local or share_processes(slots, trials),
        is_wall_known=manner.address is None,
    )
    cost = predict(trials, makeups, measured, circumstances, left=left)
    return cost, measured.slowdown


def _share_left(run: Path, trial: Trial) -> float:
    """Of a trial that an earlier run began."""
    epochs = trial.config.epochs
    return 1.0 - read_standing(trial_folder(run, trial)).epoch / epochs if epochs else 1.0


@contextmanager
def _progress(
    console: Console, *, num_parts: int, slots: int
) -> Iterator[Callable[[int, int], None]]:
    """A bar, and before it a line with how long it will take."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    rounds = -(-num_parts // slots)
    expected = format_duration(_SECONDS_BEFORE + _SECONDS_A_ROUND * rounds)
    at_once = f" on {slots} slots at once" if slots > 1 else ""
    console.print(
        f"timing {num_parts} parts of trials{at_once}, {expected} or more", soft_wrap=True
    )
    columns = (TextColumn("timing"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task("timing", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _show(plan: Plan, cost: Cost, manner: Manner, *, slot_hours: float) -> None:
    stdout_console().print(_table(cost))
    print(f"{plan.sweep.name}: {slot_hours:.3g} slot-hours to go")
    if cost.wall_seconds is None:
        print(
            f"on the cluster at {manner.address}: as many hours over its slots, if its machines "
            "are as fast as this one; when it would end is not predicted"
        )
    else:
        end = _clock(time.time() + cost.wall_seconds)
        wall = format_seconds(cost.wall_seconds)
        slots = f"{cost.slots} slot{'s' if cost.slots > 1 else ''}"
        print(f"a run takes {wall} on {slots}; begun now it ends at {end}")
    free = os.statvfs(plan.run)
    room = format_bytes(free.f_bavail * free.f_frsize)
    print(f"disk: {format_bytes(cost.disk_bytes)} of records and checkpoints; {room} are free")
    print(f"kept in {plan.run / COST}, which a report sets beside what was measured", flush=True)


def _others(slowdown: float, cost: Cost) -> str:
    told = f"other processes made it {slowdown:.1f} times as slow just now, which is not counted"
    if cost.wall_seconds is None:
        return told
    return f"{told}; if they go on so, a run takes {format_seconds(slowdown * cost.wall_seconds)}"


def _table(cost: Cost) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("kind")
    for name in ("trials", "seconds a trial", "share"):
        table.add_column(name, justify="right")
    for kind in cost.kinds:
        seconds = sum(kind.trials.values())
        table.add_row(
            Text(plain(kind.kind)),
            str(len(kind.trials)),
            f"{seconds / len(kind.trials):.1f}",
            f"{100 * seconds / cost.slot_seconds:.0f} %",
        )
    return table


def _clock(at: float) -> str:
    """Local time of day, with the date where that is not today's."""
    is_today = time.strftime("%x", time.localtime(at)) == time.strftime("%x")
    return time.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M", time.localtime(at))
