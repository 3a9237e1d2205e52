"""A heat map of counts as a drawing that stays small: one path a shade, whatever the number of cells."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from segformer_cli.reports.parts import Column, HeatMap, Table
from segformer_cli.reports.tables import TableView, table_view

SHADES = 20
NAMED = 40
"""Classes beyond which their names no longer fit beside the map, and ids stand there."""

WRITTEN = 24
"""Classes up to which each cell has room for its share."""

LARGEST = 10
"""Confusions listed below the map."""

SIDE = 720.0
BIGGEST_CELL = 56.0
LONGEST_NAME = 22
LEGEND = (0.01, 0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Shade:
    """The cells of one shade, as a path; cells on the diagonal are right, the others wrong."""

    right: bool
    opacity: float
    path: str


@dataclass(frozen=True)
class Label:
    """What is written beside a row and above a column; `known` says that the class has true pixels."""

    at: float
    text: str
    name: str
    known: bool


@dataclass(frozen=True)
class Written:
    """The share written in a cell."""

    x: float
    y: float
    text: str
    bright: bool


@dataclass(frozen=True)
class HeatView:
    """A heat map for its template; lengths in the units of the drawing, `shades` in cells."""

    part: HeatMap
    cell: float
    side: float
    left: float
    top: float
    font: float
    labels: tuple[Label, ...]
    shades: tuple[Shade, ...]
    written: tuple[Written, ...]
    legend: tuple[tuple[str, float], ...]
    largest: TableView
    data: dict[str, object]

    @property
    def named(self) -> bool:
        """Whether the labels are names."""
        return len(self.part.names) <= NAMED


def heat_view(part: HeatMap) -> HeatView:
    """The map, its labels, and its largest confusions as a table.

    Raises:
        ValueError: the counts are not one row and one column a name, or one is negative.
    """
    K = len(part.names)
    counts = [[int(count) for count in row] for row in part.counts]
    if len(counts) != K or any(len(row) != K or min(row) < 0 for row in counts):
        raise ValueError(f"{K} names need {K} x {K} counts, none negative")
    cell = min(BIGGEST_CELL, SIDE / K)
    font = min(12.0, 0.86 * cell) if K <= NAMED else 11.0
    labels = _labels(part.names, counts, cell)
    longest = font * max(_ems(label.text) for label in labels)
    return HeatView(
        part=part,
        cell=cell,
        side=round(cell * K, 2),
        # At least enough for what stands in the corner.
        left=round(max(84.0, longest + 14), 1),
        top=round(max(38.0, longest + 14), 1) if K <= NAMED else 38.0,
        font=round(font, 1),
        labels=labels,
        shades=_shades(counts),
        written=_written(counts, cell) if K <= WRITTEN else (),
        legend=tuple((tick_text(share), _opacity(share)) for share in LEGEND),
        largest=table_view(_largest(part, counts)),
        data={
            "names": list(part.names),
            "counts": [count for row in counts for count in row],
            "counted": part.counted,
            "cell": cell,
        },
    )


def tick_text(share: float) -> str:
    """A share of the legend.

    >>> tick_text(0.25)
    '25'
    """
    return f"{100 * share:g}"


def _ems(text: str) -> float:
    """About how long a text is, in ems."""
    return sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.58 for letter in text)


def _shade(count: int, total: int) -> int:
    """0 for (almost) nothing to `SHADES` for the whole row.

    By the square root, so that a confusion of one per cent, which matters, is seen beside a class that is found.
    """
    return round(SHADES * math.sqrt(count / total)) if total else 0


def _opacity(share: float) -> float:
    return round(SHADES * math.sqrt(share)) / SHADES


def _shades(counts: list[list[int]]) -> tuple[Shade, ...]:
    """Runs of cells of one shade, gathered from row to row."""
    paths: dict[tuple[bool, int], list[str]] = {}
    for row, values in enumerate(counts):
        total = sum(values)
        shades = [(column == row, _shade(count, total)) for column, count in enumerate(values)]
        begin = 0
        for column in range(1, len(shades) + 1):
            if column == len(shades) or shades[column] != shades[begin]:
                if shades[begin][1]:
                    paths.setdefault(shades[begin], []).append(f"M{begin} {row}h{column - begin}v1H{begin}z")
                begin = column
    return tuple(Shade(right, shade / SHADES, "".join(runs)) for (right, shade), runs in sorted(paths.items()))


def _labels(names: Sequence[str], counts: list[list[int]], cell: float) -> tuple[Label, ...]:
    labels = []
    for index, name in enumerate(names):
        if len(names) <= NAMED:
            text = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        elif index % 10 == 0:
            text = str(index)
        else:
            continue
        labels.append(Label(round((index + 0.5) * cell, 2), text, name, sum(counts[index]) > 0))
    return tuple(labels)


def _written(counts: list[list[int]], cell: float) -> tuple[Written, ...]:
    """Whole per cents, in the cells that have at least half of one."""
    written = []
    for row, values in enumerate(counts):
        total = sum(values)
        for column, count in enumerate(values):
            if total and 200 * count >= total:
                x, y = round((column + 0.5) * cell, 2), round((row + 0.5) * cell, 2)
                text = f"{100 * count / total:.0f}"
                written.append(Written(x, y, text, _opacity(count / total) >= 0.7))
    return tuple(written)


def _largest(part: HeatMap, counts: list[list[int]]) -> Table:
    """The pairs of classes most often taken for each other, for readers who do not see or cannot point at the map."""
    pairs = []
    for row, values in enumerate(counts):
        total = sum(values)
        pairs += [
            (count, part.names[row], part.names[column], count / total)
            for column, count in enumerate(values)
            if count and column != row
        ]
    pairs.sort(key=lambda pair: -pair[0])
    columns = (
        Column("true class"),
        Column("taken for"),
        Column(part.counted, "count"),
        Column("of the true class", "bar"),
    )
    rows = tuple((true, taken, count, share) for count, true, taken, share in pairs[:LARGEST])
    return Table(columns, rows, title="Largest confusions")

