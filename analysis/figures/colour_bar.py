"""The colours of matrices: one scale for all that lie side by side, and its bar."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures.drawing import INK, QUIET
from analysis.matrices import PairMatrix
from analysis.wording import percent

# Perceptually uniform, and read alike with all common kinds of colour blindness.
COLOURS = "viridis"


class Scale(NamedTuple):
    """From a fraction to a colour, and to the ink that is read on it."""

    colours: Colormap
    span: Normalize

    def fill(self, value: float) -> tuple[float, float, float, float]:
        """Colour of a cell."""
        red, green, blue, alpha = self.colours(self.span(value))
        return red, green, blue, alpha

    def hex(self, value: float) -> str:
        """Colour of a cell as a page writes it."""
        return to_hex(self.fill(value))

    def ink(self, value: float) -> str:
        """Dark on light cells, white on dark ones (WCAG relative luminance)."""
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in self.fill(value)[:3]
        ]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        return INK if luminance > 0.2 else "#ffffff"


def scale_of(matrices: Sequence[PairMatrix]) -> Scale | None:
    """Colours from the untrained level or the lowest cell up to the highest; one for all."""
    shown = [matrix.means[np.isfinite(matrix.means)] for matrix in matrices]
    cells = np.concatenate(shown)
    if not len(cells):
        return None
    levels = [matrix.untrained.mean for matrix in matrices if matrix.untrained.n]
    low, high = min([float(cells.min()), *levels]), float(cells.max())
    if high - low < 0.01:
        low, high = low - 0.005, high + 0.005
    return Scale(mpl.colormaps[COLOURS], Normalize(low, high))


def draw_colour_bar(
    figure: Figure, axes: Axes, matrices: Sequence[PairMatrix], scale: Scale
) -> None:
    """Draw the bar with its levels."""
    low, high = float(scale.span.vmin or 0), float(scale.span.vmax or 0)
    gradient = np.linspace(low, high, 256)[:, np.newaxis]
    axes.imshow(
        gradient, cmap=scale.colours, norm=scale.span, origin="lower", aspect="auto",
        extent=(0, 1, low, high), interpolation="nearest",
    )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(low, high), xticks=[])
    ticks = [
        tick
        for tick in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
        if low <= tick <= high
    ]
    digits = 0 if high - low > 0.06 else 1
    axes.set_yticks(ticks, [f"{100 * tick:.{digits}f}" for tick in ticks])
    axes.tick_params(axis="y", length=2.5, labelsize=7.5, labelcolor=QUIET, color=QUIET)
    axes.set_title("%", fontsize=8, color=QUIET, pad=5)
    _mark_levels(figure, axes, _levels(matrices), low=low, high=high)


def _levels(matrices: Sequence[PairMatrix]) -> list[tuple[float, str]]:
    """Levels to mark on the colour bar: each untrained encoder, and chance."""
    levels = []
    for matrix in matrices:
        if matrix.untrained.n:
            which = f"{matrix.panel.encoder[-2]}-D " if len(matrices) > 1 else ""
            text = f"{which}untrained\n{percent(matrix.untrained.mean)}"
            levels.append((matrix.untrained.mean, text))
    if matrices[0].chance is not None:
        levels.append((matrices[0].chance, f"chance\n{percent(matrices[0].chance)}"))
    return sorted(levels, reverse=True)


def _mark_levels(
    figure: Figure, axes: Axes, levels: Sequence[tuple[float, str]], *, low: float, high: float
) -> None:
    """Label levels beside the bar, apart from each other; those below it get an arrow."""
    # Two lines of text are 0.26 inches high, whatever the height of the bar.
    bar = axes.get_position().height * figure.get_figheight()
    step = (high - low) * 0.28 / bar
    above = math.inf
    for value, text in levels:
        inside = low <= value <= high
        place = min(value if inside else low, above - step)
        above = place
        if inside:
            axes.plot([0, 1], [value, value], color="white", linewidth=2.6, solid_capstyle="butt")
            axes.plot([0, 1], [value, value], color=INK, linewidth=1.2, solid_capstyle="butt")
            axes.plot([1.05, 1.7], [value, place], color=INK, linewidth=0.8, clip_on=False)
        else:
            text = f"↓ {text}"
        axes.text(1.9, place, text, ha="left", va="center", fontsize=7.5, linespacing=1.1)
