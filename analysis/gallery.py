"""Draws one clip under each augmentation, and makes a page to listen to it; computes no result.

Equal numbers give equal bytes.
"""

import base64
import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import jinja2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

DPI = 300
# Perceptually uniform, and read alike with all common kinds of colour blindness.
COLOURS = "magma"
SPAN_DB = 80.0
INK, QUIET, GHOST, WAVE = "#1b1f24", "#5b6470", "#c9ced6", "#1f6f85"
TICKS_KHZ = (0.5, 1, 2, 4)
# Columns of the min-max envelope that stands for a waveform: finer than print resolves.
ENVELOPE = 600
# Inches. The width is that of two columns of text.
WIDTH, LEFT, RIGHT, BETWEEN = 7.2, 0.44, 0.5, 0.11
HEAD, TITLE, WAVEFORM, GAP, MEL, TICKS, LINE, FOOT = 0.3, 0.22, 0.44, 0.05, 0.95, 0.15, 0.12, 0.12
ROW = TITLE + WAVEFORM + GAP + MEL + TICKS + FOOT  # and the lines of the captions
TITLE_SIZE, CAPTION_SIZE = 7.5, 6.3  # points
CHARACTER = 0.545  # mean width in DejaVu Sans, of the size


class Example(Protocol):
    """The clip under one operation; waveform (time,), mel (bands, frames) in dB."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def caption(self) -> str: ...
    @property
    def waveform(self) -> NDArray[np.float32]: ...
    @property
    def mel(self) -> NDArray[np.float32]: ...


class Gallery(Protocol):
    """One clip under several operations; `band_centres` (bands,) in Hz."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def hop_length(self) -> int: ...
    @property
    def band_centres(self) -> NDArray[np.float32]: ...
    @property
    def examples(self) -> Sequence[Example]: ...


class Drawing(NamedTuple):
    """The figure in both formats."""

    png: bytes
    svg: bytes


class Labels(NamedTuple):
    """What is said of a gallery as a whole."""

    heading: str  # what it shows: the dataset
    remark: str  # the clip and the seed
    command: str  # that makes it again


class _Limits(NamedTuple):
    """What all panels share."""

    amplitude: float
    seconds: float
    loudest_db: float


def draw_gallery(gallery: Gallery, labels: Labels) -> Drawing:
    """Draw waveform above mel spectrogram for each example, all on the same scales, as Figure 3.

    Args:
        gallery: Examples of one clip, the clip itself first: it stands in grey behind the others.
        labels: Their heading and remark are the figure's first line.
    """
    with _style(labels.heading):
        figure = _figure(gallery, labels)
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
        figure.savefig(svg, format="svg", dpi=DPI, metadata={"Date": None, "Creator": None})
    return Drawing(png.getvalue(), svg.getvalue())


