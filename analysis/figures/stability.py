"""How early in training the ranking of cells is that of its end."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.figures.drawing import (
    ENCODER_COLOURS,
    INK,
    QUIET,
    Drawing,
    draw_title,
    quiet_axes,
    render,
    style,
)
from analysis.stability import RankStability
from analysis.wording import ENCODER_NAMES, count, data_text


def draw_stability(found: Sequence[RankStability], name: str) -> Drawing:
    """Draw Kendall's tau with the last epoch over the epochs, a line an encoder.

    Args:
        found: Of panels of one dataset; each has two epochs at least.
        name: Of the files.
    """
    labels = "; ".join(one.panel.label for one in found)
    caption = f"Ranking of the cells at each epoch against that of the last: {labels}"
    with style(name):
        return render(_figure(found), name, caption)


def _figure(found: Sequence[RankStability]) -> Figure:
    width, height = 7.2, 3.6
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0.62 / width, 0.55 / height, 4.4 / width, 2.15 / height))
    quiet_axes(axes, grid="y")
    for one in found:
        colour, mark = ENCODER_COLOURS[one.panel.encoder]
        mean, half = one.mean.mean, one.mean.half_width
        label = ENCODER_NAMES[one.panel.encoder].partition(" (")[0]
        axes.plot(one.epochs, mean, f"{mark}-", color=colour, markersize=4, label=label)
        if np.isfinite(half).any():
            low, high = np.clip(mean - half, -1, 1), np.clip(mean + half, -1, 1)
            axes.fill_between(one.epochs, low, high, color=colour, alpha=0.15, linewidth=0)
    threshold = found[0].threshold
    axes.axhline(threshold, color=INK, linewidth=0.8, linestyle=":")
    axes.annotate(
        f"{threshold:g}", (1.01, threshold), xycoords=("axes fraction", "data"), va="center",
        fontsize=8, color=QUIET,
    )  # fmt: skip
    taus = np.concatenate([one.mean.mean for one in found])
    axes.set_ylim(min([0.0, *taus[np.isfinite(taus)].tolist()]) - 0.05, 1.05)
    axes.set_xlabel("epoch", fontsize=8.5, color=QUIET)
    axes.set_ylabel("Kendall's tau", fontsize=8.5, color=QUIET)
    axes.legend(loc="upper left", bbox_to_anchor=(1.06, 1.0), frameon=False, fontsize=8.5)
    seeds = max(len(one.seeds) for one in found)
    below = f"{data_text(found[0].panel)} · {count(seeds, 'seed')}"
    below += " · band: 95% t-interval" if seeds > 1 else ""
    draw_title(figure, "Would fewer epochs have ranked the cells alike?", below)
    return figure
