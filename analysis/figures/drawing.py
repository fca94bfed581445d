"""What all figures share: style, colours, the two formats, the line that says what differs.

Figures are built on `Figure` itself, without pyplot, so that no global state is left behind, and
equal numbers give equal bytes.
"""

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DPI = 200
INK, QUIET, FAINT = "#1b1f24", "#5b6470", "#c9ced6"
GRID = "#e6e9ed"
# Okabe and Ito's, read alike with all common kinds of colour blindness; each with a mark of its
# own, so that grey print tells them apart too.
METHOD_COLOURS = {
    ("supervised", "epochs"): ("#d55e00", "s"),
    ("supervised", "steps"): ("#a0527d", "D"),
    ("simclr", None): ("#0072b2", "^"),
    ("clar", None): ("#00795a", "o"),
}
ENCODER_COLOURS = {"resnet18_1d": ("#d55e00", "s"), "resnet18_2d": ("#0072b2", "o")}
_NOTE_SIZE, _NOTE_LINE = 7.5, 0.165  # points, inches


class Drawing(NamedTuple):
    """One figure in all three formats."""

    name: str
    caption: str
    is_aside: bool  # folded away on the page at first
    width_points: float
    png: bytes
    svg: bytes
    pdf: bytes  # at the size of print, its fonts within


@contextmanager
def style(name: str) -> Iterator[None]:
    """Set how a figure of this name is drawn and written."""
    settings: dict[Any, Any] = {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
        "font.size": 9,
        "text.color": INK,
        "axes.linewidth": 0.0,
        "hatch.linewidth": 0.5,
        # Texts stay texts: searchable, selectable, small.
        "svg.fonttype": "none",
        # Ids would be random, and equal ones of two figures on a page would clash.
        "svg.hashsalt": name,
        # As fonts and not as drawings of letters, which journals refuse.
        "pdf.fonttype": 42,
    }
    with mpl.rc_context(settings):
        yield


def render(figure: Figure, name: str, caption: str, *, is_aside: bool = False) -> Drawing:
    """Write a figure in all three formats."""
    png, svg, pdf = io.BytesIO(), io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    nameless = dict.fromkeys(("CreationDate", "Creator", "Producer"))
    figure.savefig(pdf, format="pdf", metadata=nameless)
    width = 72 * figure.get_figwidth()
    contents = png.getvalue(), svg.getvalue(), pdf.getvalue()
    return Drawing(name, caption, is_aside, width, *contents)


def footnote_lines(text: str, width: float) -> list[str]:
    """Break a text that is to stand under a figure of this width in inches."""
    # A character of DejaVu Sans is 0.53 of its size wide on average.
    return textwrap.wrap(text, int((width - 0.5) * 72 / (0.53 * _NOTE_SIZE)))


def footnote_height(lines: list[str]) -> float:
    """Inches that the lines take at the foot of a figure."""
    return _NOTE_LINE * len(lines) + 0.12 if lines else 0.0


def draw_footnote(figure: Figure, lines: list[str], *, left: float = 0.25) -> None:
    """Write the lines at the foot of a figure, `left` inches from its side."""
    width, height = figure.get_size_inches()
    figure.text(
        left / width,
        0.1 / height,
        "\n".join(lines),
        va="bottom",
        fontsize=_NOTE_SIZE,
        color=QUIET,
        linespacing=1.25,
    )


def draw_title(figure: Figure, title: str, below: str, *, left: float = 0.25) -> None:
    """Write a title and a quiet line below it, `left` inches from the side."""
    width, height = figure.get_size_inches()
    x = left / width
    figure.text(x, 1 - 0.18 / height, title, va="top", fontsize=12, weight="bold")
    figure.text(x, 1 - 0.42 / height, below, va="top", fontsize=9, color=QUIET)


def quiet_axes(axes: Axes, *, grid: str) -> None:
    """Axes without frame and ticks, with a faint grid along x or y."""
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, labelsize=8, labelcolor=QUIET)
    axes.grid(axis="x" if grid == "x" else "y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
