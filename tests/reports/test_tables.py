"""Tables: what a cell shows, by what it is sorted, and which rows are in the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from segformer_cli.reports.page import Page, render
from segformer_cli.reports.parts import Column, Interval, Starred, Swatch, Table
from segformer_cli.reports.tables import WIDE, Bar, table_view

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
    road = table_view(SCORES).head[0].cells
    assert [cell.text for cell in road] == ["road", "98.00", "99.00", "1,234,567"]
    assert [cell.order for cell in road] == [None, 0.98, 0.99, 1_234_567]
    assert road[1].interval == "97.00 – 98.50"
    assert road[1].bar == Bar(0.98, 0.97, 0.985)


def test_a_value_that_is_not_defined_is_a_dash_without_a_bar() -> None:
    train, sky = (row.cells for row in table_view(SCORES).head[1:])
    assert [cell.text for cell in train] == ["train", "–", "–", "0"]
    assert [cell.missing for cell in train] == [False, True, True, False]
    assert train[1].bar is None and train[1].interval == ""
    assert sky[2].missing


def test_a_bar_without_an_interval_has_no_whisker() -> None:
    assert table_view(SCORES).head[2].cells[1].bar == Bar(0.5)
    unknown = Table((Column("IoU", "bar"),), ((Interval(0.5, NAN, NAN),),))
    assert table_view(unknown).head[0].cells[0].bar == Bar(0.5)


def test_whiskers_end_where_the_bar_does() -> None:
    table = Table((Column("IoU", "bar"),), ((Interval(0.01, -0.02, 1.2),),))
    assert table_view(table).head[0].cells[0].bar == Bar(0.01, 0.0, 1.0)


def test_a_long_table_keeps_its_ends_and_says_what_is_missing() -> None:
    rows = tuple((f"image {index}",) for index in range(5000))
    view = table_view(Table((Column("image"),), rows, ends=3))
    shown = [row.cells[0].text for row in (*view.head, *view.tail)]
    assert shown == [f"image {i}" for i in (0, 1, 2, 4997, 4998, 4999)]
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


MODELS = Table(
    (
        Column("model"),
        Column("clean", "share", digits=1),
        Column("Glass", "share", "glass blur", "Blur", 1),
        Column("Gauss", "share", "gaussian blur", "Blur", 1),
        Column("Snow", "share", "snow", "Weather", 1),
        Column("mean", "share", digits=1),
    ),
    (
        ("SegFormer-B5", 0.824, 0.641, 0.698, 0.407, 0.582),
        ("mine", 0.7621, 0.5, NAN, Starred(0.31249, "drawn flakes"), None),
    ),
    strong=frozenset({1}),
)


def test_columns_of_a_group_share_a_head_that_spans_them(parsed: Callable[[str], Any]) -> None:
    view = table_view(MODELS)
    assert view.groups == (("", 2), ("Blur", 2), ("Weather", 1), ("", 1))
    assert view.first_of_group == {2, 4, 5}
    above, heads = parsed(render(Page("x", (MODELS,)))).all("thead")[0].all("tr")
    assert [(head.text, head.attributes["colspan"]) for head in above.all("th")] == [("Blur", "2"), ("Weather", "1")]
    assert above.all("td")[0].text == "all in %"
    assert [head.text for head in heads.all("th")] == ["model", "clean", "Glass", "Gauss", "Snow", "mean"]
    assert [short.attributes["title"] for short in heads.all("abbr")] == ["glass blur", "gaussian blur", "snow"]
    assert table_view(SCORES).groups == ()


def test_what_the_table_is_about_is_strong_and_the_rest_steps_back(parsed: Callable[[str], Any]) -> None:
    rows = parsed(render(Page("x", (MODELS,)))).all("tbody")[0].all("tr")
    assert [row.attributes["class"] for row in rows] == ["faint", "strong"]
    plain = parsed(render(Page("x", (SCORES,)))).all("tbody")[0].all("tr")
    assert not any("class" in row.attributes for row in plain)


def test_a_strong_row_stays_strong_in_a_shortened_table() -> None:
    view = table_view(Table((Column("n", "count"),), tuple((n,) for n in range(9)), ends=1, strong=frozenset({8})))
    assert [row.strong for row in (*view.head, *view.tail)] == [False, True]


def test_a_starred_number_is_sorted_as_a_number_and_its_reason_stands_below(parsed: Callable[[str], Any]) -> None:
    mine = table_view(MODELS).head[1].cells
    assert (mine[4].text, mine[4].order, mine[4].star) == ("31.2", 0.31249, "drawn flakes")
    assert mine[3].missing and mine[5].missing
    root = parsed(render(Page("x", (MODELS,))))
    assert [note.text for note in root.all("p", class_="stars")] == ["* snow: drawn flakes"]
    assert root.all("td")[-2].text == "31.2*"


def test_a_starred_number_that_is_undefined_is_a_dash_without_a_star() -> None:
    view = table_view(Table((Column("Snow", "share"),), ((Starred(NAN, "drawn flakes"),),)))
    assert view.head[0].cells[0].missing and view.stars == ()


def test_a_column_has_as_many_digits_as_it_asks_for() -> None:
    cells = table_view(MODELS).head[0].cells
    assert [cell.text for cell in cells] == ["SegFormer-B5", "82.4", "64.1", "69.8", "40.7", "58.2"]


def test_many_columns_stand_close_together_and_can_be_reached_by_the_keyboard(parsed: Callable[[str], Any]) -> None:
    def box(columns: int) -> Any:
        table = Table(tuple(Column(str(n), "count") for n in range(columns)), (tuple(range(columns)),))
        return parsed(render(Page("x", (table,)))).all("div", class_="box")[0]

    assert box(WIDE).has({"class_": "wide", "tabindex": "0"})
    assert not box(WIDE - 1).has({"class_": "wide"})


def test_whole_sentences_take_a_line_of_their_own_on_a_narrow_page(parsed: Callable[[str], Any]) -> None:
    table = Table((Column("tool"), Column("mIoU", "share"), Column("rule", "prose")), (("smp", 0.5, "a rule"),))
    root = parsed(render(Page("x", (table,))))
    assert root.all("div", class_="told")[0].all("table")[0].attributes["style"] == "--n:1"
    assert root.all("td", class_="p")[0].text == "a rule"
    assert table_view(SCORES).beside_prose is None
