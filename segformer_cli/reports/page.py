"""A page of parts becomes one HTML file that needs nothing else: no network, no script to be read."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from segformer_cli.atomic import replacing
from segformer_cli.errors import UsageError
from segformer_cli.reports.charts import HistogramView, LineView, histogram_view, line_view
from segformer_cli.reports.grid import GridView, grid_view
from segformer_cli.reports.heat import HeatView, heat_view
from segformer_cli.reports.numerals import interval_text, numeral
from segformer_cli.reports.parts import (
    Facts,
    Figures,
    Gallery,
    Grid,
    Headline,
    HeatMap,
    Histogram,
    Interval,
    LineChart,
    Notes,
    Part,
    SideBySide,
    SmallCharts,
    Table,
)
from segformer_cli.reports.small_charts import SmallChartsView, small_charts_view
from segformer_cli.reports.tables import TableView, table_view


@dataclass(frozen=True)
class Page:
    """One report, top to bottom; `footer` is its last line."""

    title: str
    parts: tuple[Part, ...]
    footer: str = ""


View = (
    Headline
    | Figures
    | Gallery
    | Facts
    | Notes
    | TableView
    | HeatView
    | GridView
    | LineView
    | SmallChartsView
    | HistogramView
)


@dataclass(frozen=True)
class Section:
    """A part with the place of its template, and what that template draws."""

    anchor: str
    template: str
    part: Part
    view: View | None
    level: int
    inner: tuple[Section, ...] = ()


def write_page(path: Path, page: Page, *, force: bool = False) -> Path:
    """`path`, now the page, whole or not at all.

    Raises:
        SegFormerError: `path` exists and `force` is not given, or it cannot be written.
    """
    # Names of files may hold bytes that are no text; they are shown as \udcff.
    data = render(page).encode("utf-8", "backslashreplace")
    with replacing(path, force=force) as temporary:
        temporary.write_bytes(data)
    return path


def refuse_other_than_html(path: str) -> None:
    """Nothing where the name of a report ends as that of a page.

    Raises:
        UsageError: it does not.
    """
    if Path(path).suffix.lower() not in (".html", ".htm"):
        hint = f"--report {Path(path).with_suffix('.html')}"
        raise UsageError(f"--report {path}: a report is an HTML page", hint=hint)


def render(page: Page) -> str:
    """The page as HTML. All that comes from outside is escaped.

    Raises:
        ValueError: a part contradicts itself, such as a row with more cells than columns.
    """
    environment = _environment()
    script = _source(environment, "report.js")
    return environment.get_template("page.html.j2").render(
        page=page,
        sections=_sections(page.parts, "part", level=2),
        style=_source(environment, "report.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("segformer_cli.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(numeral=numeral, colour=_colour)
    environment.tests.update(interval=lambda value: isinstance(value, Interval), finite=math.isfinite)
    environment.globals["interval_text"] = interval_text
    return environment


def _source(environment: Environment, name: str) -> str:
    """A file as it is: braces of CSS and JavaScript mean something else to a template."""
    assert environment.loader is not None
    text = environment.loader.get_source(environment, name)[0]
    # A browser reads line ends so, and compares the script's hash after that.
    return text.replace("\r\n", "\n")


def _colour(colour: tuple[int, int, int]) -> str:
    red, green, blue = colour
    return f"#{red:02x}{green:02x}{blue:02x}"


def _sections(parts: Iterable[Part], anchor: str, level: int) -> tuple[Section, ...]:
    return tuple(_section(part, f"{anchor}-{number}", level) for number, part in enumerate(parts, 1))


def _section(part: Part, anchor: str, level: int) -> Section:
    match part:
        case Headline():
            return Section(anchor, "headline.html.j2", part, part, level)
        case Figures():
            return Section(anchor, "figures.html.j2", part, part, level)
        case Table():
            return Section(anchor, "table.html.j2", part, table_view(part), level)
        case HeatMap():
            return Section(anchor, "heat_map.html.j2", part, heat_view(part), level)
        case Grid():
            return Section(anchor, "grid.html.j2", part, grid_view(part), level)
        case LineChart():
            return Section(anchor, "line_chart.html.j2", part, line_view(part), level)
        case SmallCharts():
            return Section(anchor, "small_charts.html.j2", part, small_charts_view(part), level)
        case Histogram():
            return Section(anchor, "histogram.html.j2", part, histogram_view(part), level)
        case Gallery():
            return Section(anchor, "gallery.html.j2", part, part, level)
        case Facts():
            return Section(anchor, "facts.html.j2", part, part, level)
        case Notes():
            return Section(anchor, "notes.html.j2", part, part, level)
        case SideBySide():
            inner = _sections(part.parts, anchor, level + 1)
            return Section(anchor, "side_by_side.html.j2", part, None, level, inner)
