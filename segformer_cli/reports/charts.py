"""Where the lines, bars and marks of a chart lie, in the units of its drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from segformer_cli.reports.axes import LETTER, Axis, Plot, axis, extent
from segformer_cli.reports.numerals import numeral, with_unit
from segformer_cli.reports.parts import Histogram, LineChart, Series, SmallCharts

COLOURS = 8
"""Line colours in the style sheet; further lines repeat them dashed."""

LONGEST_LINE = 600
"""Points beyond which a line is thinned: more than there are pixels."""

MOST_MARKERS = 40
"""Points of a line that are drawn as dots and answer to the mouse."""

DOT = 3.0
"""Radius of such a dot."""

MARK_LINE = 18.0
"""Height of a line of names above a histogram."""


@dataclass(frozen=True)
class Marker:
    """A point of a line and what it says."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Line:
    """One series: `path` in SVG's words; `colour` and `dash` name its style."""

    name: str
    path: str
    markers: tuple[Marker, ...]
    dotted: bool
    colour: int
    dash: int


@dataclass(frozen=True)
class LineView:
    """A line chart for its template."""

    part: LineChart
    plot: Plot
    lines: tuple[Line, ...]
    diagonal: tuple[float, float, float, float] | None
    empty: bool
    dot: float = DOT


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram and what it says."""

    x: float
    y: float
    width: float
    height: float
    text: str


@dataclass(frozen=True)
class Mark:
    """A line down through a histogram at `at`, its name above it where no other writing is."""

    at: float
    text: str
    x: float
    y: float
    anchor: Literal["start", "middle", "end"]


@dataclass(frozen=True)
class HistogramView:
    """A histogram for its template."""

    part: Histogram
    plot: Plot
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]


def line_view(part: LineChart) -> LineView:
    """The chart with its axes around the finite values of all series.

    Raises:
        ValueError: a series has not one y for each x.
    """
    points = [points_of(series) for series in part.series]
    finite = [(x, y) for line in points for x, y in line if math.isfinite(y)]
    x_low, x_high = part.x_range or extent(x for x, _ in finite)
    y_low, y_high = part.y_range or extent(y for _, y in finite)
    heights = (Plot.HEIGHT - Plot.BOTTOM, Plot.TOP)
    y = axis(y_low, y_high, heights, part.y_label, part.y_kind, wide=part.y_range is None)
    x = axis(x_low, x_high, (Plot.left(y), Plot.WIDTH - Plot.RIGHT), part.x_label, part.x_kind, wide=False)
    lines = tuple(
        line_of(index, series.name, series.name, line, x, y, part)
        for index, (series, line) in enumerate(zip(part.series, points, strict=True))
    )
    low, high = max(x.low, y.low), min(x.high, y.high)
    diagonal = (x.at(low), y.at(low), x.at(high), y.at(high)) if part.diagonal and low < high else None
    return LineView(part, Plot(x, y), lines, diagonal, empty=not finite)


def histogram_view(part: Histogram) -> HistogramView:
    """The bars of a histogram over its edges, its marks named in lines of their own below the name of the y axis.

    Raises:
        ValueError: there is not one edge more than counts.
    """
    if len(part.edges) != len(part.counts) + 1:
        raise ValueError(f"{len(part.counts)} counts need {len(part.counts) + 1} edges, not {len(part.edges)}")
    # How high the bars are does not change where the marks lie.
    marks = _marks(part, _histogram_plot(part, Plot.TOP).x)
    lines = round((max(mark.y for mark in marks) - Plot.TOP) / MARK_LINE) + 1 if marks else 0
    plot = _histogram_plot(part, Plot.TOP + lines * MARK_LINE - (MARK_LINE / 2 if marks else 0))
    bars = []
    for (low, high), count in zip(pairwise(part.edges), part.counts, strict=True):
        left, right, top = plot.x.at(low), plot.x.at(high), plot.y.at(count)
        span = f"{numeral(low, part.x_kind)} – {with_unit(high, part.x_kind)}"
        text = f"{part.x_label} {span}\n{numeral(count, 'count')} {part.y_label}"
        bars.append(Bar(left + 0.5, top, round(right - left - 1, 1), round(plot.y.begin - top, 1), text))
    return HistogramView(part, plot, tuple(bars), marks)


def _histogram_plot(part: Histogram, top: float) -> Plot:
    y = axis(0, max(1, *part.counts), (Plot.HEIGHT - Plot.BOTTOM, top), part.y_label, "count", wide=True)
    ends = (Plot.left(y), Plot.WIDTH - Plot.RIGHT)
    return Plot(axis(part.edges[0], part.edges[-1], ends, part.x_label, part.x_kind, wide=False), y)


def _marks(part: Histogram, x: Axis) -> tuple[Mark, ...]:
    """Names over their lines, moved inside the axis, each in the first line of writing where it has room."""
    marks: list[Mark] = []
    ends: list[float] = []
    for name, value in sorted(part.marks, key=lambda mark: mark[1]):
        if not x.low <= value <= x.high:
            continue
        text = f"{name} {with_unit(value, part.x_kind)}"
        at, width = x.at(value), LETTER * len(text)
        left = max(x.begin, min(at - width / 2, x.end - width))
        anchor: Literal["start", "middle", "end"] = "middle"
        place = at
        if left != at - width / 2:
            anchor, place = ("start", x.begin) if left == x.begin else ("end", x.end)
        line = next((index for index, end in enumerate(ends) if end + LETTER <= left), len(ends))
        ends[line : line + 1] = [left + width]
        marks.append(Mark(at, text, place, Plot.TOP + line * MARK_LINE, anchor))
    return tuple(marks)


def points_of(series: Series) -> list[tuple[float, float]]:
    """The pairs of a series, thinned where there are more than a drawing shows.

    Raises:
        ValueError: it has not one y for each x.
    """
    pairs = [(float(x), float(y)) for x, y in zip(series.x, series.y, strict=True)]
    return _thinned([pair for pair in pairs if math.isfinite(pair[0])])


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most about `LONGEST_LINE` points: of each stretch its lowest and highest, so that no peak is lost."""
    if len(points) <= LONGEST_LINE:
        return points
    stretches = LONGEST_LINE // 2
    kept = [points[0]]
    for index in range(stretches):
        begin, end = index * len(points) // stretches, (index + 1) * len(points) // stretches
        known = [(y, place) for place, (_, y) in enumerate(points[begin:end], begin) if math.isfinite(y)]
        places = sorted({min(known)[1], max(known)[1]}) if known else [begin]
        kept += [points[place] for place in places]
    return [*kept, points[-1]]


