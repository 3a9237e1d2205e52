"""The cells of a table: what each shows, and by what it is sorted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from segformer_cli.classes import Colour
from segformer_cli.reports.numerals import NO_VALUE, interval_text, numeral
from segformer_cli.reports.parts import Cell, Column, Interval, Kind, Swatch, Table

TALL = 40
"""Rows beyond which a table scrolls in a box of its own, on a screen."""

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


@dataclass(frozen=True)
class TableView:
    """A table for its template: `gap` rows are left out between `head` and `tail`."""

    part: Table
    head: tuple[tuple[CellView, ...], ...]
    tail: tuple[tuple[CellView, ...], ...]
    gap: int
    name_column: int

    @property
    def tall(self) -> bool:
        """Whether it is to scroll in a box of its own."""
        return len(self.head) + len(self.tail) > TALL

    @property
    def ranged(self) -> frozenset[Column]:
        """The columns in which room is kept for intervals."""
        rows = (*self.head, *self.tail)
        return frozenset(
            column for index, column in enumerate(self.part.columns) if any(row[index].interval for row in rows)
        )


def table_view(part: Table) -> TableView:
    """The rows that are shown, cell by cell.

    Raises:
        ValueError: a row has not one cell a column, or a cell does not fit its column's kind.
    """
    head, tail = part.rows, part.rows[:0]
    if part.ends is not None and len(part.rows) > 2 * part.ends:
        head, tail = part.rows[: part.ends], part.rows[len(part.rows) - part.ends :]
    kinds = [column.kind for column in part.columns]
    return TableView(
        part=part,
        head=tuple(_row(part.columns, row) for row in head),
        tail=tuple(_row(part.columns, row) for row in tail),
        gap=len(part.rows) - len(head) - len(tail),
        name_column=next((index for index, kind in enumerate(kinds) if kind in ("text", "code", "swatch")), 0),
    )


def _row(columns: tuple[Column, ...], row: tuple[Cell, ...]) -> tuple[CellView, ...]:
    return tuple(_cell(column, cell) for column, cell in zip(columns, row, strict=True))


def _cell(column: Column, cell: Cell) -> CellView:
    if cell is None:
        return CellView(NO_VALUE, missing=True)
    kind = _NUMERAL_KINDS.get(column.kind)
    if kind is None:
        swatch = cell.colour if isinstance(cell, Swatch) else None
        text = cell.name if isinstance(cell, Swatch) else cell
        if not isinstance(text, str):
            raise ValueError(f"column {column.title!r} holds texts, {cell!r} is none")
        return CellView(text, swatch=swatch)
    if isinstance(cell, (str, Swatch)):
        raise ValueError(f"column {column.title!r} holds numbers, {cell!r} is none")
    value = cell.value if isinstance(cell, Interval) else cell
    if not math.isfinite(value):
        return CellView(NO_VALUE, missing=True)
    interval = interval_text(cell.low, cell.high, kind) if isinstance(cell, Interval) else ""
    bar = _bar(cell) if column.kind == "bar" else None
    return CellView(numeral(value, kind), order=value, bar=bar, interval=interval)


def _bar(cell: float | Interval) -> Bar:
    if not isinstance(cell, Interval):
        return Bar(_within(cell))
    if not (math.isfinite(cell.low) and math.isfinite(cell.high)):
        return Bar(_within(cell.value))
    return Bar(_within(cell.value), _within(cell.low), _within(cell.high))


def _within(share: float) -> float:
    return round(min(max(share, 0.0), 1.0), 4)
