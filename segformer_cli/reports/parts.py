"""What a report can hold: parts of plain data, one template each."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from segformer_cli.classes import Colour

Kind = Literal["share", "number", "count"]
"""How a number reads: a fraction as per cent, four digits of a number, a count with its thousands parted."""

ColumnKind = Literal["text", "code", "swatch", "share", "bar", "number", "count"]
"""`bar` is a share with a bar beside it, and a whisker where its cell is an `Interval`."""


@dataclass(frozen=True)
class Interval:
    """A value and where it may lie, in the value's own unit."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Swatch:
    """A name with its colour."""

    name: str
    colour: Colour


Cell = str | int | float | Interval | Swatch | None
"""What one field of a table holds; None and NaN are a dash that is sorted last."""


@dataclass(frozen=True)
class Headline:
    """The one number a report is about, with its interval and the sentence that says how it came about."""

    label: str
    value: float | Interval
    text: str = ""
    kind: Kind = "share"
    interval_label: str = "95 % interval"


@dataclass(frozen=True)
class Figure:
    """A number and what it is; a text stands as it is."""

    label: str
    value: float | int | str
    kind: Kind = "share"


@dataclass(frozen=True)
class Figures:
    """A few numbers in a row."""

    figures: tuple[Figure, ...]
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class Column:
    """The head of a column and how its cells read."""

    title: str
    kind: ColumnKind = "text"


@dataclass(frozen=True)
class Table:
    """Rows that a reader can sort; in the given order until then.

    `ends` keeps a long table light: only so many rows of its beginning and of its end are in the file.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    note: str = ""
    ends: int | None = None


@dataclass(frozen=True)
class HeatMap:
    """(K, K) counts, row = true class, column = predicted class, coloured by their share of the row.

    `counted` is what the counts count, in the plural.
    """

    names: tuple[str, ...]
    counts: Sequence[Sequence[int]]
    title: str = ""
    note: str = ""
    counted: str = "pixels"


@dataclass(frozen=True)
class Series:
    """One line of a chart: y over x, interrupted where a value is NaN."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class LineChart:
    """Lines over common axes; a `diagonal` shows where y would equal x.

    A range that is not given is that of the values, out to the next tick.
    """

    series: tuple[Series, ...]
    x_label: str
    y_label: str
    title: str = ""
    note: str = ""
    x_kind: Kind = "number"
    y_kind: Kind = "share"
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    diagonal: bool = False


@dataclass(frozen=True)
class Histogram:
    """Counts between edges, one edge more than counts; `marks` are values drawn as lines, each with its name."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    x_label: str
    y_label: str
    title: str = ""
    note: str = ""
    x_kind: Kind = "share"
    marks: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Thumbnail:
    """A small picture inside the file.

    Raises:
        ValueError: `uri` is not the picture itself but the address of one.
    """

    label: str
    uri: str

    def __post_init__(self) -> None:
        if not self.uri.startswith("data:image/"):
            raise ValueError(f"a thumbnail is a data URI, this one begins with {self.uri[:20]!r}")


@dataclass(frozen=True)
class GalleryRow:
    """One picture seen several ways, under its name; `text` is what is to be said of it."""

    name: str
    thumbnails: tuple[Thumbnail, ...]
    text: str = ""


@dataclass(frozen=True)
class Legend:
    """What the colours of pictures mean; `name` says of which pictures."""

    name: str
    swatches: tuple[Swatch, ...]


@dataclass(frozen=True)
class Gallery:
    """Rows of thumbnails, and what their colours mean."""

    rows: tuple[GalleryRow, ...]
    title: str = ""
    note: str = ""
    legends: tuple[Legend, ...] = ()


@dataclass(frozen=True)
class Fact:
    """A name and its value; `code` is for what a reader might copy."""

    name: str
    value: str
    code: bool = False


@dataclass(frozen=True)
class Facts:
    """Names and values, one a line."""

    facts: tuple[Fact, ...]
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class Notes:
    """Sentences a reader must not miss."""

    sentences: tuple[str, ...]
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class SideBySide:
    """Parts next to each other where the page is wide enough, under one title."""

    parts: tuple[Figures | Table | LineChart | Histogram | Facts | Notes, ...]
    title: str = ""
    note: str = ""


Part = Headline | Figures | Table | HeatMap | LineChart | Histogram | Gallery | Facts | Notes | SideBySide


def binned(values: Iterable[float], low: float, high: float, bins: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Edges and counts for a `Histogram`: bins of equal width, the last with its upper edge.

    NaN and values outside are left out.

    >>> binned([0.1, 0.5, 1.0, float("nan")], 0, 1, 2)
    ((0.0, 0.5, 1.0), (1, 2))
    """
    edges = tuple(low + (high - low) * index / bins for index in range(bins + 1))
    counts = [0] * bins
    for value in values:
        if not math.isnan(value) and low <= value <= high:
            counts[min(bisect_right(edges, value), bins) - 1] += 1
    return edges, tuple(counts)
