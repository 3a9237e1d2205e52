"""A report in a real browser: Chromium, headless, steered through its debugging pipe by the standard library alone."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segformer_cli.reports.page import Page, write_page

pytestmark = pytest.mark.browser
fcntl = pytest.importorskip("fcntl", reason="Chromium is steered through descriptors, which Windows has not")

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and answers on 4.
ON_3_AND_4 = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Tab:
    """One tab of a Chromium of its own; collects what went wrong and what was asked of the network."""

    def __init__(self, program: str, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # Out of the way of 3 and 4, which they become.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        arguments = [program, *QUIET, f"--user-data-dir={profile}"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_3_AND_4, *map(str, ends), *arguments],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self.read_end, self.write_end = ours_in, ours_out
        self.buffer = b""
        self.number = 0
        self.session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """The answer to one command; events that come before it are kept."""
        self.number += 1
        message: dict[str, object] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer}"
        return dict(answer["result"])

    def _next(self, seconds: float = 60) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            assert select.select([self.read_end], [], [], seconds)[0], "Chromium does not answer"
            data = os.read(self.read_end, 1 << 20)
            assert data, "Chromium is gone"
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return dict(json.loads(message))

    def open(self, path: Path) -> None:
        self.events.clear()
        self.ask("Page.navigate", url=path.absolute().as_uri())
        while not self.named("Page.loadEventFired"):
            self.events.append(self._next())

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event.get("method") == name]

    def value(self, expression: str) -> Any:
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def troubles(self) -> list[object]:
        """Exceptions, errors of the console and of the log (what the content security policy stopped is there)."""
        self.value("1")
        said = [event for event in self.named("Runtime.consoleAPICalled") if event["type"] in ("error", "warning")]
        logged = [event for event in self.named("Log.entryAdded") if event["entry"]["level"] in ("error", "warning")]
        return [*self.named("Runtime.exceptionThrown"), *said, *logged]

    def requests(self) -> set[str]:
        """The schemes of what was loaded."""
        return {event["request"]["url"].partition(":")[0] for event in self.named("Network.requestWillBeSent")}

    def centre(self, element: str) -> tuple[float, float]:
        """Where the middle of an element is, after scrolling it into view."""
        script = "{ const e = %s; e.scrollIntoView({block: 'center', behavior: 'instant'}); "
        script += "const b = e.getBoundingClientRect(); [b.x + b.width / 2, b.y + b.height / 2] }"
        x, y = self.value(script % element)
        return x, y

    def point(self, x: float, y: float) -> None:
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, element: str) -> None:
        x, y = self.centre(element)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def window(self, width: int, height: int = 900, scale: float = 1) -> None:
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    def media(self, media: str = "", scheme: str = "light") -> None:
        self.ask(
            "Emulation.setEmulatedMedia",
            media=media,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def picture(self) -> bytes:
        """A PNG of the whole page."""
        answer = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def close(self) -> None:
        self.session = None
        try:
            self.ask("Browser.close")
        except (AssertionError, OSError):
            self.process.kill()
        self.process.wait(30)
        os.close(self.read_end)
        os.close(self.write_end)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    tab = Tab(program, tmp_path_factory.mktemp("profile"))
    yield tab
    tab.close()


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


def contrast(one: str, other: str) -> float:
    """The ratio of two colours `rgb(r, g, b)` as WCAG 2.2 defines it."""
    lights = sorted(_luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(", ")]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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
