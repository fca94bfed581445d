"""Draws the paper's figures and tables; computes no result. One kind of figure a file."""

from analysis.figures.colours import Scale, scale_of
from analysis.figures.curves import draw_curves
from analysis.figures.drawing import Drawing
from analysis.figures.effects import draw_effects
from analysis.figures.gains import draw_gains
from analysis.figures.input_table import draw_input_table
from analysis.figures.label_table import draw_label_table
from analysis.figures.matrices import draw_matrices
from analysis.figures.stability import draw_stability

__all__ = [
    "Drawing",
    "Scale",
    "draw_curves",
    "draw_effects",
    "draw_gains",
    "draw_input_table",
    "draw_label_table",
    "draw_matrices",
    "draw_stability",
    "scale_of",
]
