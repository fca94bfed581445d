"""One line over the epochs as a small drawing of the page itself: light, and in its colours."""

import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 320, 150  # of the drawing's own units, its axes' texts included
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 10, 22
_MOST_POINTS = 300


class LineChart(NamedTuple):
    """What a template needs to draw a line; positions are in the drawing's units."""

    title: str
    points: str  # x,y of each, as an SVG polyline takes them
    y_ticks: tuple[tuple[float, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    last: tuple[float, float, str]  # x, y and text of the last value
    summary: str  # for who does not see it


def line_chart(points: Sequence[tuple[float, float]], *, title: str) -> LineChart:
    """Lay a line out.

    Args:
        points: At least two, by epoch: epoch and value.
        title: Of the chart.
    """
    shown = _thinned(points)
    (first, _), (last, value) = points[0], points[-1]
    lowest, highest = min(y for _, y in points), max(y for _, y in points)
    reach = (highest - lowest) or abs(highest) or 1.0

    def across(epoch: float) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (epoch - first) / (last - first or 1.0), 1)

    def up(number: float) -> float:
        share = (number - lowest) / reach if highest > lowest else 0.5
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share, 1)

    return LineChart(
        title=title,
        points=" ".join(f"{across(x)},{up(y)}" for x, y in shown),
        y_ticks=tuple((up(y), _number(y)) for y in dict.fromkeys((lowest, highest))),
        x_ticks=tuple((across(x), f"{x:g}") for x in dict.fromkeys((first, last))),
        last=(across(last), up(value), _number(value)),
        summary=(
            f"{title} from {_number(points[0][1])} at epoch {first:g} to {_number(value)} at epoch "
            f"{last:g}, lowest {_number(lowest)}, highest {_number(highest)}"
        ),
    )


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of long lines the lowest and the highest of each stretch, in their order."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    size = math.ceil(2 * len(points) / _MOST_POINTS)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        ends = {min(stretch, key=_value), max(stretch, key=_value)}
        kept += sorted(ends)
    return sorted({points[0], *kept, points[-1]})


def _value(point: tuple[float, float]) -> float:
    return point[1]


def _number(value: float) -> str:
    return f"{value:.3g}"
