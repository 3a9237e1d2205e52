"""Tables: what a cell shows, by what it is sorted, and which rows are in the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from segformer_cli.reports.page import Page, render
from segformer_cli.reports.parts import Column, Interval, Swatch, Table
from segformer_cli.reports.tables import Bar, table_view

NAN = float("nan")
SCORES = Table(
    (Column("class", "swatch"), Column("IoU", "bar"), Column("acc", "share"), Column("pixels", "count")),
    (
        (Swatch("road", (128, 64, 128)), Interval(0.98, 0.97, 0.985), 0.99, 1_234_567),
        (Swatch("train", (0, 80, 100)), Interval(NAN, NAN, NAN), NAN, 0),
        (Swatch("sky", (70, 130, 180)), 0.5, None, 12),
    ),
)


def test_numbers_read_as_their_column_says_and_keep_their_full_value_to_be_sorted_by() -> None:
    road = table_view(SCORES).head[0]
    assert [cell.text for cell in road] == ["road", "98.00", "99.00", "1,234,567"]
    assert [cell.order for cell in road] == [None, 0.98, 0.99, 1_234_567]
    assert road[1].interval == "97.00 – 98.50"
    assert road[1].bar == Bar(0.98, 0.97, 0.985)


def test_a_value_that_is_not_defined_is_a_dash_without_a_bar() -> None:
    train, sky = table_view(SCORES).head[1:]
    assert [cell.text for cell in train] == ["train", "–", "–", "0"]
    assert [cell.missing for cell in train] == [False, True, True, False]
    assert train[1].bar is None and train[1].interval == ""
    assert sky[2].missing


def test_a_bar_without_an_interval_has_no_whisker() -> None:
    assert table_view(SCORES).head[2][1].bar == Bar(0.5)
    unknown = Table((Column("IoU", "bar"),), ((Interval(0.5, NAN, NAN),),))
    assert table_view(unknown).head[0][0].bar == Bar(0.5)


def test_whiskers_end_where_the_bar_does() -> None:
    table = Table((Column("IoU", "bar"),), ((Interval(0.01, -0.02, 1.2),),))
    assert table_view(table).head[0][0].bar == Bar(0.01, 0.0, 1.0)


def test_a_long_table_keeps_its_ends_and_says_what_is_missing() -> None:
    rows = tuple((f"image {index}",) for index in range(5000))
    view = table_view(Table((Column("image"),), rows, ends=3))
    assert [row[0].text for row in (*view.head, *view.tail)] == [f"image {i}" for i in (0, 1, 2, 4997, 4998, 4999)]
    assert view.gap == 4994
    html = render(Page("x", (Table((Column("image"),), rows, ends=3),)))
    assert "4,994 rows between these are not in this file" in html
    assert len(html) < 60_000


@pytest.mark.parametrize(("rows", "gap"), [(5, 0), (6, 0), (7, 1)])
def test_a_table_is_shortened_only_where_that_leaves_something_out(rows: int, gap: int) -> None:
    view = table_view(Table((Column("n", "count"),), tuple((n,) for n in range(rows)), ends=3))
    assert view.gap == gap
    assert len(view.head) + len(view.tail) == rows - gap


@pytest.mark.parametrize("kind", ["text", "code", "swatch"])
def test_a_number_in_a_column_of_texts_is_a_mistake(kind: Any) -> None:
    with pytest.raises(ValueError, match="'name' holds texts, 3 is none"):
        table_view(Table((Column("name", kind),), ((3,),)))


@pytest.mark.parametrize("kind", ["share", "bar", "number", "count"])
def test_a_text_in_a_column_of_numbers_is_a_mistake(kind: Any) -> None:
    with pytest.raises(ValueError, match="'IoU' holds numbers, 'high' is none"):
        table_view(Table((Column("IoU", kind),), (("high",),)))


def test_the_drawn_table_has_heads_names_of_rows_and_values_to_sort_by(parsed: Callable[[str], Any]) -> None:
    root = parsed(render(Page("x", (SCORES,))))
    assert [head.text for head in root.all("th", scope="col")] == ["class", "IoU %", "acc %", "pixels"]
    assert [head.text for head in root.all("th", scope="row")] == ["road", "train", "sky"]
    road, train, sky = root.all("tbody")[0].all("tr")
    assert [cell.attributes.get("data-v") for cell in road.all("td")] == ["0.98", "0.99", "1234567"]
    assert [cell.text for cell in road.all("td")] == ["98.00 97.00 – 98.50", "99.00", "1,234,567"]
    assert road.all("i", class_="whiskered")[0].attributes["style"] == "--v:0.98;--l:0.97;--h:0.985"
    assert ["data-missing" in cell.attributes for cell in train.all("td")] == [True, True, False]
    assert not train.all("i", class_="whiskered") and not sky.all("i", class_="whiskered")


def test_a_tall_table_scrolls_and_can_be_reached_by_the_keyboard(parsed: Callable[[str], Any]) -> None:
    rows = tuple((f"class {index}",) for index in range(150))
    box = parsed(render(Page("x", (Table((Column("class"),), rows, title="Classes"),)))).all("div", class_="tall")[0]
    assert box.attributes["tabindex"] == "0" and box.attributes["aria-label"] == "Classes"
    assert len(box.all("tr")) == 151
