"""Numbers as a report prints them."""

from __future__ import annotations

import math

import pytest

from segformer_cli.reports.numerals import interval_text, numeral, tick_numeral, with_unit
from segformer_cli.reports.parts import Kind


@pytest.mark.parametrize("kind", ["share", "number", "count"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_dash_without_a_unit(value: float, kind: Kind) -> None:
    assert numeral(value, kind) == with_unit(value, kind) == "–"
    assert interval_text(0.1, value, kind) == ""


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (1.0, "share", "100.00"),
        (0.99999, "share", "100.00"),
        (-0.0123, "share", "−1.23"),
        (-0.00001, "share", "0.00"),
        (0, "count", "0"),
        (2048.0, "count", "2,048"),
        (0.0, "number", "0"),
        (6e-05, "number", "6e-05"),
        (12.3456, "number", "12.35"),
        (160_000, "number", "160,000"),
    ],
)
def test_a_number_reads_as_its_kind_says(value: float, kind: Kind, text: str) -> None:
    assert numeral(value, kind) == text


@pytest.mark.parametrize(
    ("value", "step", "kind", "text"),
    [
        (0.025, 0.025, "share", "2.5"),
        (-2, 1, "number", "−2"),
        (0.0, 0.5, "number", "0.0"),
        (1e-4, 5e-5, "number", "0.00010"),
    ],
)
def test_a_tick_has_the_digits_its_step_needs(value: float, step: float, kind: Kind, text: str) -> None:
    assert tick_numeral(value, step, kind) == text
