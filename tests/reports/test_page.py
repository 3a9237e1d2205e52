"""A page as a file: complete, safe, self-contained, small, whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segformer_cli.errors import SegFormerError
from segformer_cli.reports.page import Page, render, write_page
from segformer_cli.reports.parts import (
    Column,
    Fact,
    Facts,
    Figure,
    Figures,
    Gallery,
    GalleryRow,
    Grid,
    GridCell,
    GridGroup,
    GridRow,
    Headline,
    HeatMap,
    Histogram,
    Interval,
    Legend,
    LineChart,
    Notes,
    Panel,
    PanelGroup,
    Part,
    Series,
    SideBySide,
    SmallCharts,
    Starred,
    Swatch,
    Table,
    Thumbnail,
)

Parsed = Callable[[str], Any]

NAUGHTY = "</script><script>alert('1')</script>\"'><img src=x onerror=alert(2)> {{ 7 * 7 }} Straße 道路 &amp;"
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def every_part(text: str) -> tuple[Part, ...]:
    """One part of each kind, with this text wherever a text can be."""
    table = Table(
        (Column(text), Column(text, "swatch"), Column(text, "code", text, text), Column(text, "count", text, text)),
        ((text, Swatch(text, (1, 2, 3)), text, Starred(4, text)),),
        title=text,
        note=text,
    )
    row = GalleryRow(text, (Thumbnail(text, PIXEL),), text)
    cells = (GridCell(0.5, 3), None)
    grid_group = GridGroup(text, (GridRow(text, cells, 0.5, text),), 0.5)
    panels = PanelGroup(text, (Panel(text, (Series(text, [0, 1], [0, 1]), Series("b", [0], [1]))),))
    chart = LineChart((Series(text, [0, 1], [0, 1]),), text, text, title=text, note=text, diagonal=True)
    return (
        Headline(text, 0.5, text=text, interval_label=text),
        Figures((Figure(text, text),), title=text, note=text),
        table,
        HeatMap((text, text), [[1, 2], [3, 4]], title=text, note=text, counted=text),
        Grid((text, text), (grid_group,), text, text, text, text, text, (text, cells[0]), text),
        chart,
        SmallCharts((panels,), text, text, text, text, level=(text, 0.5)),
        Histogram((0.0, 1.0), (1,), text, text, title=text, note=text, marks=((text, 0.5),)),
        Gallery((row,), text, text, (), across=2),
        Gallery((row,), title=text, note=text, legends=(Legend(text, (Swatch(text, (0, 0, 0)),)),)),
        Facts((Fact(text, text), Fact(text, text, code=True)), title=text, note=text),
        Notes((text,), title=text, note=text),
        SideBySide((table, chart), title=text, note=text),
    )


def test_a_page_has_its_title_its_parts_in_order_and_its_footer(parsed: Parsed) -> None:
    page = Page("Street", (Notes(("first",)), Facts((Fact("a", "b"),), title="Second")), "made here")
    root = parsed(render(page))
    assert root.all("title")[0].text == root.all("h1")[0].text == "Street"
    assert [section.attributes["class"] for section in root.all("section")] == ["notes", "facts"]
    assert root.all("footer")[0].text == "made here"


def test_the_contents_lead_to_the_parts_that_have_a_title(parsed: Parsed) -> None:
    root = parsed(render(Page("Street", (Notes(("x",), title="One"), Notes(("x",)), Notes(("x",), title="Three")))))
    links = root.all("nav")[0].all("a")
    assert [link.text for link in links] == ["One", "Three"]
    for link in links:
        section = next(one for one in root.all("section") if f"#{one.attributes['id']}" == link.attributes["href"])
        heading = section.all("h2")[0]
        assert heading.text == link.text and heading.attributes["id"] == section.attributes["aria-labelledby"]


def test_ids_are_unique_also_among_nested_parts(example_page: Callable[[int, int], Page], parsed: Parsed) -> None:
    root = parsed(render(example_page(19, 500)))
    ids = [element.attributes["id"] for element in root.inside if "id" in element.attributes]
    assert len(ids) == len(set(ids)) > 20


@pytest.mark.parametrize("number", range(len(every_part(""))))
def test_no_text_can_break_out_of_its_place(number: int, parsed: Parsed) -> None:
    harmless = parsed(render(Page("x", (every_part("x")[number],), "x")))
    root = parsed(render(Page(NAUGHTY, (every_part(NAUGHTY)[number],), NAUGHTY)))
    assert [element.tag for element in root.inside if element.tag not in ("title", "text")] == [
        element.tag for element in harmless.inside if element.tag not in ("title", "text")
    ]
    assert not any(name.startswith("on") for element in root.inside for name in element.attributes)
    assert NAUGHTY in root.all("h1")[0].text
    assert NAUGHTY in root.all("section")[0].text


def test_names_reach_the_script_of_a_heat_map_unchanged_and_cannot_end_it(parsed: Parsed) -> None:
    html = render(Page("x", (HeatMap((NAUGHTY, "b"), [[1, 2], [3, 4]]),)))
    data = json.loads(parsed(html).all("script", type="application/json")[0].text)
    assert data["names"] == [NAUGHTY, "b"]
    assert data["counts"] == [1, 2, 3, 4]


@pytest.mark.parametrize("classes", [19, 150])
def test_a_page_holds_all_it_needs(classes: int, example_page: Callable[[int, int], Page], parsed: Parsed) -> None:
    html = render(example_page(classes, 500))
    assert "http://" not in html and "https://" not in html and "@import" not in html and "url(" not in html
    for element in parsed(html).inside:
        for name in ("src", "srcset", "data", "poster", "action"):
            assert (element.attributes.get(name) or "data:").startswith("data:")
        assert (element.attributes.get("href") or "#").startswith(("#", "data:"))
        assert element.tag not in ("iframe", "object", "embed", "base", "form")


def test_the_policy_allows_the_script_of_the_page_and_no_other(parsed: Parsed) -> None:
    root = parsed(render(Page("x", ())))
    policy = root.all("meta", http_equiv="Content-Security-Policy")[0].attributes["content"]
    scripts = [one for one in root.all("script") if "type" not in one.attributes]
    digest = base64.b64encode(hashlib.sha256(scripts[0].text.encode()).digest()).decode()
    assert len(scripts) == 1
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}';" in policy


def test_the_style_gives_a_dark_system_and_a_dark_choice_the_same_colours() -> None:
    style = render(Page("x", ())).partition("<style>")[2].partition("</style>")[0]
    blocks = re.findall(r"@media screen[^{]*\{\s*:root[^{]*\{([^}]*)\}", style)
    assert len(blocks) == 2 and blocks[0] == blocks[1]
    light = style.partition(":root {")[2].partition("}")[0]
    names = [set(re.findall(r"(--\w[\w-]*):", block)) for block in (light, blocks[0])]
    assert names[0] - names[1] == {"--sans", "--mono"}


@pytest.mark.parametrize("classes", [19, 150])
def test_a_page_of_500_images_is_under_5_megabytes(classes: int, example_page: Callable[[int, int], Page]) -> None:
    assert len(render(example_page(classes, 500)).encode()) < 5_000_000


def test_the_headline_has_its_value_and_interval(parsed: Parsed) -> None:
    root = parsed(render(Page("x", (Headline("mean IoU", Interval(0.7421, 0.728, 0.7553), "counted once"),))))
    score = root.all("p", class_="score")[0]
    assert score.text.split() == ["74.21", "%", "95", "%", "interval", "72.80", "–", "75.53"]
    assert root.all("p", class_="protocol")[0].text == "counted once"


def test_an_undefined_headline_is_a_dash_without_a_unit(parsed: Parsed) -> None:
    nan = float("nan")
    root = parsed(render(Page("x", (Headline("mean IoU", Interval(nan, nan, nan)),))))
    assert root.all("p", class_="score")[0].text.split() == ["–"]


def test_figures_read_as_their_kind_says(parsed: Parsed) -> None:
    figures = (Figure("aAcc", 0.5), Figure("images", 1234, "count"), Figure("ECE", float("nan")), Figure("size", "B0"))
    root = parsed(render(Page("x", (Figures(figures),))))
    assert [one.text for one in root.all("dd")] == ["50.00 %", "1,234", "–", "B0"]


def test_facts_that_a_reader_may_copy_are_code(parsed: Parsed) -> None:
    root = parsed(render(Page("x", (Facts((Fact("command", "segformer eval", code=True), Fact("date", "May"))),))))
    assert [one.text for one in root.all("code")] == ["segformer eval"]
    assert [one.text for one in root.all("dd")] == ["segformer eval", "May"]


def test_a_gallery_names_every_picture_for_those_who_do_not_see_it(parsed: Parsed) -> None:
    row = GalleryRow("street 7", (Thumbnail("target", PIXEL), Thumbnail("mask", PIXEL)), "mIoU 5 %")
    legend = Legend("classes", (Swatch("road", (128, 64, 128)),))
    root = parsed(render(Page("x", (Gallery((row,), legends=(legend,)),))))
    assert [image.attributes["alt"] for image in root.all("img")] == ["target of street 7", "mask of street 7"]
    assert root.all("figcaption")[0].text == "street 7mIoU 5 %"
    assert root.all("i", class_="swatch")[0].attributes["style"] == "background:#804080"


def test_a_contact_sheet_has_several_rows_abreast_and_a_gallery_one(parsed: Parsed) -> None:
    rows = (GalleryRow("fog", (Thumbnail("picture", PIXEL), Thumbnail("mask", PIXEL)), "mIoU 5 %"),) * 4
    sheet = parsed(render(Page("x", (Gallery(rows, across=3),)))).all("div", class_="contact")[0]
    assert sheet.attributes["style"] == "--across:3"
    assert [strip.attributes["style"] for strip in sheet.all("div", class_="strip")] == ["--n:2"] * 4
    assert not parsed(render(Page("x", (Gallery(rows),)))).all("div", class_="contact")


def test_a_thumbnail_is_never_the_address_of_a_picture() -> None:
    with pytest.raises(ValueError, match="data URI"):
        Thumbnail("picture", "https://example.org/street.jpg")


def test_parts_side_by_side_have_headings_one_level_below(parsed: Parsed) -> None:
    both = SideBySide((Notes(("x",), title="left"), Notes(("x",), title="right")), title="Both")
    root = parsed(render(Page("x", (both,))))
    assert [one.text for one in root.all("h2")] == ["Both"]
    assert [one.text for one in root.all("h3")] == ["left", "right"]


def test_a_page_is_written_and_not_over_another_without_force(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "report.html"
    assert write_page(path, Page("first", ())) == path
    with pytest.raises(SegFormerError, match=r"report\.html exists already"):
        write_page(path, Page("second", ()))
    assert "<h1>first</h1>" in path.read_text(encoding="utf-8")
    write_page(path, Page("second", ()), force=True)
    assert "<h1>second</h1>" in path.read_text(encoding="utf-8")


def test_a_page_that_fails_leaves_the_old_one_and_nothing_beside_it(tmp_path: Path) -> None:
    path = write_page(tmp_path / "report.html", Page("first", ()))
    with pytest.raises(ValueError, match="zip"):
        write_page(path, Page("second", (Table((Column("a"), Column("b")), (("too short",),)),)), force=True)
    assert "<h1>first</h1>" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_name_that_is_no_text_is_shown_by_its_bytes(tmp_path: Path) -> None:
    name = b"street\xff.png".decode("utf-8", "surrogateescape")
    path = write_page(tmp_path / "report.html", Page(name, ()))
    assert "<h1>street\\udcff.png</h1>" in path.read_text(encoding="utf-8")
