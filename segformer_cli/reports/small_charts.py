"""Small charts over common axes: drawings that stretch with the page, their numerals beside them as text.

Text inside a drawing would shrink with it, to nothing on a telephone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from segformer_cli.reports.axes import Axis, axis, extent
from segformer_cli.reports.charts import COLOURS, Line, line_of, points_of
from segformer_cli.reports.numerals import numeral
from segformer_cli.reports.parts import Panel, SmallCharts

SIDE = 100.0
"""A drawing is a square of this side, which the page stretches to what it has: lengths in it are per cent."""

MARGIN = 7.0
"""Left and right of the outermost points, so that their dots are whole."""

MOST_STEPS = 3
"""Steps between the ticks of the y axis, as few as a small drawing has room for."""

MOST_COLUMNS = 6
"""Charts in a row of a wide page."""


@dataclass(frozen=True)
class PanelView:
    """One chart; `values` are read out to those who do not see it."""

    name: str
    lines: tuple[Line, ...]
    values: str

    @property
    def empty(self) -> bool:
        """Whether no value is known."""
        return not any(line.path for line in self.lines)


@dataclass(frozen=True)
class Key:
    """The name of a series and the style of its lines."""

    name: str
    colour: int
    dash: int


@dataclass(frozen=True)
class SmallChartsView:
    """Small charts for their template; `keys` are the series by name."""

    part: SmallCharts
    x: Axis
    y: Axis
    groups: tuple[tuple[str, tuple[PanelView, ...]], ...]
    keys: tuple[Key, ...]
    level: float | None
    columns: int
    side: float = SIDE


def small_charts_view(part: SmallCharts) -> SmallChartsView:
    """Every panel on the same axes, around the finite values of all.

    Raises:
        ValueError: a series has not one y for each x.
    """
    panels = [panel for group in part.groups for panel in group.panels]
    finite = [point for panel in panels for one in panel.series for point in points_of(one) if math.isfinite(point[1])]
    levels = [part.level[1]] if part.level and math.isfinite(part.level[1]) else []
    y_low, y_high = part.y_range or extent([0.0, *levels, *(value for _, value in finite)])
    y = axis(y_low, y_high, (SIDE, 0), part.y_label, part.y_kind, wide=part.y_range is None, most=MOST_STEPS)
    x_low, x_high = extent(at for at, _ in finite)
    x = axis(x_low, x_high, (MARGIN, SIDE - MARGIN), part.x_label, part.x_kind, wide=False)
    names = tuple(dict.fromkeys(one.name for panel in panels for one in panel.series))
    return SmallChartsView(
        part=part,
        x=x,
        y=y,
        groups=tuple(
            (group.name, tuple(_panel(panel, names, x, y, part) for panel in group.panels)) for group in part.groups
        ),
        keys=tuple(Key(name, index % COLOURS, index // COLOURS) for index, name in enumerate(names)),
        level=y.at(levels[0]) if levels else None,
        columns=min(MOST_COLUMNS, max((len(group.panels) for group in part.groups), default=1)),
    )


def _panel(panel: Panel, names: tuple[str, ...], x: Axis, y: Axis, part: SmallCharts) -> PanelView:
    lines, values = [], []
    for one in panel.series:
        title = f"{panel.name}, {one.name}" if len(names) > 1 else panel.name
        lines.append(line_of(names.index(one.name), one.name, title, points_of(one), x, y, part))
        numerals = " ".join(numeral(value, part.y_kind, 1) for value in one.y)
        values.append(f"{one.name} {numerals}" if len(names) > 1 else numerals)
    return PanelView(panel.name, tuple(lines), "; ".join(values))
