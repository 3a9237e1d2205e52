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

ColumnKind = Literal["text", "prose", "code", "swatch", "share", "bar", "number", "count"]
"""`bar` is a share with a bar beside it, and a whisker where its cell is an `Interval`; `prose` are whole sentences,
which take a line of their own where the page is narrow."""


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


@dataclass(frozen=True)
class Starred:
    """A number that cannot be set beside its neighbours, and why; the reason stands below the table."""

    value: float
    reason: str


Cell = str | int | float | Interval | Swatch | Starred | None
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
    """The head of a column and how its cells read.

    `meaning` is what a short title stands for. Neighbours of one `group` share a second head above their own.
    `digits` are those of a share after the point.
    """

    title: str
    kind: ColumnKind = "text"
    meaning: str = ""
    group: str = ""
    digits: int = 2


@dataclass(frozen=True)
class Table:
    """Rows that a reader can sort; in the given order until then.

    `ends` keeps a long table light: only so many rows of its beginning and of its end are in the file. Rows that are
    `strong`, by their numbers from 0, are what the table is about; where there are any, the others step back.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    note: str = ""
    ends: int | None = None
    strong: frozenset[int] = frozenset()


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
class GridCell:
    """A value, and over how many it was counted, which the pointer brings up."""

    value: float | Interval
    count: int | None = None


@dataclass(frozen=True)
class GridRow:
    """A cell for each column of the grid, None where there was nothing to count; their mean as a reader is to see it.

    `star` is why the row cannot be set beside others.
    """

    name: str
    cells: tuple[GridCell | None, ...]
    mean: float
    star: str = ""


@dataclass(frozen=True)
class GridGroup:
    """Rows under one small heading, with the mean of their means."""

    name: str
    rows: tuple[GridRow, ...]
    mean: float


@dataclass(frozen=True)
class Grid:
    """Shares in rows and columns, each printed and coloured by its value, from 0 to 1 on a scale that stays the same.

    `top` is a row of one wide cell above all others: what they are to be seen against, and its name.
    """

    columns: tuple[str, ...]
    groups: tuple[GridGroup, ...]
    row_label: str
    column_label: str
    value_label: str
    title: str = ""
    note: str = ""
    top: tuple[str, GridCell] | None = None
    counted: str = "images"


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
class Panel:
    """One small chart under its name."""

    name: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class PanelGroup:
    """Small charts in a row, under one small heading."""

    name: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class SmallCharts:
    """Many small charts over the same axes, to be compared at a glance; `level` is a dashed line in each, and its name.

    Series of one name have one colour. A y range that is not given goes from 0 to the tick above the highest value.
    """

    groups: tuple[PanelGroup, ...]
    x_label: str
    y_label: str
    title: str = ""
    note: str = ""
    x_kind: Kind = "count"
    y_kind: Kind = "share"
    y_range: tuple[float, float] | None = None
    level: tuple[str, float] | None = None


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
    """Rows of thumbnails, and what their colours mean.

    With `across` above 1 it is a contact sheet: so many rows stand side by side where the page is wide enough.
    """

    rows: tuple[GalleryRow, ...]
    title: str = ""
    note: str = ""
    legends: tuple[Legend, ...] = ()
    across: int = 1


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


Part = (
    Headline
    | Figures
    | Table
    | HeatMap
    | Grid
    | LineChart
    | SmallCharts
    | Histogram
    | Gallery
    | Facts
    | Notes
    | SideBySide
)


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
