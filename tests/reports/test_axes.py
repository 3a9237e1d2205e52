"""Axes: steps between ticks, and the width of an axis around its values."""

from __future__ import annotations

import pytest

from segformer_cli.reports.axes import axis, extent, nice_step

NAN = float("nan")


@pytest.mark.parametrize("span", [0.0, -1.0, NAN])
def test_an_axis_without_length_is_a_mistake(span: float) -> None:
    with pytest.raises(ValueError, match="above its beginning"):
        nice_step(span)


def test_a_wide_axis_ends_at_the_ticks_around_its_values_and_a_narrow_one_at_its_values() -> None:
    wide = axis(0.23, 0.81, (0, 100), "mIoU", "share", wide=True, most=2)
    assert (wide.low, wide.high) == (0.0, 1.0) and [tick.text for tick in wide.ticks] == ["0", "50", "100"]
    narrow = axis(1, 5, (7, 93), "severity", "count", wide=False)
    assert [(tick.at, tick.text) for tick in narrow.ticks] == [(7, "1"), (28.5, "2"), (50, "3"), (71.5, "4"), (93, "5")]


def test_the_extent_of_one_value_or_of_none_has_a_width() -> None:
    assert extent([4.0]) == (2.0, 6.0) and extent([0.0]) == (-1.0, 1.0) and extent([]) == (0.0, 1.0)
    assert extent([3, 1, 2]) == (1, 3)
