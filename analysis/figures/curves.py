"""Learning curves, a panel a labelled share, as in Figure 5."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.curves import Curve, CurvePanel, LearningCurves
from analysis.figures.drawing import (
    INK,
    METHOD_COLOURS,
    QUIET,
    Drawing,
    draw_footnote,
    draw_title,
    footnote_height,
    footnote_lines,
    quiet_axes,
    render,
    style,
)
from analysis.wording import (
    chain_codes,
    method_text,
    percent,
    setting_text,
    share_text,
    title_text,
)

_MANY_POINTS = 25  # from here on marks would hide the line
_COLUMNS = 2


def draw_curves(curves: LearningCurves, name: str, *, note: str = "") -> Drawing:
    """Draw test top-1 against epochs, a panel a labelled share.

    Lines are means over seeds and bands t-intervals; where seeds have still to come the line is
    thin and dashed.

    Args:
        curves: The numbers.
        name: Of the files.
        note: What stands at the foot.
    """
    caption = f"Test top-1 at the evaluated epochs: {curves.table.panel.label}"
    with style(name):
        return render(_curves_figure(curves, note), name, caption)


def _curves_figure(curves: LearningCurves, note: str) -> Figure:
    columns = min(_COLUMNS, len(curves.panels))
    rows = -(-len(curves.panels) // columns)
    wide, high, left, gap, top, below = 3.7, 2.3, 0.85, 0.35, 1.25, 0.82
    width = max(7.6, left + columns * (wide + gap) + 0.1)
    told = [text for text in (_progress(curves), note) if text]
    lines = [line for text in told for line in footnote_lines(text, width)]
    foot = footnote_height(lines)
    height = top + rows * (high + below) + foot
    figure = Figure(figsize=(width, height), facecolor="white")
    limits = _limits(curves)
    for number, panel in enumerate(curves.panels):
        row, column = divmod(number, columns)
        x = left + column * (wide + gap)
        y = foot + below - 0.22 + (rows - 1 - row) * (high + below)
        axes = figure.add_axes((x / width, y / height, wide / width, high / height))
        _draw_panel(axes, panel, curves, limits)
        if column:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("test top-1 (%)", fontsize=8.5, color=QUIET)
    table = curves.table
    how = f"{setting_text(table.panel)}{chain_codes(table.chain)} · test top-1 while training"
    draw_title(figure, title_text(table.panel), how)
    _draw_legend(figure, curves, y=1 - 0.66 / height)
    draw_footnote(figure, lines)
    return figure


def _limits(curves: LearningCurves) -> tuple[float, float]:
    """Limits in percent that hold all lines; bands may leave them."""
    means = [
        point.estimate.mean
        for panel in curves.panels
        for curve in panel.curves
        for point in curve.points
    ]
    levels = [curves.table.untrained.mean] if curves.table.untrained.n else []
    low, high = min([*means, *levels], default=0.0), max([*means, *levels], default=1.0)
    room = 0.08 * (high - low) or 0.02
    return 100 * max(0.0, low - room), 100 * min(1.0, high + room)


def _draw_panel(
    axes: Axes, panel: CurvePanel, curves: LearningCurves, limits: tuple[float, float]
) -> None:
    for curve in panel.curves:
        _draw_curve(axes, curve)
    if curves.table.untrained.n:
        axes.axhline(100 * curves.table.untrained.mean, color=INK, linewidth=1.1, linestyle=":")
    quiet_axes(axes, grid="y")
    axes.set_xlim(0, curves.table.panel.epochs)
    axes.set_ylim(*limits)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    head = f"{share_text(panel.share)} labelled" if panel.share is not None else "no labels"
    axes.set_title(head, fontsize=9.5, loc="left", color=INK, weight="bold")
    axes.set_xlabel("epoch", fontsize=8.5, color=QUIET)
    if not any(curve.points for curve in panel.curves):
        axes.text(0.5, 0.5, "no evaluation yet", transform=axes.transAxes, ha="center", color=QUIET)


def _draw_curve(axes: Axes, curve: Curve) -> None:
    colour, mark = METHOD_COLOURS[curve.method, curve.budget]
    size = 4.0 if len(curve.points) < _MANY_POINTS else 0.0
    epochs = [point.epoch for point in curve.points]
    axes.plot(
        epochs,
        [100 * point.estimate.mean for point in curve.points],
        color=colour,
        linewidth=1.0,
        linestyle=(0, (3, 2)),
    )
    whole = [point for point in curve.points if point.estimate.n == curve.num_trials]
    axes.plot(
        [point.epoch for point in whole],
        [100 * point.estimate.mean for point in whole],
        color=colour,
        linewidth=1.9,
        marker=mark,
        markersize=size,
        clip_on=False,
        zorder=3,
    )
    several = [point for point in whole if point.estimate.n > 1]
    axes.fill_between(
        [point.epoch for point in several],
        [100 * (point.estimate.mean - point.estimate.half_width) for point in several],
        [100 * (point.estimate.mean + point.estimate.half_width) for point in several],
        color=colour,
        alpha=0.16,
        linewidth=0,
    )


def _draw_legend(figure: Figure, curves: LearningCurves, *, y: float) -> None:
    methods = dict.fromkeys(
        (curve.method, curve.budget) for panel in curves.panels for curve in panel.curves
    )
    handles = [
        Line2D([], [], color=METHOD_COLOURS[key][0], marker=METHOD_COLOURS[key][1], markersize=4.5,
               linewidth=1.9, label=method_text(*key))
        for key in methods
    ]  # fmt: skip
    untrained = curves.table.untrained
    if untrained.n:
        label = f"untrained {percent(untrained.mean)}"
        handles.append(Line2D([], [], color=INK, linewidth=1.1, linestyle=":", label=label))
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.12 / figure.get_figwidth(), y),
        ncols=len(handles),
        frameon=False,
        fontsize=8.5,
    )


def _progress(curves: LearningCurves) -> str:
    """What the lines average, and what is still to come."""
    drawn: Sequence[Curve] = [curve for panel in curves.panels for curve in panel.curves]
    seeds = sorted({curve.num_trials for curve in drawn} - {0})
    text = ""
    if seeds and seeds[-1] > 1:
        span = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        text = f"Means over {span} seeds with 95% t-intervals."
    elif seeds:
        text = "One seed each, so no interval."
    if any(curve.num_done < curve.num_trials for curve in drawn):
        text += " Still running: curves so far; thin and dashed where seeds have yet to come."
    if any(curve.num_left_out for curve in drawn):
        text += " Trials that failed or diverged are left out."
    return text.strip()
