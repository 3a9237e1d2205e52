"""How a run went, as one picture: loss, learning rate and mIoU over its iterations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from segformer_cli.classes import Colour
from segformer_cli.images import Picture, write_image
from segformer_cli.reports.axes import Axis, axis, extent
from segformer_cli.reports.charts import points_of
from segformer_cli.reports.numerals import numeral, with_unit
from segformer_cli.reports.parts import Kind, Series
from segformer_cli.workflows.run_lettering import GREY, INK, PAPER, font
from segformer_cli.workflows.run_list import steps, validations
from segformer_cli.workflows.runs import CURVES

Point = tuple[float, float]

WIDTH, HEIGHT = 960, 250
"""Of one panel."""

LEFT, RIGHT, TOP, BOTTOM = 96, 32, 48, 34
"""Around the axes of a panel: numerals and titles."""

RULE = (225, 225, 225)
BLUE, PALE, ORANGE = (0, 90, 160), (170, 205, 230), (213, 94, 0)

WINDOW = 25
"""Rows of the log that the running median of the loss looks back on."""

FEWEST_TO_SMOOTH = 60
SUBPIXEL = 4
"""Bits of a place that lie behind the point, for lines that are drawn smooth."""


@dataclass(frozen=True)
class Line:
    """A curve through points, or the points themselves as dots too."""

    points: Sequence[Point]
    colour: Colour
    width: int = 2
    dots: bool = False


@dataclass(frozen=True)
class Panel:
    """One drawing: a title, lines over the iterations, and the range of their values."""

    title: str
    lines: tuple[Line, ...]
    low: float
    high: float
    kind: Kind
    ring: Point | None = None
    """A point to be seen."""


def write_curves(folder: Path) -> Picture:
    """curves.png in the folder of a run, (H, W, 3), from its log.jsonl and metrics.csv as they are now."""
    logged = steps(folder)
    scored = [(row["iteration"], row["miou"]) for row in validations(folder) if not math.isnan(row["miou"])]
    panels = [panel for panel in (_loss(logged), _rate(logged), _miou(scored)) if panel is not None]
    last = max([step["iteration"] for step in logged] + [at for at, _ in scored], default=1)
    drawn = [_drawn(panel, last) for panel in panels]
    picture = np.concatenate(drawn) if drawn else np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    write_image(folder / CURVES, picture, force=True)
    return picture


def running_median(values: Sequence[float]) -> list[float]:
    """At each place the median of the last few values, which one that went astray does not move.

    >>> running_median([3.0, 1.0, 2.0, 1e6])
    [3.0, 2.0, 2.0, 2.5]
    """
    beginning = [float(np.median(values[: end + 1])) for end in range(min(WINDOW, len(values)) - 1)]
    if len(values) < WINDOW:
        return [*beginning, float(np.median(values))] if len(values) else []
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(values, np.float64), WINDOW)
    return [*beginning, *np.median(windows, axis=1).tolist()]


def _loss(rows: Sequence[dict[str, float]]) -> Panel | None:
    if not rows:
        return None
    at, losses = [row["iteration"] for row in rows], [row["loss"] for row in rows]
    each = _thinned(at, losses)
    if len(rows) < FEWEST_TO_SMOOTH:
        return Panel("loss", (Line(each, BLUE),), 0, max(losses) or 1.0, "number")
    medians = running_median(losses)
    lines = Line(each, PALE, 1), Line(_thinned(at, medians), BLUE)
    # A few steps far above the rest would flatten all that follows: they leave through the top.
    high = float(np.quantile(losses, 0.98))
    return Panel(f"loss, and its running median: {numeral(medians[-1], 'number')} now", lines, 0, high or 1.0, "number")


def _rate(rows: Sequence[dict[str, float]]) -> Panel | None:
    if not rows:
        return None
    rates = [row["lr"] for row in rows]
    points = _thinned([row["iteration"] for row in rows], rates)
    return Panel("learning rate of the encoder", (Line(points, BLUE),), 0, max(rates) or 1.0, "number")


def _miou(scored: Sequence[Point]) -> Panel | None:
    if not scored:
        return None
    low, high = extent(miou for _, miou in scored)
    best = max(scored, key=lambda point: point[1])
    title = f"mIoU of validations: best {with_unit(best[1], 'share')} at iteration {numeral(best[0], 'count')}"
    return Panel(title, (Line(scored, BLUE, dots=True),), max(0.0, low), min(1.0, high), "share", best)


def _thinned(at: Sequence[float], values: Sequence[float]) -> list[Point]:
    return points_of(Series("", at, values))


def _drawn(panel: Panel, last: float) -> Picture:
    """(HEIGHT, WIDTH, 3): the panel over iterations 0 to `last`."""
    x = axis(0, last, (LEFT, WIDTH - RIGHT), "iteration", "count", wide=False, most=8)
    y = axis(panel.low, panel.high, (HEIGHT - BOTTOM, TOP), "", panel.kind, wide=True, most=4)
    picture = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    for tick in y.ticks:
        cv2.line(picture, (LEFT, round(tick.at)), (WIDTH - RIGHT, round(tick.at)), RULE, 1)
    _draw_lines(picture[TOP : HEIGHT - BOTTOM + 1], panel, x, y)
    _draw_dots(picture, panel, x, y)
    return _labelled(picture, panel.title, x, y, panel.kind)


def _draw_lines(plot: Picture, panel: Panel, x: Axis, y: Axis) -> None:
    """Lines on the part of a panel between its axes, which they do not leave."""
    for line in panel.lines:
        places = np.asarray([_place(point, x, y) for point in line.points], np.int32) - (0, TOP << SUBPIXEL)
        cv2.polylines(plot, [places.astype(np.int32)], False, line.colour, line.width, cv2.LINE_AA, SUBPIXEL)


def _draw_dots(picture: Picture, panel: Panel, x: Axis, y: Axis) -> None:
    for line in panel.lines:
        for point in line.points if line.dots or len(line.points) == 1 else ():
            cv2.circle(picture, _place(point, x, y), 3 << SUBPIXEL, line.colour, -1, cv2.LINE_AA, SUBPIXEL)
    if panel.ring is not None:
        cv2.circle(picture, _place(panel.ring, x, y), 7 << SUBPIXEL, ORANGE, 2, cv2.LINE_AA, SUBPIXEL)


def _place(point: Point, x: Axis, y: Axis) -> tuple[int, int]:
    across, up = x.at(point[0]), y.at(point[1])
    return round(across * 2**SUBPIXEL), round(up * 2**SUBPIXEL)


def _labelled(picture: Picture, title: str, x: Axis, y: Axis, kind: Kind) -> Picture:
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    draw.line((LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM), fill=GREY)
    draw.text((LEFT, TOP // 2), title, fill=INK, font=font(17), anchor="lm")
    unit = " %" if kind == "share" else ""
    for tick in y.ticks:
        draw.text((LEFT - 10, tick.at), f"{tick.text}{unit}", fill=GREY, font=font(14), anchor="rm")
    for tick in x.ticks:
        draw.line((tick.at, HEIGHT - BOTTOM, tick.at, HEIGHT - BOTTOM + 4), fill=GREY)
        draw.text((tick.at, HEIGHT - BOTTOM + 9), tick.text, fill=GREY, font=font(14), anchor="ma")
    return np.asarray(canvas, np.uint8)
