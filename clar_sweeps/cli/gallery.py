"""The command that shows what the augmentations do to a clip."""

import shlex
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console

from clar_sweeps.cli.data import prepare_datasets
from clar_sweeps.cli.entry import app, command
from clar_sweeps.config import Augmentation, TrialConfig, make_trial, parse_config
from clar_sweeps.errors import ConfigError

OUT = Path("gallery")
# All but TSR: what the paper calls time stretching is that in the authors' code.
SHOWN = tuple(name for name in get_args(Augmentation) if name != "TSR")


@command(app, "gallery")
def gallery_command(
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Dataset; see 'data list'.")],
    condition: Annotated[
        str | None, typer.Option(metavar="NAME", help="Recording condition, of spoken-digits only.")
    ] = None,
    folder: Annotated[
        str | None, typer.Option(metavar="NAME", help="Your recordings, with dataset folder only.")
    ] = None,
    augment: Annotated[
        str | None, typer.Option(metavar="FD,TM", help="Operations to show; all if not given.")
    ] = None,
    profile: Annotated[
        str, typer.Option(metavar="paper|released", help="Whose definitions of the operations.")
    ] = "paper",
    clip: Annotated[
        str | None, typer.Option(metavar="NAME", help="Clip; a typical test clip if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Decides what is drawn.")] = 0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to.")] = OUT,
) -> int:
    """Draw a clip under each augmentation, with the sounds and a page to listen to them."""
    config = gallery_config(
        dataset=dataset,
        condition=condition,
        folder=folder,
        augment=augment,
        profile=profile,
        seed=seed,
    )
    prepare_datasets([make_trial(config)], Console(stderr=True, highlight=False))
    for path in write_gallery(config, clip=clip, out=out):
        print(path)
    return 0


def gallery_config(*, augment: str | None, profile: str, **options: Any) -> TrialConfig:
    """Check the options as those of a trial; the fields that only training reads do not matter.

    Raises:
        ConfigError: All faults, a line each.
    """
    names = SHOWN if augment is None else augment.split(",")
    given = {name: value for name, value in options.items() if value is not None}
    chain = list(dict.fromkeys(name.strip() for name in names))
    config = parse_config({**given, "profile": profile, "augment": chain})
    if isinstance(config, list):
        raise ConfigError("\n".join(f"--{fault.place[0]}: {fault.message}" for fault in config))
    for name in ("condition", "folder"):
        # A trial's config drops what does not apply, so that equal trials are one.
        if name in given and getattr(config, name) is None:
            raise ConfigError(
                f"--{name}: {given[name]!r}, but {config.dataset} has none; leave it out"
            )
    return config


def write_gallery(config: TrialConfig, *, clip: str | None, out: Path) -> list[Path]:
    """Write the gallery of a prepared dataset: figure, sounds and page; gives the files.

    Raises:
        DataError: There is no such clip, or the cache is damaged.
    """
    from analysis.gallery import Labels, draw_gallery, gallery_page
    from clar_sweeps import data
    from clar_sweeps.gallery import choose_clip, find_clip, make_gallery, sounds
    from clar_sweeps.records import write_atomically

    waveforms = data.load(*config.clips)
    gallery = make_gallery(
        waveforms,
        config.augment,
        clip=choose_clip(waveforms) if clip is None else find_clip(waveforms, clip),
        seed=config.seed,
        definition=config.augment_definition,
    )
    subject = config.folder or config.dataset
    heading = f"{subject} ({config.condition})" if config.condition else subject
    if config.profile == "released":
        heading += ", authors’ code"
    remark = f"clip {gallery.clip_name} · seed {config.seed}"
    labels = Labels(heading, remark, _command(config, gallery.clip_name))
    drawing = draw_gallery(gallery, labels)
    heard = sounds(gallery)
    name = f"gallery_{subject}"
    page = gallery_page(gallery, labels, drawing, name=name, sounds=heard)
    contents = {
        "index.html": page.encode(),
        f"{name}.png": drawing.png,
        f"{name}.svg": drawing.svg,
        **{f"{name}_{which}.wav": sound for which, sound in heard.items()},
    }
    for file, content in contents.items():
        write_atomically(out / file, content)
    return [out / file for file in contents]


def _command(config: TrialConfig, clip_name: str) -> str:
    """What makes the same gallery again."""
    options = {
        "dataset": config.dataset,
        "condition": config.condition,
        "folder": config.folder,
        "augment": ",".join(config.augment),
        "profile": config.profile,
        "clip": clip_name,
        "seed": config.seed,
    }
    words = [(f"--{name}", str(value)) for name, value in options.items() if value is not None]
    return shlex.join(["clar-sweep", "gallery", *(word for pair in words for word in pair)])