def gallery_page(
    gallery: Gallery, labels: Labels, drawing: Drawing, *, name: str, sounds: Mapping[str, bytes]
) -> str:
    """One HTML page with the figure and a player for each example; it needs no other file.

    Args:
        gallery: As drawn.
        labels: As drawn.
        drawing: The figure.
        name: Of its files, which lie beside the page.
        sounds: A WAV file by the name of each example.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("gallery.html.j2").render(
        labels=labels,
        examples=gallery.examples,
        name=name,
        png=base64.b64encode(drawing.png).decode(),
        sounds={which: base64.b64encode(sound).decode() for which, sound in sounds.items()},
        span_db=f"{SPAN_DB:g}",
    )


@contextmanager
def _style(salt: str) -> Iterator[None]:
    settings: dict[Any, Any] = {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
        "font.size": 7,
        "text.color": INK,
        "text.parse_math": False,  # the name of a clip may hold any sign
        "axes.linewidth": 0.5,
        "axes.edgecolor": QUIET,
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
    }
    with mpl.rc_context(settings):
        yield


class _Grid(NamedTuple):
    """Where panels lie, in inches from the figure's left and top."""

    columns: int
    panel_width: float
    row_heights: tuple[float, ...]

    @classmethod
    def of(cls, examples: Sequence[Example]) -> "_Grid":
        # At most 4 columns, which print still resolves; 3 where that leaves fewer gaps.
        columns = min((4, 3), key=lambda columns: -len(examples) % columns)
        panel_width = (WIDTH - LEFT - RIGHT - (columns - 1) * BETWEEN) / columns
        columns = min(columns, len(examples))
        lines = [len(_wrap(example.caption, panel_width)) for example in examples]
        heights = [
            ROW + LINE * max(lines[start : start + columns])
            for start in range(0, len(lines), columns)
        ]
        return cls(columns, panel_width, tuple(heights))

    @property
    def width(self) -> float:
        return LEFT + self.columns * (self.panel_width + BETWEEN) - BETWEEN + RIGHT

    @property
    def height(self) -> float:
        return HEAD + sum(self.row_heights)

    def corner(self, place: int) -> tuple[float, float]:
        row, column = divmod(place, self.columns)
        return LEFT + column * (self.panel_width + BETWEEN), HEAD + sum(self.row_heights[:row])

    def axes(self, figure: Figure, x: float, y: float, wide: float, high: float) -> Axes:
        """Axes whose upper left corner lies at (x, y)."""
        bottom = 1 - (y + high) / self.height
        return figure.add_axes((x / self.width, bottom, wide / self.width, high / self.height))

    def text(self, figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
        figure.text(x / self.width, 1 - y / self.height, text, **{"va": "baseline", **style})


def _figure(gallery: Gallery, labels: Labels) -> Figure:
    examples = gallery.examples
    grid = _Grid.of(examples)
    peak = max(float(np.abs(example.waveform).max()) for example in examples)
    limits = _Limits(
        amplitude=1.05 * (peak or 1.0),  # silence needs an axis as well
        seconds=len(examples[0].waveform) / gallery.sample_rate,
        loudest_db=max(float(example.mel.max()) for example in examples),
    )
    figure = Figure(figsize=(grid.width, grid.height), facecolor="white")
    grid.text(figure, LEFT, 0.17, labels.heading, fontsize=8.5, weight="bold")
    end = grid.width - RIGHT
    grid.text(figure, end, 0.17, labels.remark, fontsize=7, color=QUIET, ha="right")
    for place in range(len(examples)):
        _draw_panel(figure, grid, place, gallery, limits)
    _draw_colour_bar(figure, grid)
    return figure


def _draw_panel(figure: Figure, grid: _Grid, place: int, gallery: Gallery, limits: _Limits) -> None:
    example, clean = gallery.examples[place], gallery.examples[0]
    x, y = grid.corner(place)
    is_first = x == LEFT
    y += TITLE
    axes = grid.axes(figure, x, y, grid.panel_width, WAVEFORM)
    _draw_waveform(axes, example.waveform, behind=clean.waveform if place else None, limits=limits)
    _label_amplitudes(axes, shown=is_first)
    _draw_title(axes, example, is_clean=place == 0, inches=grid.panel_width)

    y += WAVEFORM + GAP
    axes = grid.axes(figure, x, y, grid.panel_width, MEL)
    _draw_mel(axes, example.mel, gallery, limits)
    _label_frequencies(axes, gallery.band_centres, shown=is_first)

    y += MEL + TICKS
    for line in _wrap(example.caption, grid.panel_width):
        y += LINE
        grid.text(figure, x, y, line, fontsize=CAPTION_SIZE)


def _draw_title(axes: Axes, example: Example, *, is_clean: bool, inches: float) -> None:
    """Name and words of the operation; the clip itself has words only."""
    above: dict[str, Any] = {"va": "bottom", "annotation_clip": False, "xycoords": "axes fraction"}
    if is_clean:
        axes.annotate(example.title, (0, 1.08), fontsize=TITLE_SIZE, weight="bold", **above)
        return
    name = axes.annotate(example.name, (0, 1.08), fontsize=TITLE_SIZE, weight="bold", **above)
    room = int(inches / (CHARACTER * TITLE_SIZE / 72)) - len(example.name) - 2
    title = example.title if len(example.title) <= room else example.title.partition(",")[0]
    behind = {**above, "xycoords": name, "textcoords": "offset points"}
    axes.annotate(title, (1, 0), xytext=(4, 0), fontsize=TITLE_SIZE, color=QUIET, **behind)


def _draw_waveform(
    axes: Axes,
    waveform: NDArray[np.float32],
    *,
    behind: NDArray[np.float32] | None,
    limits: _Limits,
) -> None:
    layers = [(waveform, WAVE)] if behind is None else [(behind, GHOST), (waveform, WAVE)]
    for samples, colour in layers:
        low, high = _envelope(samples)
        seconds = np.linspace(0, limits.seconds, len(low))
        axes.fill_between(seconds, low, high, color=colour, linewidth=0.4)
    axes.set(xlim=(0, limits.seconds), ylim=(-limits.amplitude, limits.amplitude), xticks=[])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _envelope(
    waveform: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest sample of each of ENVELOPE spans."""
    spans = min(ENVELOPE, len(waveform))
    starts = np.arange(spans) * len(waveform) // spans
    return np.minimum.reduceat(waveform, starts), np.maximum.reduceat(waveform, starts)


def _draw_mel(axes: Axes, mel: NDArray[np.float32], gallery: Gallery, limits: _Limits) -> None:
    bands, frames = mel.shape
    hop = gallery.hop_length / gallery.sample_rate
    axes.imshow(
        mel - limits.loudest_db,
        cmap=COLOURS,
        norm=Normalize(-SPAN_DB, 0),
        origin="lower",
        aspect="auto",
        extent=(-hop / 2, (frames - 0.5) * hop, -0.5, bands - 0.5),
        interpolation="nearest",
    )
    axes.set(xlim=(0, limits.seconds), ylim=(-0.5, bands - 0.5))
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(0, limits.seconds)
    ticks = [tick for tick in ticks if 0 <= tick <= limits.seconds]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks[:-1]] + [f"{ticks[-1]:g} s"])
    _quiet_ticks(axes)
    # Those at the ends would run into the panels beside.
    first, *_, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    if ticks[-1] > 0.95 * limits.seconds:
        last.set_horizontalalignment("right")


def _label_amplitudes(axes: Axes, *, shown: bool) -> None:
    low, high = axes.get_ylim()
    ticks = [
        tick
        for tick in MaxNLocator(2, symmetric=True).tick_values(low, high)
        if low <= tick <= high
    ]
    axes.set_yticks(ticks, [f"{tick:g}".replace("-", "−") if shown else "" for tick in ticks])
    _quiet_ticks(axes)


def _label_frequencies(axes: Axes, centres: NDArray[np.float32], *, shown: bool) -> None:
    kilohertz = [tick for tick in TICKS_KHZ if centres[0] <= 1000 * tick <= centres[-1]]
    rows = np.interp([1000 * tick for tick in kilohertz], centres, np.arange(len(centres)))
    axes.set_yticks(rows, [f"{tick:g}" if shown else "" for tick in kilohertz])
    if shown:
        axes.set_ylabel("kHz (mel scale)", fontsize=6, color=QUIET, labelpad=2)
    _quiet_ticks(axes)


def _quiet_ticks(axes: Axes) -> None:
    axes.tick_params(length=2, width=0.5, pad=1.5, labelsize=6, labelcolor=QUIET, color=QUIET)


def _draw_colour_bar(figure: Figure, grid: _Grid) -> None:
    x = grid.width - RIGHT + 0.12
    y = HEAD + TITLE + WAVEFORM + GAP
    axes = grid.axes(figure, x, y, 0.08, MEL)
    scale = ScalarMappable(Normalize(-SPAN_DB, 0), COLOURS)
    bar = figure.colorbar(scale, cax=axes, ticks=np.arange(-SPAN_DB, 1, 20))
    bar.outline.set_visible(False)
    _quiet_ticks(axes)
    axes.set_yticks(
        axes.get_yticks(), [f"{tick:g}".replace("-", "−") for tick in axes.get_yticks()]
    )
    axes.set_title("dB", fontsize=6, color=QUIET, pad=3, loc="left")


def _wrap(caption: str, inches: float) -> list[str]:
    """Lines of a caption that fit under a panel."""
    character = CHARACTER * CAPTION_SIZE / 72  # inches
    return textwrap.wrap(caption, width=int(inches / character)) or [""]
