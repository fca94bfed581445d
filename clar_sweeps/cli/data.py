"""Commands on datasets: list, prepare, verify."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from clar_sweeps.cli.entry import app, command
from clar_sweeps.config import Trial

data_app = typer.Typer(help="Datasets: list, prepare, verify.", no_args_is_help=True)
app.add_typer(data_app, name="data")

ConditionOption = Annotated[
    str | None, typer.Option(help="Recording condition, of spoken-digits only.")
]


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


def prepare_datasets(trials: Sequence[Trial], console: Console) -> None:
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
