"""A grid of shares: what each cell shows, how strong its colour is, and what it says to the pointer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from segformer_cli.reports.numerals import interval_text, numeral, with_unit
from segformer_cli.reports.parts import Grid, GridCell, GridRow, Interval
from segformer_cli.reports.tables import star_notes

DIGITS = 1
"""After the point, in a cell; the pointer brings up two."""

TURN = 0.65
"""Share from which the ink of a cell turns round: the middle of the colours in report.css, as dark as it is bright."""

SCALE_STEPS = 20
"""Of the strip of colours that explains the grid."""


@dataclass(frozen=True)
class CellView:
    """One cell; `shade` is its share from 0 to 1, None where there is no value."""

    text: str
    shade: float | None
    tip: str

    @property
    def empty(self) -> bool:
        """Whether there was nothing to count."""
        return not self.text

    @property
    def deep(self) -> bool:
        """Whether its colour lies beyond the turn."""
        return self.shade is not None and self.shade >= TURN


@dataclass(frozen=True)
class RowView:
    """One row; `mark` stands behind its name where its numbers are not comparable."""

    name: str
    cells: tuple[CellView, ...]
    mean: CellView
    mark: str


@dataclass(frozen=True)
class GridView:
    """A grid for its template."""

    part: Grid
    top: CellView | None
    groups: tuple[tuple[str, str, tuple[RowView, ...]], ...]
    stars: tuple[str, ...]
    scale: tuple[float, ...]
    ticks: tuple[str, ...]
    gaps: bool
    turn: float = TURN


def grid_view(part: Grid) -> GridView:
    """The cells of a grid, and whether some of them are empty.

    Raises:
        ValueError: a row has not one cell a column.
    """
    rows = [row for group in part.groups for row in group.rows]
    for row in rows:
        if len(row.cells) != len(part.columns):
            raise ValueError(f"row {row.name!r} has {len(row.cells)} cells for {len(part.columns)} columns")
    groups = tuple(
        (group.name, numeral(group.mean, "share", DIGITS), tuple(_row(part, row) for row in group.rows))
        for group in part.groups
    )
    shown = [cell for _, _, group in groups for row in group for cell in row.cells]
    return GridView(
        part=part,
        top=_cell(part, part.top[1], part.top[0]) if part.top else None,
        groups=groups,
        stars=star_notes((row.name, row.star) for row in rows if row.star),
        scale=tuple((step + 0.5) / SCALE_STEPS for step in range(SCALE_STEPS)),
        ticks=("0", "25", "50", "75", "100"),
        gaps=any(cell.empty for cell in shown),
    )


def _row(part: Grid, row: GridRow) -> RowView:
    cells = tuple(
        _cell(part, cell, f"{row.name}, {part.column_label} {column}")
        for cell, column in zip(row.cells, part.columns, strict=True)
    )
    return RowView(row.name, cells, _cell(part, GridCell(row.mean), f"{row.name}, mean"), "*" if row.star else "")


def _cell(part: Grid, cell: GridCell | None, where: str) -> CellView:
    if cell is None:
        return CellView("", None, f"{where}\nnot run")
    value = cell.value.value if isinstance(cell.value, Interval) else cell.value
    said = [where, f"{part.value_label} {with_unit(value, 'share')}"]
    if isinstance(cell.value, Interval) and (ends := interval_text(cell.value.low, cell.value.high, "share")):
        said.append(f"95 % interval {ends}")
    if cell.count is not None:
        said.append(f"{numeral(cell.count, 'count')} {part.counted}")
    shade = round(min(max(value, 0.0), 1.0), 3) if math.isfinite(value) else None
    return CellView(numeral(value, "share", DIGITS), shade, "\n".join(said))
