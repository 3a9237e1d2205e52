"""A report in a real browser: it opens, answers, prints, and can be read in every light and width."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from segformer_cli.reports.page import Page, write_page
from tests.reports.browser import Tab, contrast

pytestmark = pytest.mark.browser


@pytest.fixture
def report(tab: Tab, example_page: Callable[[int, int], Page], tmp_path: Path) -> Tab:
    """The tab with an example of 19 classes open in it, as a reader finds it."""
    tab.window(1280)
    tab.media()
    tab.open(write_page(tmp_path / "report.html", example_page(19, 500)))
    tab.value("localStorage.clear(); delete document.documentElement.dataset.theme; 1")
    return tab


def test_a_report_opens_from_a_file_without_a_complaint_and_asks_nothing_of_the_network(report: Tab) -> None:
    assert report.value("document.title") == "SegFormer-B0 on cityscapes"
    assert report.value("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert report.troubles() == []
    assert report.requests() <= {"file", "data"}


def test_the_policy_of_the_page_stops_what_would_reach_the_network_or_run_a_foreign_script(report: Tab) -> None:
    report.value("document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.1:9/x'})); 1")
    report.value("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'})); 1")
    report.value("fetch('http://127.0.0.1:9/y').catch(() => 0)")
    assert report.value("window.ran") is None
    sent = {event["requestId"]: event["request"]["url"] for event in report.named("Network.requestWillBeSent")}
    failed = report.named("Network.loadingFailed")
    stopped = {event["requestId"] for event in failed if event.get("blockedReason") == "csp"}
    assert {url for number, url in sent.items() if number in stopped} >= {"http://127.0.0.1:9/x"}
    assert all(number in stopped for number, url in sent.items() if url.startswith("http:"))
    said = " ".join(str(trouble) for trouble in report.troubles())
    assert all(directive in said for directive in ("img-src", "script-src", "connect-src"))


FIRST = "document.querySelector('table')"


def shown(tab: Tab, column: int) -> list[str]:
    return list(tab.value(f"[...{FIRST}.tBodies[0].rows].map((row) => row.cells[{column}].innerText.split(' ')[0])"))


def sorted_by(tab: Tab) -> list[str]:
    return list(tab.value(f"[...{FIRST}.tHead.rows[0].cells].map((head) => head.getAttribute('aria-sort'))"))


def test_a_click_on_a_head_sorts_the_table_and_says_so(report: Tab) -> None:
    first = shown(report, 0)
    iou = report.value(f"[...{FIRST}.tBodies[0].rows].map((row) => row.cells[2].dataset.v ?? null)")
    known = sorted((float(value) for value in iou if value is not None), reverse=True)
    head = f"{FIRST}.tHead.rows[0].cells[2].firstChild"

    report.click(head)
    assert sorted_by(report) == ["none", "none", "descending", "none", "none", "none"]
    # Undefined scores come last, whichever way round.
    assert shown(report, 2) == [f"{100 * value:.2f}" for value in known] + ["–"] * (19 - len(known))

    report.click(head)
    assert sorted_by(report)[2] == "ascending"
    assert shown(report, 2) == [f"{100 * value:.2f}" for value in known[::-1]] + ["–"] * (19 - len(known))

    report.click(head)
    assert sorted_by(report) == ["none"] * 6
    assert shown(report, 0) == first


def test_a_column_of_names_is_sorted_by_the_alphabet(report: Tab) -> None:
    report.click(f"{FIRST}.tHead.rows[0].cells[0].firstChild")
    assert sorted_by(report)[0] == "ascending"
    assert shown(report, 0) == sorted(shown(report, 0))


def test_sorting_a_shortened_table_takes_its_gap_away_until_the_first_order_is_back(report: Tab) -> None:
    table = "[...document.querySelectorAll('table')].find((table) => table.querySelector('.gap'))"
    head = f"{table}.tHead.rows[0].cells[1].firstChild"
    report.value(f"window.table = {table}; 1")
    assert report.value("table.tBodies[0].rows.length") == 17
    report.click(head)
    assert report.value("table.tBodies[0].rows.length") == 16
    values = report.value("[...table.tBodies[0].rows].map((row) => Number(row.cells[1].dataset.v))")
    assert values == sorted(values, reverse=True)
    for _ in range(2):
        report.click("window.table.tHead.rows[0].cells[1].firstChild")
    assert report.value("[...table.tBodies[0].rows].findIndex((row) => row.matches('.gap'))") == 8


TIP = "document.getElementById('tip')"


def cell_of_map(tab: Tab, row: int, column: int) -> tuple[float, float]:
    tab.centre("document.querySelector('.sheet')")
    box = "document.querySelector('.sheet').getBoundingClientRect()"
    x, y, size = tab.value(f"[{box}.x, {box}.y, {box}.width]")
    return x + (column + 0.5) * size / 19, y + (row + 0.5) * size / 19


def test_the_cell_of_the_heat_map_under_the_pointer_says_its_classes_pixels_and_share(report: Tab) -> None:
    counts = report.value("JSON.parse(document.querySelector('.heat script').textContent).counts")
    row, column = 8, 9
    count, total = counts[row * 19 + column], sum(counts[row * 19 : row * 19 + 19])
    assert count > 0

    report.point(*cell_of_map(report, row, column))

    expected = f"{count:,} pixels, {100 * count / total:.2f} % of {total:,}"
    assert report.value(f"{TIP}.innerText") == f"true: vegetation\npredicted: terrain\n{expected}"
    assert not report.value(f"{TIP}.hidden")
    report.point(2, 2)
    assert report.value(f"{TIP}.hidden")


def test_the_arrow_keys_walk_over_the_heat_map(report: Tab) -> None:
    report.value("document.querySelector('.heat').focus(); 1")
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowLeft"):
        report.press(key)
    assert report.value(f"{TIP}.innerText").startswith("true: sidewalk\npredicted: sidewalk\n")


def test_the_point_of_a_chart_nearest_to_the_pointer_says_its_values(report: Tab) -> None:
    x, y = report.centre("document.querySelectorAll('.chart circle')[2]")
    report.point(x + 4, y - 3)
    assert report.value(f"{TIP}.innerText").startswith("this model\nconfidence 35.00 %\naccuracy ")


def test_the_switch_turns_the_colours_round_and_is_remembered(report: Tab) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = report.value(background)
    report.click("document.querySelector('.theme')")
    dark = report.value(background)
    assert dark != light
    report.open(Path(report.value("decodeURIComponent(location.pathname)")))
    assert report.value(background) == dark
    report.click("document.querySelector('.theme')")
    assert report.value(background) == light


def test_a_dark_system_gets_dark_colours_but_paper_stays_white(report: Tab) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    report.media(scheme="dark")
    assert report.value(background) == "rgb(19, 23, 28)"
    report.media("print", scheme="dark")
    assert report.value(background) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast_enough_and_nothing_sticks_out(report: Tab, width: int, scheme: str) -> None:
    report.window(width)
    report.media(scheme=scheme)
    assert report.value("document.documentElement.scrollWidth") <= width
    pairs = report.value(
        "['body', '.note', '.protocol', 'thead th', 'strong', '.notes li', '.range', 'nav a', 'footer'].map((name) => {"
        " const element = document.querySelector(name); let below = element;"
        " while (getComputedStyle(below).backgroundColor === 'rgba(0, 0, 0, 0)') below = below.parentElement;"
        " return [name, getComputedStyle(element).color, getComputedStyle(below).backgroundColor]; })"
    )
    for name, ink, paper in pairs:
        assert contrast(ink, paper) >= 4.5, name        # WCAG 2.2, level AA


def test_without_scripts_everything_is_there(report: Tab) -> None:
    report.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        report.open(Path(report.value("decodeURIComponent(location.pathname)")))
        text = report.value("document.body.innerText")
    finally:
        report.ask("Emulation.setScriptExecutionDisabled", value=False)
    for words in ("50.63", "road", "Largest confusions", "Reliability", "median", "Apache-2.0"):
        assert words in text
    assert report.value("document.querySelectorAll('button:not([hidden])').length") == 0


def test_it_prints_on_paper_with_the_heads_of_long_tables_on_each_page(
    tab: Tab, example_page: Callable[[int, int], Page], tmp_path: Path
) -> None:
    tab.window(1280)
    tab.open(write_page(tmp_path / "report.html", example_page(150, 500)))
    pdf = base64.b64decode(tab.ask("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert pdf.startswith(b"%PDF")
    assert 5 <= pdf.count(b"/Type /Page\n") <= 20
    # Chromium repeats what a head's ::before shows, not the buttons in it.
    tab.media("print")
    assert tab.value("getComputedStyle(document.querySelector('thead th'), '::before').content") == '"class"'
    assert tab.value("getComputedStyle(document.querySelector('.tall')).overflowY") == "visible"


def test_a_wide_table_shows_that_more_lies_beyond_its_edge_and_scrolls_by_the_keyboard(report: Tab) -> None:
    report.window(420)
    frame = "document.querySelector('.table .frame')"
    box = f"{frame}.firstElementChild"
    after = f"getComputedStyle({frame}, '::after')"
    assert report.value(f"{box}.scrollWidth - {box}.clientWidth") > 20
    settled = "new Promise((done) => setTimeout(done, 400))"
    report.value(settled)
    assert report.value(f"[{after}.content, {after}.opacity, {box}.tabIndex]") == ['"→"', "1", 0]

    report.value(f"{box}.focus(); 1")
    assert report.value(f"document.activeElement === {box}")
    report.press("ArrowRight", 39)
    report.value(settled)
    assert report.value(f"{box}.scrollLeft") > 0 and report.value(f"{frame}.hasAttribute('data-left')")

    report.value(f"{box}.scrollLeft = 1e6; {settled}")
    assert report.value(f"[{frame}.hasAttribute('data-right'), {after}.opacity]") == [False, "0"]


def test_a_table_that_fits_is_no_stop_of_the_keyboard(report: Tab) -> None:
    stops = "[...document.querySelectorAll('.box')].map((box) => [box.scrollWidth > box.clientWidth, box.tabIndex])"
    report.window(1280)
    report.value("new Promise((done) => setTimeout(done, 200))")
    assert [False, -1] in report.value(stops)
    assert all(tab_index == (0 if scrolls else -1) for scrolls, tab_index in report.value(stops))
