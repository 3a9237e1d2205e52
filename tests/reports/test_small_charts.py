"""Small charts: common axes, a dashed level, lines that end where nothing is known."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from segformer_cli.reports.page import Page, render
from segformer_cli.reports.parts import Panel, PanelGroup, Series, SmallCharts
from segformer_cli.reports.small_charts import MARGIN, MOST_COLUMNS, SIDE, small_charts_view

NAN = float("nan")
SEVERITIES = (1, 2, 3)


def panel(name: str, *y: float) -> Panel:
    return Panel(name, (Series("b0", SEVERITIES[: len(y)], y),))


def charts(*panels: Panel, **fields: Any) -> SmallCharts:
    return SmallCharts((PanelGroup("Weather", panels),), "severity", "mIoU", **fields)


def test_all_panels_share_axes_from_zero_to_the_tick_above_the_highest_value() -> None:
    view = small_charts_view(charts(panel("fog", 0.8, 0.6, 0.4), panel("snow", 0.3, 0.2, 0.1)))
    assert (view.y.low, view.y.high) == (0, 1) and [tick.text for tick in view.y.ticks] == ["0", "50", "100"]
    assert [tick.text for tick in view.x.ticks] == ["1", "2", "3"]
    fog, snow = view.groups[0][1]
    assert fog.lines[0].path == f"M{MARGIN:g} 20L50 40L{SIDE - MARGIN:g} 60"
    assert snow.lines[0].path == f"M{MARGIN:g} 70L50 80L{SIDE - MARGIN:g} 90"


def test_the_level_lies_at_its_value_and_widens_the_axis() -> None:
    view = small_charts_view(charts(panel("fog", 0.1, 0.1, 0.1), level=("clean", 0.75)))
    assert view.y.high >= 0.75 and view.level == view.y.at(0.75)
    assert small_charts_view(charts(panel("fog", 0.1), level=("clean", NAN))).level is None


def test_a_line_ends_where_values_are_undefined_and_a_single_point_is_a_dot() -> None:
    view = small_charts_view(charts(panel("fog", 0.5, NAN, NAN), panel("snow", 0.5, 0.5, 0.5)))
    line = view.groups[0][1][0].lines[0]
    assert re.fullmatch(r"M\S+ \S+", line.path) and len(line.markers) == 1


def test_each_point_and_each_panel_says_its_values(parsed: Callable[[str], Any]) -> None:
    root = parsed(render(Page("x", (charts(panel("fog", 0.812, 0.6, NAN), level=("clean", 0.9)),))))
    assert [one.text for one in root.all("figcaption")] == ["fog"]
    drawing = root.all("svg")[0]
    assert drawing.attributes["aria-label"] == "fog: 81.2 60.0 –"
    texts = [one.text for one in drawing.all("title")]
    assert texts == ["fog\nseverity 1\nmIoU 81.20 %", "fog\nseverity 2\nmIoU 60.00 %"]
    assert root.all("p", class_="legend")[0].text.split() == ["mIoU,", "%,", "by", "severity", "clean", "90.0"]


def test_panels_of_several_series_name_them_and_give_each_name_one_colour(parsed: Callable[[str], Any]) -> None:
    a, b = Series("a", [1, 2], [0.5, 0.4]), Series("b", [1, 2], [0.6, 0.5])
    part = charts(Panel("fog", (a, b)), Panel("snow", (b,)))
    fog, snow = small_charts_view(part).groups[0][1]
    assert [line.colour for line in fog.lines] == [0, 1] and [line.colour for line in snow.lines] == [1]
    assert fog.lines[1].markers[0].text == "fog, b\nseverity 1\nmIoU 60.00 %"
    root = parsed(render(Page("x", (part,))))
    assert [key.text for key in root.all("p", class_="legend")[0].all("span")][1:] == ["a", "b"]
    assert root.all("svg")[0].attributes["aria-label"] == "fog: a 50.0 40.0; b 60.0 50.0"


def test_a_panel_without_values_says_so_and_does_not_trouble_the_others(parsed: Callable[[str], Any]) -> None:
    part = charts(panel("fog", NAN, NAN, NAN), panel("snow", 0.5, 0.4, 0.3))
    assert [one.empty for one in small_charts_view(part).groups[0][1]] == [True, False]
    assert [one.text for one in parsed(render(Page("x", (part,)))).all("span", class_="none")] == ["no values"]
    assert ">no values<" in render(Page("x", (charts(Panel("fog", ())),)))


def test_a_row_has_as_many_columns_as_its_largest_group_but_no_more_than_fit() -> None:
    def columns(*sizes: int) -> int:
        groups = tuple(PanelGroup("g", (panel("fog", 0.5),) * size) for size in sizes)
        return small_charts_view(SmallCharts(groups, "severity", "mIoU")).columns

    assert columns(4, 3) == 4 and columns(40) == MOST_COLUMNS and columns() == 1


def test_a_series_with_more_x_than_y_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        small_charts_view(charts(Panel("fog", (Series("a", [1, 2], [0.5]),))))
