"""The HTML report of an evaluation: what to look at, composed of the parts that all reports share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segformer_cli import __version__
from segformer_cli.classes import Colour
from segformer_cli.config import EvalConfig
from segformer_cli.data.pairs import Split
from segformer_cli.engine.scoring import Pace
from segformer_cli.metrics.bootstrap import ImageCounts
from segformer_cli.metrics.calibration import Calibration
from segformer_cli.reports.page import Page, write_page
from segformer_cli.reports.parts import (
    Column,
    Figure,
    Figures,
    Gallery,
    GalleryRow,
    Headline,
    HeatMap,
    Histogram,
    Interval,
    Legend,
    LineChart,
    Notes,
    Part,
    Series,
    SideBySide,
    Swatch,
    Table,
    binned,
)
from segformer_cli.reports.thumbnails import (
    ERROR_LEGEND,
    error_map,
    error_thumbnail,
    mask_thumbnail,
    picture_thumbnail,
)
from segformer_cli.workflows.measurements import Measurements
from segformer_cli.workflows.run_facts import run_facts
from segformer_cli.workflows.scorecard import SIZE_NAMES, Evaluation
from segformer_cli.workflows.sources import Source

SHOWN = 4
"""Of the best images, and as many of the worst."""

NAMED = 20
"""Classes in the legend of those images, the commonest."""

LISTED = 50
"""Rows at either end of the table of images."""


def write_report(
    path: Path, config: EvalConfig, source: Source, result: Evaluation, found: Measurements
) -> Path:
    """`path`, now one HTML file that needs nothing else."""
    parts: list[Part] = []
    if result.warnings:
        parts.append(Notes(result.warnings))
    parts += [_headline(result), _figures(result)]
    if result.defined:
        parts.append(class_table(result, source.split.palette))
        if result.groups:
            parts.append(_groups(result))
        if result.dialects:
            parts.append(_dialects(result))
        parts.append(_heat_map(tuple(row.name for row in result.per_class), result))
    if result.calibration is not None and result.labelled:
        parts.append(_calibration(result.calibration))
    per_image = found.counts.mious.tolist()
    parts += [*_images(found.counts, per_image), *_galleries(source, found.counts, per_image)]
    parts.append(run_facts(config, source.config, f"{source.device} in {source.precision}"))
    what = config.weights or config.predictions or ""
    title = f"{Path(what).name or what} on {source.split.data} {source.split.name}"
    return write_page(path, Page(title, tuple(parts), footer=f"segformer {__version__}"), force=config.force)


def _heat_map(names: tuple[str, ...], result: Evaluation) -> HeatMap:
    """The matrix; where pixels were given no class of the data, with a column for them, since they count as wrong."""
    counts = result.confusion.tolist()
    if any(result.none_of_them):
        counts = [[*row, none] for row, none in zip(counts, result.none_of_them, strict=True)]
        counts.append([0] * (len(names) + 1))
        names = (*names, "no class of the data")
    return HeatMap(names, counts, title="Confusion matrix")


def _headline(result: Evaluation) -> Headline:
    score: float | Interval = result.miou
    if result.miou_ci95 is not None:
        score = Interval(result.miou, *result.miou_ci95)
    text = "; ".join(filter(None, (result.protocol, result.class_match, result.interval)))
    return Headline("mIoU", score, text)


def _figures(result: Evaluation) -> Figures:
    means = result.means
    figures = [
        Figure("mAcc", result.macc),
        Figure("aAcc", result.aacc),
        Figure("fwIoU", result.fwiou),
        Figure("Dice", result.mdice),
        Figure("images", result.images, "count"),
    ]
    more = {"boundary IoU": means.boundary_iou, "trimap IoU": means.trimap_iou, "iIoU": means.iiou}
    more |= {"iIoU of categories": means.category_iiou}
    more |= {f"IoU, {name}": value for name, value in zip(SIZE_NAMES, means.iou_by_size or (), strict=False)}
    figures += [Figure(name, value) for name, value in more.items() if value is not None]
    if result.temperature is not None:
        figures.append(Figure("temperature", result.temperature.value, "number"))
    notes = []
    if means.boundary_width is not None:
        notes.append(f"A boundary is {100 * means.boundary_width:g} % of the diagonal wide.")
    if means.size_limits is not None:
        notes.append(f"Objects are small below {means.size_limits[0]} pixels and large from {means.size_limits[1]} on.")
    return Figures(tuple(figures), note=" ".join(notes))


def class_table(result: Evaluation, palette: Sequence[Colour]) -> Table:
    """Every class with all that was asked for."""
    rows = result.per_class
    columns = [Column("class", "swatch"), Column("IoU", "bar"), Column("acc", "share"), Column("Dice", "share")]
    optional = {"boundary": "boundary_iou", "trimap": "trimap_iou", "iIoU": "iiou"}
    asked = {title: name for title, name in optional.items() if any(getattr(row, name) is not None for row in rows)}
    sizes = SIZE_NAMES if any(row.iou_by_size for row in rows) else ()
    columns += [Column(title, "share") for title in (*asked, *sizes)]
    columns.append(Column("pixels", "count"))
    cells = [
        (
            Swatch(row.name, palette[row.id]),
            Interval(row.iou, *row.iou_ci95) if row.iou_ci95 else row.iou,
            row.acc,
            row.dice,
            *(getattr(row, name) for name in asked.values()),
            *(row.iou_by_size or ()),
            None if row.counted is False else row.pixels,
        )
        for row in rows
    ]
    return Table(tuple(columns), tuple(cells), title="Classes")


def _groups(result: Evaluation) -> Table:
    weighted = any(row.iiou is not None for row in result.groups)
    columns = [Column("group"), Column("classes"), Column("IoU", "bar"), Column("acc", "share")]
    columns += [*([Column("iIoU", "share")] if weighted else []), Column("pixels", "count")]
    rows = tuple(
        (row.name, ", ".join(row.classes), row.iou, row.acc, *((row.iiou,) if weighted else ()), row.pixels)
        for row in result.groups
    )
    return Table(tuple(columns), rows, title="Groups", note="Classes of a group count as one.")


def _dialects(result: Evaluation) -> Table:
    columns = (Column("tool"), *(Column(name, "share") for name in ("mIoU", "mAcc", "aAcc")), Column("rule", "prose"))
    rows = tuple(
        (row.name, row.miou, row.macc, row.aacc, "; not here: ".join(filter(None, (row.rule, row.not_computed))))
        for row in result.dialects
    )
    return Table(columns, rows, title="What other tools make of this matrix")


def _calibration(found: Calibration) -> SideBySide:
    bins = [bar for bar in found.bins if bar.share > 0]
    reliability = LineChart(
        (Series("accuracy", [bar.confidence for bar in bins], [bar.accuracy for bar in bins]),),
        "confidence",
        "accuracy",
        title="Reliability",
        note="On the diagonal a pixel that is 80 % sure is right in 80 of 100 cases; below it the network is too sure.",
        x_kind="share",
        x_range=(0, 1),
        y_range=(0, 1),
        diagonal=True,
    )
    points = found.risk_coverage
    risk = LineChart(
        (Series("risk", [point.coverage for point in points], [point.risk for point in points]),),
        "coverage",
        "share wrong",
        title="Risk and coverage",
        note="What share is wrong where only the most confident pixels are kept.",
        x_kind="share",
        x_range=(0, 1),
    )
    note = f"ECE {100 * found.ece:.2f} %, mean confidence {100 * found.mean_confidence:.2f} %, AURC {found.aurc:.4f}."
    return SideBySide((reliability, risk), title="Calibration", note=note)


def _images(counts: ImageCounts, per_image: Sequence[float]) -> list[Part]:
    scored = [value for value in per_image if not np.isnan(value)]
    if not scored:
        return []
    edges, heights = binned(per_image, 0, 1, 20)
    chart = Histogram(
        edges,
        heights,
        "mIoU of an image",
        "images",
        marks=(("median", float(np.median(scored))),),
        title="Images",
        note="Each by itself, over the classes in either of its maps; their mean is not the mIoU of all together.",
    )
    order = sorted(range(len(per_image)), key=lambda at: (np.isnan(per_image[at]), per_image[at]))
    right = counts.intersection.sum(1) / np.maximum(counts.true.sum(1), 1)
    rows = tuple((counts.keys[at], per_image[at], float(right[at])) for at in order)
    columns = (Column("image", "code"), Column("mIoU", "bar"), Column("pixels right", "share"))
    return [chart, Table(columns, rows, ends=LISTED)]


def _galleries(source: Source, counts: ImageCounts, per_image: Sequence[float]) -> list[Part]:
    """The worst and the best images; their masks are made again, since none was kept."""
    order = [at for at in np.argsort(per_image, kind="stable").tolist() if not np.isnan(per_image[at])]
    worst = order[:SHOWN]
    best = [at for at in order[::-1][:SHOWN] if at not in worst]
    titles = (("Worst images", worst), ("Best images", best))
    legends = (ERROR_LEGEND, _class_legend(source.split, counts, [*worst, *best]))
    return [
        Gallery(_rows(source, counts, per_image, chosen), title=title, legends=legends)
        for title, chosen in titles
        if chosen
    ]


def _class_legend(split: Split, counts: ImageCounts, chosen: Sequence[int]) -> Legend:
    """The commonest classes of some images, targets and masks together."""
    pixels = (counts.true[chosen] + counts.predicted[chosen]).sum(axis=0)
    common = sorted(range(len(pixels)), key=lambda index: -int(pixels[index]))[:NAMED]
    return Legend("classes", tuple(Swatch(split.class_names[i], split.palette[i]) for i in common if pixels[i]))


def _rows(
    source: Source, counts: ImageCounts, per_image: Sequence[float], chosen: Sequence[int]
) -> tuple[GalleryRow, ...]:
    by_key = {pair.key: pair for pair in source.split.pairs}
    some: Split = dataclasses.replace(source.split, pairs=tuple(by_key[counts.keys[at]] for at in chosen))
    rows = []
    for each, at in zip(source.judged(some, Pace()), chosen, strict=True):
        pixels, target = some.read(each.pair)
        image = some.shown(pixels)
        ignore, palette = some.ignore_index, some.palette
        thumbnails = (
            picture_thumbnail("picture", image),
            mask_thumbnail("target", target, palette, ignore),
            mask_thumbnail("mask", each.mask, palette, ignore),
            error_thumbnail("errors", error_map(image, target, each.mask, ignore)),
        )
        rows.append(GalleryRow(each.pair.key, thumbnails, f"mIoU {100 * per_image[at]:.1f} %"))
    return tuple(rows)
