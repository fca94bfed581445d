"""The command `clar-sweep`: parse and call.

Results go to stdout, progress and faults to stderr. Exit code 0: done; 1: a trial failed or is
unfinished; 2: something given is wrong; 130: interrupted. What takes long to import (torch, Ray,
pandas) is imported by the commands that need it.
"""

import contextlib
import errno
import functools
import importlib.util
import io
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, NamedTuple, NoReturn, ParamSpec, TextIO

import typer
from rich.console import Console

from clar_sweeps.config import Fault, Trial, did_you_mean, parse
from clar_sweeps.errors import ConfigError, DependencyError, UsageError
from clar_sweeps.records import reopen
from clar_sweeps.sweep import Resources, Sweep, dotted, json_schema, load_sweep
from clar_sweeps.tuning import overview, run_folder
from clar_sweeps.tuning.slots import Slots, share_out, this_machine

RUNS = Path("runs")
LOG = "run.log"
Arguments = ParamSpec("Arguments")

app = typer.Typer(
    help="Augmentation ablations of contrastive audio learning.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Datasets: list, prepare, verify.", no_args_is_help=True)
app.add_typer(data_app, name="data")

SweepFileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Sweep file (YAML).")]
RunArgument = Annotated[
    Path | None, typer.Argument(metavar="[RUN]", help="Run folder; the newest in ./runs if none.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Override a field; may be given again."),
]
SeedsOption = Annotated[
    str | None, typer.Option(metavar="0,1", help="Seeds in place of the file's.")
]
RunDirOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Run folder; runs/NAME if not given.")
]
RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Take up failed and diverged trials as well.")
]
ConditionOption = Annotated[
    str | None, typer.Option(help="Recording condition, of spoken-digits only.")
]


class Plan(NamedTuple):
    """What the options of a command amount to."""

    sweep: Sweep
    run: Path


def main() -> None:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _terminate)
    app()


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    """Leave by way of all `finally` clauses, as Ctrl-C does."""
    raise SystemExit(128 + signum)


_REMEDIES = {
    errno.ENOSPC: "free some space and give the same command again: what is done stays",
    errno.EROFS: "give a folder that can be written",
    errno.EACCES: "give a folder that can be written",
    errno.ENAMETOOLONG: "give a shorter name",
}


def command(
    group: typer.Typer, name: str
) -> Callable[[Callable[Arguments, int]], Callable[Arguments, None]]:
    """Register a command that returns its exit code; an expected error is a line, not a trace."""

    def register(function: Callable[Arguments, int]) -> Callable[Arguments, None]:
        @functools.wraps(function)
        def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            try:
                code = function(*args, **kwargs)
            except UsageError as error:
                code = _complain(str(error))
            except BrokenPipeError:
                raise  # typer's: the reader of a pipe has gone
            except OSError as error:
                where = f"{error.filename}: " if error.filename else ""
                remedy = _REMEDIES.get(error.errno or 0, "check the path")
                code = _complain(f"{where}{error.strerror or error}; {remedy}")
            except KeyboardInterrupt:
                print(
                    "interrupted; the same command goes on from the last checkpoints",
                    file=sys.stderr,
                )
                code = 130
            raise typer.Exit(code)

        return group.command(name)(guarded)

    return register


def _complain(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


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
    plan = _plan(file, overrides, seeds, run_dir)
    resources = _resources(
        plan.sweep.resources, max_concurrent=max_concurrent, gpus_per_trial=gpus_per_trial
    )
    if not local and importlib.util.find_spec("ray") is None:
        raise DependencyError(
            "Ray is not installed; use --local, or run pip install 'ray[default,tune]'"
        )
    if dry_run:
        work = run_folder.find_work(plan.sweep, plan.run, retry_failed=retry_failed)
        _show_work(plan, work)
        _find_slots(resources, work.to_run, local=local)
        return 0
    with run_folder.opened(plan.run, plan.sweep), _logging(plan.run) as console:
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
    _prepare_datasets(trials, console)
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
    plan = _plan(file, overrides, seeds, run_dir)
    work = run_folder.find_work(plan.sweep, plan.run)
    out = _stdout()
    out.print(overview.plan_table(plan.sweep, work.states))
    if plan.sweep.operations:
        out.print(overview.pair_matrices(plan.sweep, work.states))
    _show_work(plan, work)
    return 0


@command(app, "status")
def status_command(run: RunArgument = None) -> int:
    """Show how far a run is, from its records alone."""
    folder = run or run_folder.newest_run(RUNS)
    plan = Plan(run_folder.read_plan(folder), folder)
    work = run_folder.find_work(plan.sweep, plan.run)
    _stdout().print(overview.status_table(plan.sweep, plan.run, work.states))
    print(f"{folder}: {overview.count_states(plan.sweep.trials, work.states)}")
    return 0


@command(app, "report")
def report_command(
    run: RunArgument = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to; into the run folder if none.")
    ] = None,
) -> int:
    """Write figures and tables of a run, from its records alone."""
    folder = run or run_folder.newest_run(RUNS)
    run_folder.read_plan(folder)
    from analysis.report import write_report

    report = write_report(folder, out)
    print(report)
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
    plan = _plan(file, overrides, seeds, run_dir)
    chosen = find_trial(plan.sweep, trial)
    one = Plan(plan.sweep._replace(trials=(chosen,), baselines=()), plan.run)
    if not (plan.run / run_folder.PLAN).exists():
        with run_folder.opened(plan.run, plan.sweep):
            pass  # so that `status` and `report` know the whole plan
    with _logging(plan.run) as console:
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


