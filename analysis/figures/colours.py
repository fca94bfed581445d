"""The colours of matrices: one scale for all that lie side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap, Normalize, to_hex

from analysis.figures.drawing import INK
from analysis.matrices import PairMatrix

# Perceptually uniform, and read alike with all common kinds of colour blindness.
COLOURS = "viridis"


class Scale(NamedTuple):
    """From a fraction to a colour, and to the ink that is read on it."""

    colours: Colormap
    span: Normalize

    @property
    def reach(self) -> tuple[float, float]:
        """The lowest and the highest value that has a colour of its own."""
        return float(self.span.vmin or 0), float(self.span.vmax or 0)

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
