"""What operations do by themselves, and what their order does."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.effects import Effects
from analysis.figures.drawing import (
    INK,
    QUIET,
    Drawing,
    draw_footnote,
    footnote_height,
    footnote_lines,
    quiet_axes,
    render,
    style,
)
from analysis.stats import LEVEL, Contrasts
from analysis.wording import count, operation_name, setting_text, title_text

# Okabe and Ito's, with marks of their own.
_FIRST, _SECOND = ("#0072b2", "o"), ("#d55e00", "s")
_WIDE, _LEFT, _BETWEEN, _RIGHT = 3.9, 1.35, 1.35, 0.45  # inches
_TOP, _BOTTOM, _LINE, _LINE_MAIN = 1.3, 0.62, 0.235, 0.42


def draw_effects(found: Sequence[Effects], name: str) -> Drawing:
    """Draw main effects and order effects of each matrix, one below the other.

    Args:
        found: Of the matrices; each has a result.
        name: Of the files.
    """
    labels = "; ".join(one.panel.label for one in found)
    caption = f"Main effects of operations and effects of their order: {labels}"
    with style(name):
        return render(_figure(found), name, caption)


def _figure(found: Sequence[Effects]) -> Figure:
    heights = [_height(one) for one in found]
    lines = footnote_lines(_note(found), _LEFT + 2 * _WIDE + _BETWEEN + _RIGHT)
    foot = footnote_height(lines)
    width = _LEFT + 2 * _WIDE + _BETWEEN + _RIGHT
    height = sum(high + _TOP + _BOTTOM for high in heights) + foot
    figure = Figure(figsize=(width, height), facecolor="white")
    top = height
    for one, high in zip(found, heights, strict=True):
        _draw_titles(figure, one, y=top - 0.18)
        y = top - _TOP - high
        for number, draw in enumerate((_draw_main, _draw_order)):
            x = _LEFT + number * (_WIDE + _BETWEEN)
            axes = figure.add_axes((x / width, y / height, _WIDE / width, high / height))
            quiet_axes(axes, grid="x")
            draw(axes, one)
        top = y - _BOTTOM
    draw_footnote(figure, lines)
    return figure


def _height(found: Effects) -> float:
    return max(_LINE_MAIN * len(found.operations), _LINE * len(found.order.first))


def _note(found: Sequence[Effects]) -> str:
    if all(len(one.seeds) < 2 for one in found):
        return "One seed: differences without interval."
    return (
        "Differences within a seed, over seeds; whiskers: 95% t-interval of each alone. Filled: "
        "p below 0.05 after Holm's correction for all of its kind."
    )


def _draw_titles(figure: Figure, found: Effects, *, y: float) -> None:
    width, height = figure.get_size_inches()
    x = 0.25 / width
    seeds = count(len(found.seeds), "seed")
    how = f"{setting_text(found.panel)}test top-1, points · {seeds}"
    figure.text(x, y / height, title_text(found.panel), va="top", fontsize=12, weight="bold")
    figure.text(x, (y - 0.24) / height, how, va="top", fontsize=9, color=QUIET)
    for number, text in enumerate(("Each operation against the mean", "A then B, minus B then A")):
        left = (_LEFT + number * (_WIDE + _BETWEEN)) / width
        figure.text(left, (y - 0.62) / height, text, va="top", fontsize=10, weight="bold")


def _draw_main(axes: Axes, found: Effects) -> None:
    size = len(found.operations)
    order = np.argsort(-(found.main.first.mean + found.main.second.mean), kind="stable")
    for (colour, mark), side, shift, label in (
        (_FIRST, found.main.first, -0.14, "applied first"),
        (_SECOND, found.main.second, 0.14, "applied second"),
    ):
        for place, operation in enumerate(order.tolist()):
            _draw_one(axes, side, operation, place + shift, colour=colour, mark=mark)
        axes.plot([], [], mark, color=colour, markersize=5, label=label)
    axes.set_yticks(
        range(size),
        [f"{operation_name(found.operations[one])}  {found.operations[one]}" for one in order],
    )
    axes.set_ylim(size - 0.5, -0.5)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, frameon=False, fontsize=8,
        handletextpad=0.1, columnspacing=1.2,
    )  # fmt: skip
    _finish(axes)


def _draw_order(axes: Axes, found: Effects) -> None:
    effects = found.order.effects
    sign = np.where(effects.mean < 0, -1.0, 1.0)
    shown = effects._replace(mean=np.abs(effects.mean))
    order = np.argsort(-np.nan_to_num(shown.mean, nan=-1.0), kind="stable").tolist()
    labels = []
    for place, pair in enumerate(order):
        _draw_one(axes, shown, pair, place, colour=_FIRST[0], mark="o")
        names = (
            found.operations[found.order.first[pair]],
            found.operations[found.order.second[pair]],
        )
        labels.append(" → ".join(names if sign[pair] > 0 else names[::-1]))
    axes.set_yticks(range(len(order)), labels)
    axes.set_ylim(len(order) - 0.4, -0.6)
    _finish(axes)


def _draw_one(
    axes: Axes, found: Contrasts, place: int, y: float, *, colour: str, mark: str
) -> None:
    mean, half = 100 * found.mean[place], 100 * found.half_width[place]
    if np.isnan(mean):
        return
    if np.isfinite(half):
        axes.plot([mean - half, mean + half], [y, y], color=colour, linewidth=1.0, alpha=0.75)
    is_sure = found.p_holm[place] < LEVEL
    axes.plot(
        [mean], [y], mark, color=colour, markersize=5,
        markerfacecolor=colour if is_sure else "white",
    )  # fmt: skip


def _finish(axes: Axes) -> None:
    axes.axvline(0, color=INK, linewidth=1.0)
    axes.tick_params(axis="y", labelsize=8, labelcolor=INK)
    axes.set_xlabel("points", fontsize=8.5, color=QUIET)
    axes.margins(x=0.08)
