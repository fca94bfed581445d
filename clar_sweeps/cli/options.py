"""Options that commands share, and what they amount to."""

from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import typer

from clar_sweeps.config import Trial
from clar_sweeps.errors import ConfigError
from clar_sweeps.faults import Fault, did_you_mean, parse
from clar_sweeps.sweep import Recovery, Resources, Sweep, dotted, load_sweep

RUNS = Path("runs")

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
MaxRetriesOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Times that a trial is taken up again; 2 if the file is mute."),
]
MaxConcurrentOption = Annotated[
    int | None, typer.Option(metavar="N", help="At most so many trials at once.")
]
GpusOption = Annotated[
    float | None, typer.Option(metavar="X", help="GPUs a trial; fractions pack trials.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Run on the Ray cluster with this head, or 'auto' for the one that this machine "
        "is part of; RAY_ADDRESS if not given.",
    ),
]
LocalOption = Annotated[
    bool, typer.Option("--local", help="One after another in this process, without Ray.")
]

Settings = TypeVar("Settings", Resources, Recovery)


class Plan(NamedTuple):
    """What the options of a command amount to."""

    sweep: Sweep
    run: Path


def plan_of(
    file: Path, overrides: list[str] | None, seeds: str | None, run_dir: Path | None
) -> Plan:
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


def lay_over(given: Settings, **options: float | None) -> Settings:
    """Settings of the file, with those of the options laid over."""
    chosen = {name: value for name, value in options.items() if value is not None}
    settings: Settings | list[Fault] = parse(type(given), {**given.model_dump(), **chosen})
    if isinstance(settings, list):
        lines = [
            f"--{dotted(fault.place).replace('_', '-')}: {fault.message}" for fault in settings
        ]
        raise ConfigError("\n".join(lines))
    return settings


def find_trial(sweep: Sweep, name: str, *, option: str = "--trial") -> Trial:
    """The trial of a plan with this name, id, or folder.

    Raises:
        ConfigError: There is none, or several have the name.
    """
    trials = (*sweep.baselines, *sweep.trials)
    found = [trial for trial in trials if name in (trial.id, trial.name, trial.folder)]
    if len(found) > 1:
        ids = ", ".join(trial.id for trial in found)
        raise ConfigError(f"{option} {name}: {len(found)} trials have this name; give an id: {ids}")
    if not found:
        near = did_you_mean(name, [trial.name for trial in trials])
        near = near or "; see 'clar-sweep plan FILE' for all"
        raise ConfigError(f"{option} {name}: is not a trial of {sweep.name}{near}")
    return found[0]
