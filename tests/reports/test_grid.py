"""Grids of shares: every cell printed, shaded by its value, with what it says to the pointer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from segformer_cli.reports.grid import TURN, CellView, grid_view
from segformer_cli.reports.page import Page, render
from segformer_cli.reports.parts import Grid, GridCell, GridGroup, GridRow, Interval

NAN = float("nan")


def grid(*rows: GridRow, columns: tuple[str, ...] = ("1", "2"), **fields: Any) -> Grid:
    return Grid(columns, (GridGroup("Weather", rows, 0.48765),), "corruption", "severity", "mIoU", **fields)


FOG = GridRow("fog", (GridCell(Interval(0.6234, 0.6, 0.65), 1500), GridCell(0.5)), 0.56)
FROST = GridRow("frost", (GridCell(NAN), None), NAN, "drawn textures")


def cells(view_row: Any) -> tuple[CellView, ...]:
    return (*view_row.cells, view_row.mean)


def test_a_cell_shows_its_value_and_says_its_interval_and_its_images() -> None:
    fog = grid_view(grid(FOG)).groups[0][2][0]
    first, second, mean = cells(fog)
    assert (first.text, first.shade) == ("62.3", 0.623)
    assert first.tip == "fog, severity 1\nmIoU 62.34 %\n95 % interval 60.00 – 65.00\n1,500 images"
    assert second.tip == "fog, severity 2\nmIoU 50.00 %"
    assert (mean.text, mean.shade, mean.tip) == ("56.0", 0.56, "fog, mean\nmIoU 56.00 %")


def test_an_undefined_value_is_a_dash_and_a_cell_that_was_not_run_is_empty_both_without_a_shade() -> None:
    frost = grid_view(grid(FROST)).groups[0][2][0]
    assert [(cell.text, cell.shade) for cell in cells(frost)] == [("–", None), ("", None), ("–", None)]
    assert [cell.empty for cell in cells(frost)] == [False, True, False]
    assert frost.cells[1].tip == "frost, severity 2\nnot run"


def test_shades_are_of_a_scale_from_0_to_1_whatever_the_values() -> None:
    values = (-0.1, 0.0, TURN - 0.001, TURN, 1.0, 1.2)
    row = GridRow("x", tuple(map(GridCell, values)), 0.5)
    shown = grid_view(grid(row, columns=tuple("123456"))).groups[0][2][0].cells
    assert [cell.shade for cell in shown] == [0, 0, TURN - 0.001, TURN, 1, 1]
    assert [cell.deep for cell in shown] == [False, False, False, True, True, True]


def test_a_row_that_is_not_comparable_has_a_star_and_its_reason_stands_below(parsed: Callable[[str], Any]) -> None:
    root = parsed(render(Page("x", (grid(FOG, FROST),))))
    assert [name.text for name in root.all("th", scope="row")] == ["fog", "frost*"]
    assert [note.text for note in root.all("p", class_="stars")] == ["* frost: drawn textures"]


def test_the_drawn_grid_has_its_heads_its_top_row_and_its_groups(parsed: Callable[[str], Any]) -> None:
    root = parsed(render(Page("x", (grid(FOG, FROST, top=("clean", GridCell(0.7621, 1500))),))))
    heads = root.all("thead")[0].all("th")
    assert [head.text for head in heads] == ["corruption", "severity", "mean", "1", "2"]
    rows = [[cell.text for cell in row.inside if cell.tag in ("th", "td")] for row in root.all("tbody")[0].all("tr")]
    assert rows == [["clean", "76.2"]]
    top = root.all("td", class_="top")[0]
    assert top.has({"colspan": "3", "class_": "deep", "title": "clean\nmIoU 76.21 %\n1,500 images"})
    group = root.all("tbody")[1]
    assert [cell.text for cell in group.all("tr", class_="heading")[0].inside] == ["Weather", "48.8"]
    assert group.all("td", class_="cell")[0].attributes["style"] == "--v:0.623"
    assert "style" not in group.all("td", class_="empty")[0].attributes


def test_the_scale_is_named_and_says_what_empty_cells_mean_where_there_are_some(parsed: Callable[[str], Any]) -> None:
    def legend(*rows: GridRow) -> str:
        return " ".join(parsed(render(Page("x", (grid(*rows),)))).all("p", class_="legend")[0].text.split())

    undefined = GridRow("x", (GridCell(NAN), GridCell(NAN)), NAN)
    assert legend(FOG) == legend(undefined) == "mIoU, % 0255075100"
    assert legend(FOG, FROST) == "mIoU, % 0255075100 not run"


def test_a_row_with_more_or_fewer_cells_than_columns_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="row 'fog' has 2 cells for 3 columns"):
        grid_view(grid(FOG, columns=("1", "2", "3")))


def test_a_grid_without_rows_is_an_empty_table() -> None:
    assert "<table" in render(Page("x", (Grid(("1",), (), "corruption", "severity", "mIoU"),)))
