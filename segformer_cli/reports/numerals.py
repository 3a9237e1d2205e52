"""Numbers as a report prints them."""

from __future__ import annotations

import math

from segformer_cli.reports.parts import Kind

NO_VALUE = "–"


def numeral(value: float | int, kind: Kind, digits: int = 2) -> str:
    """The number in its kind's form, without a unit; a dash where it is undefined.

    Args:
        digits: of a share, after the point.

    >>> numeral(0.74214, "share"), numeral(1234567, "count"), numeral(0.0123456, "number")
    ('74.21', '1,234,567', '0.01235')
    >>> numeral(float("nan"), "share")
    '–'
    """
    if not math.isfinite(value):
        return NO_VALUE
    if kind == "share":
        return _signed(f"{100 * value:.{digits}f}")
    if kind == "count":
        return _signed(f"{round(value):,}")
    return _signed(f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}")


def with_unit(value: float | int, kind: Kind) -> str:
    """The number as it stands in a sentence.

    >>> with_unit(0.5, "share"), with_unit(5, "count")
    ('50.00 %', '5')
    """
    text = numeral(value, kind)
    return f"{text} %" if kind == "share" and text != NO_VALUE else text


def interval_text(low: float, high: float, kind: Kind, digits: int = 2) -> str:
    """From low to high; nothing where either is undefined.

    >>> interval_text(0.701, 0.763, "share")
    '70.10 – 76.30'
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{numeral(low, kind, digits)} – {numeral(high, kind, digits)}"


def tick_numeral(value: float, step: float, kind: Kind) -> str:
    """The number with as many digits as its neighbours, `step` away, need to differ from it.

    >>> tick_numeral(0.2, 0.2, "share"), tick_numeral(0.125, 0.025, "share"), tick_numeral(40000, 20000, "number")
    ('20', '12.5', '40,000')
    """
    scale = 100 if kind == "share" else 1
    # A step such as 2.5 has a digit more than its power of ten.
    digits = next((d for d in range(10) if math.isclose(round(scale * step, d), scale * step)), 10)
    return _signed(f"{scale * value:,.{digits}f}")


def _signed(text: str) -> str:
    """A true minus sign, as wide as a digit, and none before zero."""
    if not text.startswith("-"):
        return text
    return "−" + text[1:] if any(digit in text for digit in "123456789") else text[1:]
