"""Charts: where ticks, lines and bars lie."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segformer_cli.reports.axes import LETTER, Plot
from segformer_cli.reports.charts import COLOURS, MARK_LINE, HistogramView, histogram_view, line_view
from segformer_cli.reports.page import Page, render
from segformer_cli.reports.parts import Histogram, LineChart, Series, binned

NAN = float("nan")


def points(path: str) -> list[tuple[str, float, float]]:
    return [(pen, float(x), float(y)) for pen, x, y in re.findall(r"([ML])(\S+) ([-\d.e+]+)", path)]


def chart(*series: Series, **fields: Any) -> LineChart:
    return LineChart(series, "step", "mIoU", **fields)


def test_a_line_goes_through_its_points_between_the_axes() -> None:
    view = line_view(chart(Series("a", [0, 10], [0, 1]), x_range=(0, 10), y_range=(0, 1)))
    (pen, x, y), (next_pen, next_x, next_y) = points(view.lines[0].path)
    assert (pen, next_pen) == ("M", "L")
    assert (x, next_x) == (round(view.plot.x.begin, 1), view.plot.x.end)
    assert (y, next_y) == (view.plot.y.begin, Plot.TOP)


def test_a_line_is_interrupted_where_a_value_is_undefined() -> None:
    view = line_view(chart(Series("a", [0, 1, 2, 3, 4], [NAN, 0.1, 0.2, NAN, 0.4])))
    assert [pen for pen, _, _ in points(view.lines[0].path)] == ["M", "L", "M"]
    assert len(view.lines[0].markers) == 3


def test_ticks_are_round_values_written_with_as_many_digits_as_they_need() -> None:
    view = line_view(chart(Series("a", [0, 40_000], [0.701, 0.745])))
    assert [tick.text for tick in view.plot.x.ticks] == ["0", "10,000", "20,000", "30,000", "40,000"]
    assert [tick.text for tick in view.plot.y.ticks] == ["70", "71", "72", "73", "74", "75"]
    assert view.plot.y.label == "mIoU, %"


@settings(max_examples=60, deadline=None)
@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_an_axis_has_two_to_eight_ticks_inside_it_and_no_two_alike(low: float, span: float) -> None:
    view = line_view(chart(Series("a", [0, 1], [low, low + span]), y_kind="number"))
    ticks = view.plot.y.ticks
    assert 2 <= len(ticks) <= 8
    assert len({tick.text for tick in ticks}) == len(ticks)
    assert all(Plot.TOP - 0.1 <= tick.at <= view.plot.y.begin + 0.1 for tick in ticks)


def test_a_single_value_and_no_value_at_all_still_have_axes() -> None:
    assert not line_view(chart(Series("a", [3], [0.5]))).empty
    for nothing in (chart(), chart(Series("a", [], [])), chart(Series("a", [1, 2], [NAN, NAN]))):
        view = line_view(nothing)
        assert view.empty and view.plot.x.ticks and view.plot.y.ticks


def test_a_long_line_is_thinned_without_losing_a_peak() -> None:
    y = [0.5] * 160_000
    y[70_001], y[90_002] = 0.9, 0.1
    view = line_view(chart(Series("loss", range(160_000), y), y_range=(0, 1)))
    drawn = [height for _, _, height in points(view.lines[0].path)]
    assert len(drawn) < 1000
    assert (min(drawn), max(drawn)) == (view.plot.y.at(0.9), view.plot.y.at(0.1))
    assert len(view.lines[0].path) < 20_000


def test_marks_of_a_long_line_are_few_and_end_with_its_last_point() -> None:
    line = line_view(chart(Series("loss", range(101), [index / 100 for index in range(101)]))).lines[0]
    assert not line.dotted
    assert len(line.markers) <= 41
    assert line.markers[-1].text == "loss\nstep 100\nmIoU 100.00 %"


def test_the_diagonal_is_where_both_axes_are_equal() -> None:
    view = line_view(chart(Series("a", [0, 1], [0.2, 0.6]), x_range=(0, 1), y_range=(0, 0.5), diagonal=True))
    assert view.diagonal == (view.plot.x.at(0), view.plot.y.at(0), view.plot.x.at(0.5), view.plot.y.at(0.5))
    apart = chart(Series("a", [0, 1], [5, 6]), x_range=(0, 1), y_range=(5, 6), diagonal=True)
    assert line_view(apart).diagonal is None


def test_lines_beyond_the_colours_are_dashed() -> None:
    lines = line_view(chart(*(Series(str(index), [0, 1], [0, index]) for index in range(COLOURS + 1)))).lines
    assert [(line.colour, line.dash) for line in (lines[0], lines[-2], lines[-1])] == [(0, 0), (COLOURS - 1, 0), (0, 1)]


def test_a_series_with_more_x_than_y_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        line_view(chart(Series("a", [0, 1], [0])))


def test_a_drawn_chart_names_its_lines_and_each_point_says_its_values(parsed: Callable[[str], Any]) -> None:
    series = (Series("fog", [1, 2], [0.7, 0.6]), Series("snow", [1, 2], [0.5, NAN]))
    root = parsed(render(Page("x", (LineChart(series, "severity", "mIoU"),))))
    svg = root.all("svg")[0]
    assert svg.attributes["aria-label"] == "mIoU over severity: fog, snow"
    assert [key.text for key in root.all("p", class_="legend")[0].all("span")] == ["fog", "snow"]
    texts = [title.text for circle in svg.all("circle") for title in circle.all("title")]
    assert texts == ["fog\nseverity 1\nmIoU 70.00 %", "fog\nseverity 2\nmIoU 60.00 %", "snow\nseverity 1\nmIoU 50.00 %"]


def test_an_empty_chart_says_so(parsed: Callable[[str], Any]) -> None:
    root = parsed(render(Page("x", (chart(Series("a", [], [])),))))
    assert root.all("text", class_="empty")[0].text == "no values"


def test_bars_stand_on_the_axis_as_high_as_their_counts() -> None:
    view = histogram_view(Histogram((0.0, 0.5, 1.0), (10, 5), "mIoU", "images", marks=(("median", 0.4), ("far", 7.0))))
    first, second = view.bars
    assert first.height == pytest.approx(2 * second.height, abs=0.2)
    assert first.y + first.height == pytest.approx(Plot.HEIGHT - Plot.BOTTOM, abs=0.1)
    assert first.text == "mIoU 0.00 – 50.00 %\n10 images"
    assert [mark.text for mark in view.marks] == ["median 40.00 %"]


def marked(*marks: tuple[str, float]) -> HistogramView:
    return histogram_view(Histogram((0.0, 0.5, 1.0), (300, 5), "mIoU", "images", marks=marks))


def extent(view: HistogramView, index: int) -> tuple[float, float]:
    """Where the name of a mark begins and ends, in its largest writing."""
    mark = view.marks[index]
    width = LETTER * len(mark.text)
    left = mark.x - {"start": 0, "middle": width / 2, "end": width}[mark.anchor]
    return left, left + width


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_names_of_marks_stay_inside_the_axis_below_its_name_and_never_overlap(values: list[float]) -> None:
    view = marked(*((f"mark {index}", value) for index, value in enumerate(values)))
    for index, mark in enumerate(view.marks):
        left, right = extent(view, index)
        assert view.plot.x.begin - 0.1 <= left and right <= view.plot.x.end + 0.1
        # The letters of narrow screens are 16 high, those below the base line a quarter of that.
        assert mark.y - 16 >= Plot.Y_NAME[1] and mark.y + 4 <= view.plot.y.end
        for other in range(index):
            begin, end = extent(view, other)
            assert abs(view.marks[other].y - mark.y) >= MARK_LINE or right <= begin or end <= left


def test_the_name_of_a_mark_stands_over_its_line_where_it_can() -> None:
    low, middle, high = (marked(("median", value)).marks[0] for value in (0.0, 0.5, 1.0))
    assert [one.anchor for one in (low, middle, high)] == ["start", "middle", "end"]
    assert low.x == low.at and middle.x == middle.at and high.x == high.at


def test_marks_too_close_for_one_line_take_two_and_the_bars_make_room() -> None:
    near, far = marked(("a", 0.5), ("b", 0.51)), marked(("a", 0.1), ("b", 0.9))
    assert [mark.y for mark in near.marks] == [Plot.TOP, Plot.TOP + MARK_LINE]
    assert [mark.y for mark in far.marks] == [Plot.TOP, Plot.TOP]
    assert near.plot.y.end == far.plot.y.end + MARK_LINE
    assert marked().plot.y.end == Plot.TOP


def test_an_empty_histogram_has_bars_without_height() -> None:
    assert [bar.height for bar in histogram_view(Histogram((0.0, 0.5, 1.0), (0, 0), "mIoU", "images")).bars] == [0, 0]


def test_counts_on_an_axis_are_whole() -> None:
    view = histogram_view(Histogram((0.0, 0.5, 1.0), (2, 1), "mIoU", "images"))
    assert [tick.text for tick in view.plot.y.ticks] == ["0", "1", "2"]


def test_a_histogram_needs_one_edge_more_than_counts() -> None:
    with pytest.raises(ValueError, match="2 counts need 3 edges, not 2"):
        histogram_view(Histogram((0.0, 1.0), (1, 2), "mIoU", "images"))


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.floats(0, 1) | st.just(NAN)), bins=st.integers(1, 30))
def test_each_value_falls_into_the_one_bin_that_spans_it(values: list[float], bins: int) -> None:
    edges, counts = binned(values, 0, 1, bins)
    known = [value for value in values if value == value]
    assert len(edges) == bins + 1 and sum(counts) == len(known)
    for index, count in enumerate(counts):
        last = index == bins - 1
        low, high = edges[index], edges[index + 1]
        assert count == sum(low <= value < high or (last and value == high) for value in known)
