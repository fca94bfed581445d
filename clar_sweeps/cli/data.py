"""Commands on datasets: list, prepare, verify."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from clar_sweeps.cli.entry import app, command
from clar_sweeps.config import ClipsOf, Trial
from clar_sweeps.errors import DataError

if TYPE_CHECKING:
    from rich.progress import Progress

    from clar_sweeps.data import Needs, Source, Waveforms

data_app = typer.Typer(help="Datasets: list, prepare, verify.", no_args_is_help=True)
app.add_typer(data_app, name="data")

NameArgument = Annotated[str, typer.Argument(help="As 'clar-sweep data list' shows it.")]
ConditionOption = Annotated[
    str | None, typer.Option(help="Recording condition, of spoken-digits only.")
]
FolderOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Name of your own recordings, of dataset folder only."),
]
SourceOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="The recordings: a folder in the dataset's layout, an archive, or a folder of all "
        "its archives. Without it: CLAR_SWEEPS_DATA/NAME, else a download.",
    ),
]
ClipSecondsOption = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Length of the clips, of dataset folder only."),
]


@command(data_app, "list")
def data_list_command() -> int:
    """Show the datasets: licence, download, which are prepared and where."""
    from clar_sweeps import data

    for source in data.DATASETS.values():
        print(f"{source.name}: {source.description}")
        size = data.gigabytes(source.download_bytes) if source.archives else "none"
        places = _prepared(source)
        print(
            f"    licence: {source.licence}; download: {size}; "
            f"prepared: {', '.join(places) or 'no'}"
        )
        for place in places.values():
            print(f"    {place}")
    return 0


def _prepared(source: "Source") -> dict[str, Path]:
    """Caches of a dataset by condition or folder; "yes" where it has neither."""
    from clar_sweeps import data

    if source.name == "folder":
        return {name: data.cache_folder("folder", folder=name) for name in data.prepared_folders()}
    return {
        condition or "yes": data.cache_folder(source.name, condition=condition)
        for condition in source.conditions or (None,)
        if data.is_prepared(source.name, condition=condition)
    }


@command(data_app, "prepare")
def data_prepare_command(
    name: NameArgument,
    source: SourceOption = None,
    condition: ConditionOption = None,
    folder: FolderOption = None,
    clip_seconds: ClipSecondsOption = None,
) -> int:
    """Make a dataset ready for training: download, decode, resample, cache; done once."""
    from clar_sweeps import data

    console = Console(stderr=True, highlight=False)
    needs = data.needs(
        name, condition=condition, folder=folder, source=source, clip_seconds=clip_seconds
    )
    _tell_needs(console, name, needs)
    with data_progress(console, name) as progress:
        waveforms = data.prepare(
            name,
            condition=condition,
            folder=folder,
            source=source,
            clip_seconds=clip_seconds,
            may_download_large=True,
            progress=progress,
        )
    place = data.cache_folder(name, condition=condition, folder=folder)
    print(f"{ClipsOf(name, condition, folder).title}: {_summary(waveforms)} in {place}")
    return 0


def _summary(waveforms: "Waveforms") -> str:
    """Number, length, classes and splits of the clips."""
    from clar_sweeps import data

    num_clips, length = waveforms.samples.shape
    counts = ", ".join(f"{split} {len(waveforms.indices(split))}" for split in data.SPLITS)
    return (
        f"{num_clips} clips of {length / waveforms.sample_rate:g} s in "
        f"{len(waveforms.class_names)} classes ({counts})"
    )


@command(data_app, "verify")
def data_verify_command(
    name: NameArgument, condition: ConditionOption = None, folder: FolderOption = None
) -> int:
    """Compare a prepared dataset with its checksum."""
    from clar_sweeps import data

    with data_progress(Console(stderr=True, highlight=False), name) as progress:
        waveforms = data.verify(name, condition=condition, folder=folder, progress=progress)
    place = data.cache_folder(name, condition=condition, folder=folder)
    print(f"{name}: {len(waveforms.samples)} clips in {place}, unchanged")
    return 0


def prepare_datasets(trials: Sequence[Trial], console: Console) -> None:
    """Prepare the datasets of trials; a download of many gigabytes waits for `data prepare`."""
    from clar_sweeps import data

    for clips in dict.fromkeys(trial.config.clips for trial in trials):
        needs = data.needs(*clips)
        if 0 < needs.download_bytes <= data.LARGE_DOWNLOAD_BYTES:
            _tell_needs(console, clips.title, needs)
        with data_progress(console, clips.title) as progress:
            data.prepare(*clips, progress=progress)


def show_missing_datasets(trials: Sequence[Trial]) -> None:
    """Say which datasets of trials are not prepared, and what that will take."""
    from clar_sweeps import data

    told: set[Path] = set()  # nsynth11 and nsynth128 share a cache
    for clips in dict.fromkeys(trial.config.clips for trial in trials):
        cache = data.cache_folder(*clips)
        if cache in told or data.is_prepared(*clips):
            continue
        told.add(cache)
        try:
            needs = data.needs(*clips)
        except DataError as error:
            print(error)
            continue
        download = (
            f"download {data.gigabytes(needs.download_bytes)}, " if needs.download_bytes else ""
        )
        disk = f"disk {data.gigabytes(needs.disk_bytes)}" if needs.is_found else "not found yet"
        print(f"{clips.title}: not prepared; {download}{disk}")


def _tell_needs(console: Console, title: str, needs: "Needs") -> None:
    """Say before a long preparation what it takes; nothing where nothing is to be done."""
    from clar_sweeps import data

    if not needs.disk_bytes:
        return
    disk, stays = data.gigabytes(needs.disk_bytes), data.gigabytes(needs.cache_bytes)
    download = f"download {data.gigabytes(needs.download_bytes)}, " if needs.download_bytes else ""
    free = data.gigabytes(data.free_bytes())
    line = f"{title}: {download}disk {disk}, of which {stays} stay; {free} are free"
    console.print(line, soft_wrap=True)


@contextlib.contextmanager
def data_progress(console: Console, title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each phase of a preparation; off a terminal, a line when it begins."""
    from rich.progress import TaskID

    tasks: dict[str, TaskID] = {}
    with _bars(console) as bars:

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(f"{title}: {phase}", in_bytes=_is_in_bytes(phase))
                if not console.is_terminal:
                    console.print(f"{title}: {phase}", soft_wrap=True)
            bars.update(tasks[phase], completed=done, total=total or None)

        yield show


def _is_in_bytes(phase: str) -> bool:
    return phase.split()[0] in ("download", "check", "unpack")


def _bars(console: Console) -> "Progress":
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    class Amount(ProgressColumn):
        """Bytes and bytes a second, or clips, as the phase has it."""

        size, speed, count = DownloadColumn(), TransferSpeedColumn(), MofNCompleteColumn()

        def render(self, task: Task) -> Text:
            if not task.fields["in_bytes"]:
                return self.count.render(task)
            return Text(" ").join([self.size.render(task), self.speed.render(task)])

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        Amount(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
