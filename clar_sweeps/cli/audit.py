"""The command that audits the augmentation chains of a sweep, and its short form before a run."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from clar_sweeps.cli.data import prepare_datasets
from clar_sweeps.cli.entry import app, command, stdout_console
from clar_sweeps.cli.gallery import gallery_config, write_gallery
from clar_sweeps.cli.options import SeedsOption, SetOption, SweepFileArgument, parse_seeds
from clar_sweeps.config import ClipsOf, Trial
from clar_sweeps.errors import AuditError
from clar_sweeps.sweep import Sweep, load_sweep

if TYPE_CHECKING:
    from clar_sweeps.audit import Audit
    from clar_sweeps.audit.planned import PlannedOperation

_BETWEEN_LINES_SECONDS = 10.0  # where the output is no terminal


@command(app, "audit")
def audit_command(
    file: SweepFileArgument,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    clips: Annotated[
        int, typer.Option(metavar="N", min=1, help="Training clips of each dataset to draw.")
    ] = 256,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write audit.json and a picture of the operations to it."),
    ] = None,
) -> int:
    """Draw clips through every augmentation chain of a sweep; refuse one that breaks a rule."""
    from clar_sweeps.audit import audit_chains, notes, num_refusing, refusals, tables

    sweep = load_sweep(file, overrides=overrides or (), seeds=parse_seeds(seeds))
    console = Console(stderr=True, highlight=False)
    prepare_datasets(sweep.trials, console)
    with _progress(console) as progress:
        audit = audit_chains(sweep.trials, num_clips=clips, progress=progress)
    shown = stdout_console()
    for table in tables(audit):
        shown.print(table, markup=False)
        shown.print()
    for line in notes(audit):
        shown.print(line, markup=False, soft_wrap=True)
    if out is not None:
        for path in _write(audit, sweep, out):
            print(path)
    if lines := refusals(audit):
        raise AuditError("\n".join(lines))
    print(f"{_counted(audit)} all {num_refusing()} rules")
    return 0


def audit_briefly(trials: Sequence[Trial]) -> None:
    """Hold the chains of prepared trials to the rules before anything is trained; says so.

    Raises:
        AuditError: A chain breaks a rule; a line each.
    """
    if not any(trial.config.epochs for trial in trials):
        return
    from clar_sweeps.audit import audit_chains, num_refusing, refusals

    audit = audit_chains(trials)
    if lines := refusals(audit):
        raise AuditError("\n".join(lines))
    line = f"audit: {_counted(audit)} all {num_refusing()} rules ({audit.seconds:.1f} s)"
    print(line, flush=True)


def _counted(audit: "Audit") -> str:
    number = len(audit.chains)
    return "1 chain keeps" if number == 1 else f"{number} chains keep"


def _write(audit: "Audit", sweep: Sweep, out: Path) -> Iterator[Path]:
    """Write the numbers, then Figure 3 of each dataset with the operations of its chains."""
    from clar_sweeps.audit import plain
    from clar_sweeps.records import write_json

    write_json(out / "audit.json", plain(audit, sweep=sweep.name))
    yield out / "audit.json"
    pictures: dict[tuple[ClipsOf, str], list[PlannedOperation]] = {}
    for each in audit.operations:
        planned = each.planned
        pictures.setdefault((planned.clips, planned.definition), []).append(planned)
    for (clips, definition), operations in pictures.items():
        name = f"{clips.title.replace(' ', '-')}-{definition}"
        folder = out if len(pictures) == 1 else out / name
        config = gallery_config(
            dataset=clips.name,
            condition=clips.condition,
            folder=clips.folder,
            augment=",".join(operation.name for operation in operations),
            profile=definition,
            seed=audit.seed,
        )
        yield from write_gallery(config, clip=None, out=folder)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left; off a terminal, a line now and then."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("audit"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started = told = time.monotonic()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("audit")

        def show(done: int, total: int) -> None:
            nonlocal told
            bar.update(task, completed=done, total=total)
            now = time.monotonic()
            if not console.is_terminal and now - told >= _BETWEEN_LINES_SECONDS:
                told = now
                left = (now - started) * (total - done) / done
                console.print(f"audit: {done}/{total}, about {left:.0f} s left")

        yield show
