"""The two axes of a drawing: where values lie between them, and where their numerals and names are written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from segformer_cli.reports.numerals import tick_numeral
from segformer_cli.reports.parts import Kind

CHARACTER = 7.2
"""Width of a digit of the numerals."""

LETTER = 9.0
"""Width of a letter of a text at its largest, on narrow screens."""


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
class Plot:
    """Two axes in a drawing of `WIDTH` x `HEIGHT`; every place that its template writes at is here."""

    x: Axis
    y: Axis

    WIDTH = 520.0
    HEIGHT = 320.0
    TOP = 30.0
    RIGHT = 16.0
    BOTTOM = 46.0

    STUB = 5.0
    """Length of a tick below the x axis."""

    Y_NAME = (2.0, 12.0)

    @property
    def y_numerals(self) -> float:
        """Where the numerals of the y axis end, left of it."""
        return self.x.begin - 8

    @property
    def x_numerals(self) -> float:
        """The base line of the numerals below the x axis."""
        return self.y.begin + 18

    @property
    def x_name(self) -> float:
        """The base line of the name of the x axis."""
        return self.y.begin + 38

    @property
    def middle(self) -> tuple[float, float]:
        """Where a text stands that takes the place of everything."""
        return (self.x.begin + self.x.end) / 2, (self.y.begin + self.y.end) / 2

    @staticmethod
    def left(y: Axis) -> float:
        """Where the x axis begins, so that the numerals of the y axis have room."""
        return 14 + CHARACTER * max((len(tick.text) for tick in y.ticks), default=1)


def axis(
    low: float, high: float, ends: tuple[float, float], label: str, kind: Kind, *, wide: bool, most: int = 5
) -> Axis:
    """An axis with ticks at round values, at most `most` steps; a `wide` one begins and ends at a tick."""
    step = nice_step(high - low, most)
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


def extent(values: Iterable[float]) -> tuple[float, float]:
    """Least and largest; some width around a single value, 0 to 1 where there is none."""
    known = list(values)
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    if low == high:
        room = abs(low) / 2 or 1.0
        return low - room, high + room
    return low, high


def _between(value: float, low: float, high: float, begin: float, end: float) -> float:
    return begin + (value - low) / (high - low) * (end - begin)