@command(data_app, "list")
def data_list_command() -> int:
    """Show the datasets, and which are prepared."""
    from clar_sweeps import data

    for source in data.DATASETS.values():
        prepared = [
            condition or "yes"
            for condition in source.conditions or (None,)
            if data.is_prepared(source.name, condition=condition)
        ]
        print(f"{source.name}: {source.description}")
        print(f"    licence: {source.licence}; prepared: {', '.join(prepared) or 'no'}")
    return 0


@command(data_app, "prepare")
def data_prepare_command(name: str, condition: ConditionOption = None) -> int:
    """Make a dataset ready for training: decode, resample, cache; done once."""
    from clar_sweeps import data

    console = Console(stderr=True, highlight=False)
    with _data_progress(console, name) as progress:
        waveforms = data.prepare(name, condition=condition, progress=progress)
    print(f"{name}: {len(waveforms.samples)} clips in {_cache_of(name, condition)}")
    return 0


@command(data_app, "verify")
def data_verify_command(name: str, condition: ConditionOption = None) -> int:
    """Compare a prepared dataset with its checksum."""
    from clar_sweeps import data

    waveforms = data.verify(name, condition=condition)
    place = _cache_of(name, condition)
    print(f"{name}: {len(waveforms.samples)} clips in {place}, unchanged")
    return 0


def _cache_of(name: str, condition: str | None) -> Path:
    from clar_sweeps import data

    return data.cache_folder(name, condition=condition)


def _plan(file: Path, overrides: list[str] | None, seeds: str | None, run_dir: Path | None) -> Plan:
    sweep = load_sweep(file, overrides=overrides or (), seeds=parse_seeds(seeds))
    return Plan(sweep, run_dir or RUNS / sweep.name)


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """Seeds of `--seeds`, None where it is not given.

    Raises:
        ConfigError: Not a list of whole numbers.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdigit()):
            raise ConfigError(f"--seeds {text}: {part!r} is not a whole number; write 0,1")
    return tuple(int(part) for part in parts)


def _resources(given: Resources, **options: float | None) -> Resources:
    """Resources of the file, with those of the options laid over."""
    chosen = {name: value for name, value in options.items() if value is not None}
    resources: Resources | list[Fault] = parse(Resources, {**given.model_dump(), **chosen})
    if isinstance(resources, list):
        lines = [
            f"--{dotted(fault.place).replace('_', '-')}: {fault.message}" for fault in resources
        ]
        raise ConfigError("\n".join(lines))
    return resources


def find_trial(sweep: Sweep, name: str) -> Trial:
    """The trial of a plan with this name, id, or folder.

    Raises:
        ConfigError: There is none, or several have the name.
    """
    trials = (*sweep.baselines, *sweep.trials)
    found = [trial for trial in trials if name in (trial.id, trial.name, trial.folder)]
    if len(found) > 1:
        ids = ", ".join(trial.id for trial in found)
        raise ConfigError(f"--trial {name}: {len(found)} trials have this name; give an id: {ids}")
    if not found:
        near = did_you_mean(name, [trial.name for trial in trials])
        near = near or "; see 'clar-sweep plan FILE' for all"
        raise ConfigError(f"--trial {name}: is not a trial of {sweep.name}{near}")
    return found[0]


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


def _prepare_datasets(trials: Sequence[Trial], console: Console) -> None:
    from clar_sweeps import data

    needed = dict.fromkeys((trial.config.dataset, trial.config.condition) for trial in trials)
    for name, condition in needed:
        with _data_progress(console, " ".join(filter(None, (name, condition)))) as progress:
            data.prepare(name, condition=condition, progress=progress)


@contextlib.contextmanager
def _data_progress(console: Console, title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each phase of a preparation; off a terminal, a line when it begins."""
    from rich.progress import Progress, TaskID

    tasks: dict[str, TaskID] = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(f"{title}: {phase}", total=total)
                if not console.is_terminal:
                    console.print(f"{title}: {phase}", soft_wrap=True)
            bars.update(tasks[phase], completed=done, total=total)

        yield show


def _stdout() -> Console:
    """Tables keep their width in a pipe."""
    return Console(highlight=False, width=None if sys.stdout and sys.stdout.isatty() else 200)


@contextlib.contextmanager
def _logging(run: Path) -> Iterator[Console]:
    """Log into the run folder, and warnings to stderr, above what is live there."""
    stderr = _copy_of_stderr()
    console = Console(file=stderr, highlight=False)
    logging.captureWarnings(True)
    warnings = _ConsoleHandler(console)
    warnings.setLevel(logging.WARNING)
    project = logging.getLogger("clar_sweeps")
    project.addHandler(warnings)
    file = log_to(run)
    try:
        yield console
    finally:
        project.removeHandler(warnings)
        for name in ("clar_sweeps", "py.warnings"):
            logging.getLogger(name).removeHandler(file)
        file.close()
        logging.captureWarnings(False)
        if stderr is not sys.stderr:
            stderr.close()


def _copy_of_stderr() -> TextIO:
    """Leads where stderr leads now, also while Ray's output is led elsewhere."""
    try:
        return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding)
    except io.UnsupportedOperation:  # something else stands for stderr, as in a test
        return sys.stderr


def log_to(run: Path) -> logging.Handler:
    """Let this process log into a run folder; a second call with the same folder adds nothing."""
    path = str((run / LOG).absolute())
    project = logging.getLogger("clar_sweeps")
    for handler in project.handlers:
        if isinstance(handler, logging.FileHandler) and handler.baseFilename == path:
            return handler
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(
        logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
    )
    project.setLevel(logging.INFO)
    for name in ("clar_sweeps", "py.warnings"):
        logging.getLogger(name).addHandler(file)
    return file


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        self.console.print(text, markup=False, soft_wrap=True)
