"""The cells of a table: what each shows, and by what it is sorted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from segformer_cli.classes import Colour
from segformer_cli.reports.numerals import NO_VALUE, interval_text, numeral
from segformer_cli.reports.parts import Cell, Column, Interval, Kind, Starred, Swatch, Table

TALL = 40
"""Rows beyond which a table scrolls in a box of its own, on a screen."""

WIDE = 8
"""Columns from which they stand closer together."""

_NUMERAL_KINDS: dict[str, Kind] = {"share": "share", "bar": "share", "number": "number", "count": "count"}


@dataclass(frozen=True)
class Bar:
    """Positions on a bar from 0 to 1; a whisker where low and high are given."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class CellView:
    """One field: its text, and `order`, the number it is sorted by (None: by its text, or last if it is a dash)."""

    text: str
    order: float | None = None
    missing: bool = False
    swatch: Colour | None = None
    bar: Bar | None = None
    interval: str = ""
    star: str = ""


@dataclass(frozen=True)
class RowView:
    """One row; `strong` is None in a table where no row is."""

    cells: tuple[CellView, ...]
    strong: bool | None


@dataclass(frozen=True)
class TableView:
    """A table for its template: `gap` rows are left out between `head` and `tail`."""

    part: Table
    head: tuple[RowView, ...]
    tail: tuple[RowView, ...]
    gap: int
    name_column: int

    @property
    def tall(self) -> bool:
        """Whether it is to scroll in a box of its own."""
        return len(self.head) + len(self.tail) > TALL

    @property
    def wide(self) -> bool:
        """Whether its columns are to stand close together."""
        return len(self.part.columns) >= WIDE

    @property
    def beside_prose(self) -> int | None:
        """How many columns there are besides a name and whole sentences; None where there are no sentences."""
        kinds = [column.kind for column in self.columns]
        return len(kinds) - 1 - kinds.count("prose") if "prose" in kinds else None

    @property
    def ranged(self) -> frozenset[Column]:
        """The columns in which room is kept for intervals."""
        rows = (*self.head, *self.tail)
        return frozenset(
            column for index, column in enumerate(self.part.columns) if any(row.cells[index].interval for row in rows)
        )

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """The heads above the columns' own and how many columns each spans; empty where there are none."""
        spans = tuple((name, len(list(columns))) for name, columns in groupby(column.group for column in self.columns))
        return spans if any(name for name, _ in spans) else ()

    @property
    def first_of_group(self) -> frozenset[int]:
        """The columns that begin a group, or what comes after one, but for the first of all."""
        pairs = zip(self.columns, self.columns[1:], strict=False)
        return frozenset(index for index, (left, right) in enumerate(pairs, 1) if left.group != right.group)

    @property
    def all_shares(self) -> bool:
        """Whether every number is a share, so that the per cent need be said but once."""
        return {column.kind for column in self.columns} <= {"text", "prose", "code", "swatch", "share", "bar"}

    @property
    def columns(self) -> tuple[Column, ...]:
        """The heads of the columns."""
        return self.part.columns

    @property
    def stars(self) -> tuple[str, ...]:
        """Why numbers have a star, to stand below the table."""
        rows = (*self.head, *self.tail)
        return star_notes(
            (column.meaning or column.title, row.cells[index].star)
            for index, column in enumerate(self.columns)
            for row in rows
            if row.cells[index].star
        )


def star_notes(starred: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Each reason once, behind the names that it holds for.

    >>> star_notes([("fog", "drawn by hand"), ("snow", "melted"), ("frost", "drawn by hand")])
    ('fog, frost: drawn by hand', 'snow: melted')
    """
    names: dict[str, dict[str, None]] = {}
    for name, reason in starred:
        names.setdefault(reason, {})[name] = None
    return tuple(f"{', '.join(found)}: {reason}" for reason, found in names.items())


def table_view(part: Table) -> TableView:
    """The rows that are shown, cell by cell.

    Raises:
        ValueError: a row has not one cell a column, or a cell does not fit its column's kind.
    """
    rows = tuple(
        RowView(_row(part.columns, row), index in part.strong if part.strong else None)
        for index, row in enumerate(part.rows)
    )
    head, tail = rows, rows[:0]
    if part.ends is not None and len(rows) > 2 * part.ends:
        head, tail = rows[: part.ends], rows[len(rows) - part.ends :]
    kinds = [column.kind for column in part.columns]
    return TableView(
        part=part,
        head=head,
        tail=tail,
        gap=len(rows) - len(head) - len(tail),
        name_column=next((index for index, kind in enumerate(kinds) if kind in ("text", "code", "swatch")), 0),
    )


def _row(columns: tuple[Column, ...], row: tuple[Cell, ...]) -> tuple[CellView, ...]:
    return tuple(_cell(column, cell) for column, cell in zip(columns, row, strict=True))


def _cell(column: Column, cell: Cell) -> CellView:
    if cell is None:
        return CellView(NO_VALUE, missing=True)
    kind = _NUMERAL_KINDS.get(column.kind)
    if kind is None:
        return _text(column, cell)
    if isinstance(cell, (str, Swatch)):
        raise ValueError(f"column {column.title!r} holds numbers, {cell!r} is none")
    value = cell.value if isinstance(cell, (Interval, Starred)) else cell
    if not math.isfinite(value):
        return CellView(NO_VALUE, missing=True)
    return CellView(
        numeral(value, kind, column.digits),
        order=value,
        bar=_bar(cell) if column.kind == "bar" else None,
        interval=interval_text(cell.low, cell.high, kind, column.digits) if isinstance(cell, Interval) else "",
        star=cell.reason if isinstance(cell, Starred) else "",
    )


def _text(column: Column, cell: Cell) -> CellView:
    swatch = cell.colour if isinstance(cell, Swatch) else None
    text = cell.name if isinstance(cell, Swatch) else cell
    if not isinstance(text, str):
        raise ValueError(f"column {column.title!r} holds texts, {cell!r} is none")
    return CellView(text, swatch=swatch)


def _bar(cell: float | Interval | Starred) -> Bar:
    if not isinstance(cell, Interval):
        return Bar(_within(cell.value if isinstance(cell, Starred) else cell))
    if not (math.isfinite(cell.low) and math.isfinite(cell.high)):
        return Bar(_within(cell.value))
    return Bar(_within(cell.value), _within(cell.low), _within(cell.high))


def _within(share: float) -> float:
    return round(min(max(share, 0.0), 1.0), 4)
