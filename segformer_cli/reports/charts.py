"""Where the ticks, lines and bars of a chart lie, in the units of its drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from segformer_cli.reports.numerals import numeral, tick_numeral, with_unit
from segformer_cli.reports.parts import Histogram, Kind, LineChart, Series

WIDTH, HEIGHT = 520.0, 320.0
TOP, RIGHT, BOTTOM = 30.0, 16.0, 46.0
CHARACTER = 7.2
"""Width of a digit of the tick labels."""

COLOURS = 8
"""Line colours in the style sheet; further lines repeat them dashed."""

LONGEST_LINE = 600
"""Points beyond which a line is thinned: more than there are pixels."""

MOST_MARKERS = 40
"""Points of a line that are drawn as dots and answer to the mouse."""


@dataclass(frozen=True)
class Tick:
    """A place on an axis and what is written there."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """One axis: its values from `low` to `high` lie between `begin` and `end` of the drawing."""

    low: float
    high: float
    begin: float
    end: float
    ticks: tuple[Tick, ...]
    label: str

    def at(self, value: float) -> float:
        """Where the value lies in the drawing."""
        return round(_between(value, self.low, self.high, self.begin, self.end), 1)


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
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    diagonal: tuple[float, float, float, float] | None
    empty: bool


@dataclass(frozen=True)
class BarView:
    """One bar of a histogram and what it says."""

    x: float
    y: float
    width: float
    height: float
    text: str


@dataclass(frozen=True)
class HistogramView:
    """A histogram for its template."""

    part: Histogram
    x: Axis
    y: Axis
    bars: tuple[BarView, ...]
    marks: tuple[Tick, ...]


def line_view(part: LineChart) -> LineView:
    """The chart with its axes around the finite values of all series.

    Raises:
        ValueError: a series has not one y for each x.
    """
    points = [_points(series) for series in part.series]
    finite = [(x, y) for line in points for x, y in line if math.isfinite(y)]
    x_low, x_high = part.x_range or _extent(x for x, _ in finite)
    y_low, y_high = part.y_range or _extent(y for _, y in finite)
    y = _axis(y_low, y_high, (HEIGHT - BOTTOM, TOP), part.y_label, part.y_kind, wide=part.y_range is None)
    x = _axis(x_low, x_high, (_left(y), WIDTH - RIGHT), part.x_label, part.x_kind, wide=False)
    lines = tuple(
        _line(index, series.name, line, x, y, part)
        for index, (series, line) in enumerate(zip(part.series, points, strict=True))
    )
    low, high = max(x.low, y.low), min(x.high, y.high)
    diagonal = (x.at(low), y.at(low), x.at(high), y.at(high)) if part.diagonal and low < high else None
    return LineView(part, x, y, lines, diagonal, empty=not finite)


def histogram_view(part: Histogram) -> HistogramView:
    """The bars of a histogram over its edges.

    Raises:
        ValueError: there is not one edge more than counts.
    """
    if len(part.edges) != len(part.counts) + 1:
        raise ValueError(f"{len(part.counts)} counts need {len(part.counts) + 1} edges, not {len(part.edges)}")
    y = _axis(0, max(1, *part.counts), (HEIGHT - BOTTOM, TOP), part.y_label, "count", wide=True)
    x = _axis(part.edges[0], part.edges[-1], (_left(y), WIDTH - RIGHT), part.x_label, part.x_kind, wide=False)
    bars = []
    for (low, high), count in zip(pairwise(part.edges), part.counts, strict=True):
        left, right, top = x.at(low), x.at(high), y.at(count)
        span = f"{numeral(low, part.x_kind)} – {with_unit(high, part.x_kind)}"
        text = f"{part.x_label} {span}\n{numeral(count, 'count')} {part.y_label}"
        bars.append(BarView(left + 0.5, top, round(right - left - 1, 1), round(y.begin - top, 1), text))
    marks = tuple(
        Tick(x.at(value), f"{name} {with_unit(value, part.x_kind)}")
        for name, value in part.marks
        if x.low <= value <= x.high
    )
    return HistogramView(part, x, y, tuple(bars), marks)


def nice_step(span: float, most: int = 5) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that parts the span into at most `most` steps.

    >>> nice_step(1.0), nice_step(160_000), nice_step(0.07)
    (0.2, 50000.0, 0.02)

    Raises:
        ValueError: the span is not above 0.
    """
    if not span > 0:
        raise ValueError(f"an axis ends above its beginning, this one spans {span}")
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor * most >= span * (1 - 1e-9))


def _axis(
    low: float, high: float, ends: tuple[float, float], label: str, kind: Kind, *, wide: bool
) -> Axis:
    """An axis with ticks at round values; a `wide` one begins and ends at a tick."""
    step = nice_step(high - low)
    if kind == "count":
        step = max(1.0, round(step))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if wide:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        low, high = first * step, last * step
    begin, end = ends
    ticks = []
    for index in range(first, last + 1):
        at = round(_between(index * step, low, high, begin, end), 1)
        ticks.append(Tick(at, tick_numeral(index * step, step, kind)))
    return Axis(low, high, begin, end, tuple(ticks), f"{label}, %" if kind == "share" else label)


def _left(y: Axis) -> float:
    """Where the plot begins, so that the labels of its y axis have room."""
    return 14 + CHARACTER * max((len(tick.text) for tick in y.ticks), default=1)


def _between(value: float, low: float, high: float, begin: float, end: float) -> float:
    return begin + (value - low) / (high - low) * (end - begin)


def _extent(values: Iterable[float]) -> tuple[float, float]:
    """Least and largest; some width around a single value, 0 to 1 where there is none."""
    known = list(values)
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    if low == high:
        room = abs(low) / 2 or 1.0
        return low - room, high + room
    return low, high


def _points(series: Series) -> list[tuple[float, float]]:
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


def _line(
    index: int, name: str, points: Sequence[tuple[float, float]], x: Axis, y: Axis, part: LineChart
) -> Line:
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
    markers = tuple(Marker(x.at(at), y.at(value), _marker_text(name, at, value, part)) for at, value in shown)
    return Line(
        name, "".join(pieces), markers, stride == 1, index % COLOURS, index // COLOURS
    )


def _marker_text(name: str, x: float, y: float, part: LineChart) -> str:
    return f"{name}\n{part.x_label} {with_unit(x, part.x_kind)}\n{part.y_label} {with_unit(y, part.y_kind)}"
