"""The tables of a score, as a terminal of 80 columns shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from segformer_cli.commands.console import Console

if TYPE_CHECKING:
    from segformer_cli.workflows.comparison import ResultDifference
    from segformer_cli.workflows.scorecard import ClassScore, Evaluation

MOST_CLASSES = 40
"""Beyond, only the worst and the best are shown."""

ENDS = 10
LONGEST_NAME = 22
"""With it, a table of billions of pixels still fits 80 columns."""


def show(console: Console, result: Evaluation, *, every_class: bool) -> None:
    """Every table of a result on stdout; none where there is no score."""
    if not result.defined:
        return
    rows: Sequence[ClassScore] = result.per_class
    if len(rows) > MOST_CLASSES and not every_class:
        scored = sorted((row for row in rows if not math.isnan(row.iou)), key=lambda row: row.iou)
        _show_classes(console, f"worst {ENDS} of {len(rows)} classes (--all shows every one)", result, scored[:ENDS])
        best = scored[ENDS:][::-1][:ENDS]
        _show_classes(console, f"best {len(best)}", result, best)
    else:
        _show_classes(console, "", result, rows)
    if result.groups:
        weighted = any(row.iiou is not None for row in result.groups)
        columns = ["group", "IoU", "acc", "pixels", *(["iIoU"] if weighted else [])]
        groups = [
            (short(row.name), row.iou, row.acc, row.pixels, *([row.iiou] if weighted else []))
            for row in result.groups
        ]
        console.table("", columns, groups)
    if result.dialects:
        console.table(
            "what other tools make of this matrix",
            ["tool", "mIoU", "mAcc", "aAcc"],
            [(row.name, row.miou, row.macc, row.aacc) for row in result.dialects],
        )


def summary(result: Evaluation) -> str:
    """The last lines: the score, how sure it is, how it came about."""
    if not result.labelled:
        return f"no score, since the split has no labels\n{result.protocol}"
    if not result.defined:
        return f"no score, since every pixel is ignored\n{result.protocol}"
    first = f"mIoU {_share(result.miou)}"
    if result.miou_ci95 is not None and not math.isnan(result.miou_ci95[0]):
        first += f" [{result.miou_ci95[0]:.3f}, {result.miou_ci95[1]:.3f}]"
    others = {"mAcc": result.macc, "aAcc": result.aacc, "fwIoU": result.fwiou, "Dice": result.mdice}
    first += "".join(f"  {name} {_share(value)}" for name, value in others.items())
    lines = [first, *_means(result)]
    if result.calibration is not None:
        found = result.calibration
        lines.append(
            f"calibration: ECE {found.ece:.4f}, mean confidence {found.mean_confidence:.4f}, "
            f"accuracy {found.accuracy:.4f}, AURC {found.aurc:.4f}"
            if found.pixels
            else "calibration: undefined, since not one labelled pixel was counted"
        )
    if result.temperature is not None:
        fitted = result.temperature
        lines.append(
            f"temperature {fitted.value:.4f}: NLL {fitted.nll_before:.4f} -> {fitted.nll_after:.4f} "
            f"on {fitted.pixels} pixels"
        )
    lines += [text for text in (result.interval, result.class_match, result.protocol) if text]
    lines += [
        f"{row.name}: {row.rule}" + (f"\n  not computed here: {row.not_computed}" if row.not_computed else "")
        for row in result.dialects
    ]
    return "\n".join(lines)


def show_difference(console: Console, found: ResultDifference) -> None:
    """The table of a comparison: B - A of each corruption, or of each class, the largest loss first."""
    if found.per_corruption:
        corruptions = [
            (row.corruption, row.a, row.b, _points(row.difference), _range(row.ci95)) for row in found.per_corruption
        ]
        console.table("", ["corruption", "A", "B", "B - A", "95 %"], corruptions)
        return
    rows = sorted(found.per_class, key=lambda row: (math.isnan(row.difference), row.difference))
    cells = [(short(row.name), row.a, row.b, _points(row.difference), _range(row.ci95)) for row in rows]
    console.table("", ["class", "A", "B", "B - A", "95 %"], cells)


def difference_summary(found: ResultDifference) -> str:
    """The verdict in words."""
    if math.isnan(found.difference):
        return f"no difference: {found.why_not_better}"
    verdict = "B is better" if found.better else "A is better" if found.worse else "no difference is sure"
    if found.too_few:
        verdict += f": {found.why_not_better}"
    scores = f"{found.score} A {found.miou_a:.4f}, B {found.miou_b:.4f}: B - A = {_points(found.difference)}"
    if math.isnan(found.ci95[0]):
        return f"{scores} points; {verdict}"
    return (
        f"{scores} {_range(found.ci95)} points; {verdict}\n"
        f"B is ahead in {100 * found.wins:.1f} % of the draws; {found.interval}"
    )


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _points(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:+.2f}"


def _range(bounds: tuple[float, float]) -> str:
    if math.isnan(bounds[0]):
        return "-"
    return f"[{_points(bounds[0])}, {_points(bounds[1])}]"


def _means(result: Evaluation) -> list[str]:
    means, lines = result.means, []
    if means.boundary_iou is not None and means.trimap_iou is not None and means.boundary_width is not None:
        lines.append(
            f"boundary IoU {_share(means.boundary_iou)}  trimap IoU {_share(means.trimap_iou)}  "
            f"(within {100 * means.boundary_width:g} % of the diagonal)"
        )
    if means.iou_by_size is not None and means.size_limits is not None:
        from segformer_cli.workflows.scorecard import SIZE_NAMES

        named = "  ".join(f"{name} {_share(value)}" for name, value in zip(SIZE_NAMES, means.iou_by_size, strict=True))
        lines.append(f"IoU by object size: {named}  (limits {', '.join(map(str, means.size_limits))} pixels)")
    if means.iiou is not None:
        category = math.nan if means.category_iiou is None else means.category_iiou
        lines.append(f"iIoU {_share(means.iiou)} of classes, {_share(category)} of categories")
    return lines


def _show_classes(console: Console, title: str, result: Evaluation, rows: Sequence[ClassScore]) -> None:
    """The table of some classes, and where more than IoU was asked for a second one: 80 columns do not hold all."""
    sure = result.miou_ci95 is not None
    console.table(
        title,
        ["class", "IoU", *(["95 %"] if sure else []), "acc", "Dice", "pixels"],
        [
            (
                short(row.name), row.iou, *([span(row.iou_ci95)] if sure else []), row.acc, row.dice,
                None if row.counted is False else row.pixels,
            )
            for row in rows
        ],
    )
    extra = {"boundary_iou": "bound.", "trimap_iou": "trimap", "iiou": "iIoU"}
    asked = [name for name in extra if any(getattr(row, name) is not None for row in result.per_class)]
    sizes = ["small", "medium", "large"] if any(row.iou_by_size for row in result.per_class) else []
    if asked or sizes:
        console.table(
            title and f"{title}: more",
            ["class", *(extra[name] for name in asked), *sizes],
            [(short(row.name), *(getattr(row, name) for name in asked), *(row.iou_by_size or ())) for row in rows],
        )


def span(bounds: tuple[float, float] | None) -> str:
    """An interval as a column has it, "-" where there is none.

    >>> span((0.25, 0.5)), span(None)
    ('0.250-0.500', '-')
    """
    if bounds is None or math.isnan(bounds[0]):
        return "-"
    return f"{bounds[0]:.3f}-{bounds[1]:.3f}"


def short(name: str, longest: int = LONGEST_NAME) -> str:
    """The name, its end cut off where it is longer.

    >>> short("traffic sign", 8), short("road", 8)
    ('traff...', 'road')
    """
    return name if len(name) <= longest else name[: longest - 3] + "..."
