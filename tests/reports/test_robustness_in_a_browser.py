"""The parts of a robustness report in a real browser, and a report that `segformer eval` wrote."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from segformer_cli.reports.grid import TURN
from segformer_cli.reports.page import write_page
from tests.reports.browser import Tab, contrast
from tests.reports.robustness_example import robustness_page

pytestmark = pytest.mark.browser

TIP = "document.getElementById('tip')"
BEYOND = "(({{scrollWidth, clientWidth}}) => scrollWidth - clientWidth)(document.querySelector('{}'))"
SETTLED = "new Promise((done) => setTimeout(done, 300))"


@pytest.fixture
def robust(tab: Tab, tmp_path: Path) -> Tab:
    """The tab with all 19 corruptions open in it."""
    tab.window(1200)
    tab.media()
    tab.open(write_page(tmp_path / "report.html", robustness_page()))
    tab.value("localStorage.clear(); delete document.documentElement.dataset.theme; 1")
    return tab


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1200])
def test_a_robustness_report_opens_without_a_complaint_and_nothing_sticks_out(
    robust: Tab, width: int, scheme: str
) -> None:
    robust.window(width)
    robust.media(scheme=scheme)
    assert robust.value("document.querySelectorAll('section').length") == 5
    assert robust.value("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert robust.value("document.documentElement.scrollWidth") <= width
    assert robust.value(BEYOND.format(".grid-box")) == 0
    assert robust.troubles() == []
    assert robust.requests() <= {"file", "data"}


@pytest.mark.parametrize("width", [420, 1200])
def test_all_19_curves_are_on_one_screen_and_their_names_beside_no_other(robust: Tab, width: int) -> None:
    robust.window(width, 900)
    assert robust.value("document.querySelectorAll('.mini').length") == 19
    assert robust.value("document.querySelector('.small_charts').getBoundingClientRect().height") < 900
    assert robust.value(
        "[...document.querySelectorAll('.mini figcaption')].every((name) => name.scrollWidth <= name.clientWidth)"
    )
    assert robust.value("Math.min(...[...document.querySelectorAll('.plot')].map((plot) => plot.clientWidth))") > 55


def test_a_cell_of_the_grid_says_its_interval_and_images_under_the_pointer_and_by_the_arrow_keys(robust: Tab) -> None:
    x, y = robust.centre("document.querySelectorAll('.cells .cell')[2]")
    robust.point(x, y)
    said = robust.value(f"{TIP}.innerText").split("\n")
    assert said[0] == "motion blur, severity 3" and said[1].startswith("mIoU 62.") and said[1].endswith(" %")
    assert said[2].startswith("95 % interval 61.") and said[3] == "500 images"
    robust.point(2, 2)
    assert robust.value(f"{TIP}.hidden")

    robust.value("document.querySelector('.grid-box').focus(); 1")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp"):
        robust.press(key)
    assert robust.value(f"{TIP}.innerText").startswith("motion blur, severity 2\n")
    robust.press("Escape")
    assert robust.value(f"{TIP}.hidden")


def test_a_point_of_a_small_chart_says_its_values(robust: Tab) -> None:
    robust.point(*robust.centre("document.querySelectorAll('.mini .dot')[3]"))
    assert robust.value(f"{TIP}.innerText").startswith("motion blur\nseverity 4\nmIoU 58.")


SHADES = """{
  const cell = document.querySelector('.cells .cell[style]');
  const pixel = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
  const rgb = (colour) => {
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    return `rgb(${[...pixel.getImageData(0, 0, 1, 1).data.slice(0, 3)].join(', ')})`;
  };
  [...Array(201).keys()].map((step) => {
    cell.style.setProperty('--v', step / 200);
    cell.classList.toggle('deep', step / 200 >= TURN);
    const style = getComputedStyle(cell);
    return [step / 200, rgb(style.color), rgb(style.backgroundColor)];
  });
}"""


@pytest.mark.parametrize(("media", "scheme"), [("", "light"), ("", "dark"), ("print", "dark")])
def test_numbers_of_the_grid_have_contrast_enough_in_every_shade(robust: Tab, media: str, scheme: str) -> None:
    robust.media(media, scheme=scheme)
    colours = robust.value(SHADES.replace("TURN", str(TURN)))
    for value, ink, paper in colours:
        assert contrast(ink, paper) >= 4.5, value
    # Each fifth of the scale is told from its neighbours.
    papers = [paper for _, _, paper in colours[::40]]
    assert all(contrast(one, other) > 1.2 for one, other in pairwise(papers))


def test_on_paper_every_column_is_there(robust: Tab) -> None:
    # A4 less the margins that the style sheet asks for, in pixels of 1/96 inch.
    robust.window(688)
    robust.media("print")
    robust.value(SETTLED)
    right = "[...document.querySelectorAll('table')].map((table) => table.getBoundingClientRect().right)"
    assert max(robust.value(right)) <= 688
    assert robust.value("getComputedStyle(document.querySelector('.frame'), '::after').display") == "none"
    heads = robust.value("[...document.querySelectorAll('.grouped thead tr:last-child th')].length")
    assert heads == 20


def test_the_report_of_the_sample_opens_without_a_complaint_and_its_wide_tables_fit_or_scroll(
    tab: Tab, tmp_path: Path
) -> None:
    words = "eval -w sample --device cpu --boundary --object-sizes --calibration --dialect all --report report.html"
    subprocess.run(
        [sys.executable, "-m", "segformer_cli", *words.split()],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    for width in (1200, 420):
        tab.window(width)
        tab.media()
        tab.open(tmp_path / "report.html")
        tab.value(SETTLED)
        assert tab.troubles() == [] and tab.requests() <= {"file", "data"}
        assert tab.value("document.title") == "sample on sample val"
        assert tab.value("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
        assert tab.value("document.documentElement.scrollWidth") <= width
        beyond = tab.value(
            "[...document.querySelectorAll('.frame')].map(({firstElementChild: box, dataset}) =>"
            " [box.scrollWidth > box.clientWidth + 1, 'right' in dataset, box.tabIndex === 0])"
        )
        assert len(beyond) >= 5 and all(marked == cut and (stop or not cut) for cut, marked, stop in beyond)
        # Sentences never lie beyond an edge, and with room enough nothing does.
        assert tab.value(BEYOND.format(".told")) == 0
        assert any(cut for cut, _, _ in beyond) == (width == 420)