def line_of(
    index: int,
    name: str,
    title: str,
    points: Sequence[tuple[float, float]],
    x: Axis,
    y: Axis,
    part: LineChart | SmallCharts,
) -> Line:
    """The path of a series, interrupted where it is undefined, and its points; `title` begins what they say."""
    pieces: list[str] = []
    pen_down = False
    inside: list[tuple[float, float]] = []
    for value_x, value_y in points:
        if not math.isfinite(value_y):
            pen_down = False
            continue
        pieces.append(f"{'L' if pen_down else 'M'}{x.at(value_x):g} {y.at(value_y):g}")
        pen_down = True
        inside.append((value_x, value_y))
    stride = max(1, math.ceil(len(inside) / MOST_MARKERS))
    shown = inside[::stride] if stride == 1 or inside[-1:] == inside[::stride][-1:] else [*inside[::stride], inside[-1]]
    markers = tuple(Marker(x.at(at), y.at(value), _marker_text(title, at, value, part)) for at, value in shown)
    return Line(name, "".join(pieces), markers, stride == 1, index % COLOURS, index // COLOURS)


def _marker_text(title: str, x: float, y: float, part: LineChart | SmallCharts) -> str:
    return f"{title}\n{part.x_label} {with_unit(x, part.x_kind)}\n{part.y_label} {with_unit(y, part.y_kind)}"
