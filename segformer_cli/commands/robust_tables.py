"""The tables of a robustness result, as a terminal of 80 columns shows them."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from segformer_cli.commands.console import Console
from segformer_cli.commands.score_tables import short, span

if TYPE_CHECKING:
    from segformer_cli.workflows.robust_result import CleanScore, RobustResult

BAR = 18
"""Letters of the longest bar: with it five severities of 100 % still fit 80 columns."""

HARDEST = 5
"""Classes of which the largest losses are shown."""

LONGEST_ROW = 35
"""With it, the name of windows of 1024 pixels is whole, and the table of clean scores fits 80 columns."""


def show(console: Console, result: RobustResult) -> None:
    """Every table of a result on stdout."""
    found = result.found if result.labelled else result.stability
    what = "mIoU" if result.labelled else "agree"
    if found.per_corruption:
        rows = [
            (row.corruption, bar(row.mean, found.clean), row.mean, *_retention(result, row.retention),
             " ".join(_percent(value) for value in row.curve))
            for row in found.per_corruption
        ]
        clean = ("clean", bar(found.clean, found.clean), found.clean, *_retention(result, 1.0), "")
        kept = ["kept"] if result.labelled else []
        console.table("", ["corruption", "", what, *kept, "by severity, %"], [clean, *rows])
    if result.labelled and found.per_corruption:
        lost = sorted((row for row in result.per_class if not math.isnan(row.drop)), key=lambda row: -row.drop)
        console.table(
            "classes that lose most",
            ["class", "clean", "corrupted", "lost", "hardest"],
            [(short(row.name), row.clean_iou, row.iou, row.drop, row.hardest or "-") for row in lost[:HARDEST]],
        )
    if result.against is not None:
        console.table(
            f"beside {result.against.reference} (1 is what it loses)",
            ["corruption", "CD", "rCD"],
            [(name, result.against.cd[name], result.against.rcd[name]) for name in result.against.cd],
        )
    _show_clean(console, "clean, at other sizes", result.resolutions)
    _show_clean(console, "clean, by condition", result.conditions)


def summary(result: RobustResult) -> str:
    """The last lines: clean and mean, how sure they are, how they came about."""
    found, stability = result.found, result.stability
    lines = []
    if result.labelled:
        lines.append(f"clean mIoU {_number(found.clean)}{_interval(result.clean_ci95)}")
        if found.per_corruption:
            kept = "" if math.isnan(found.retention) else f"  kept {100 * found.retention:.1f} %"
            lines[0] += f"  mean under corruptions {_number(found.mean)}{_interval(result.mean_ci95)}{kept}"
            categories = "  ".join(f"{name} {_number(value)}" for name, value in found.per_category.items())
            lines.append(categories)
        if found.worst is not None and found.worst_cell is not None:
            lines.append(f"worst: {found.worst.corruption} ({_number(found.worst.mean)}), {found.worst_cell}")
        if result.against is not None:
            beside = result.against
            lines.append(f"beside {beside.reference}: mCD {_number(beside.mcd)}  mrCD {_number(beside.mrcd)}")
    if stability.per_corruption and not math.isnan(stability.mean):
        lines.append(f"stability: {100 * stability.mean:.1f} % of pixels keep the class they have in the clean picture")
    if result.clean_ece is not None:
        eces = [cell.ece for cell in result.grid if cell.ece is not None]
        under = f", {sum(eces) / len(eces):.4f} under corruptions" if eces else ""
        lines.append(f"calibration: ECE {_number(result.clean_ece)} clean{under}")
    spent = result.seconds
    lines.append(
        f"time: {spent.total:.0f} s; network {spent.network:.0f} s, waiting for pictures {spent.waiting:.0f} s, "
        f"corrupting {spent.corrupting:.0f} s"
    )
    return "\n".join([*lines, result.protocol])


def bar(value: float, whole: float) -> str:
    """A bar of letters, as long as the share of `whole`.

    >>> len(bar(0.25, 0.5)), bar(float("nan"), 0.5)
    (9, '')
    """
    if math.isnan(value) or math.isnan(whole) or whole <= 0:
        return ""
    block = "█" if "utf" in (getattr(sys.stdout, "encoding", None) or "").lower() else "#"
    return block * round(BAR * min(1.0, value / whole))


def _show_clean(console: Console, title: str, rows: tuple[CleanScore, ...]) -> None:
    if rows:
        cells = [
            (short(row.name, LONGEST_ROW), row.images, row.miou, span(row.miou_ci95), row.difference) for row in rows
        ]
        console.table(title, ["", "images", "mIoU", "95 %", "- clean"], cells)


def _retention(result: RobustResult, share: float) -> list[float]:
    return [share] if result.labelled else []


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.0f}"


def _interval(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None or math.isnan(bounds[0]) else f" [{bounds[0]:.3f}, {bounds[1]:.3f}]"
