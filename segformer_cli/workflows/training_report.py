"""The HTML report of a training: how it went, what it reached, what it sees."""

from __future__ import annotations

import math
from pathlib import Path

from segformer_cli import __version__
from segformer_cli.data.pairs import Split
from segformer_cli.engine.inference import Segmenter
from segformer_cli.reports.page import Page, write_page
from segformer_cli.reports.parts import (
    Fact,
    Figure,
    Figures,
    Gallery,
    GalleryRow,
    Headline,
    HeatMap,
    LineChart,
    Part,
    Series,
    SideBySide,
)
from segformer_cli.reports.thumbnails import (
    ERROR_LEGEND,
    error_map,
    error_thumbnail,
    mask_thumbnail,
    picture_thumbnail,
)
from segformer_cli.workflows.evaluation_report import class_table
from segformer_cli.workflows.planning import TrainingPlan
from segformer_cli.workflows.run_facts import run_facts
from segformer_cli.workflows.run_list import REPORT, steps, validations
from segformer_cli.workflows.scorecard import Evaluation

SHOWN = 4
"""Pictures of the validation split, evenly spaced."""

WORST_CURVES = 6
"""Classes with a curve of their own: as many as can be told apart."""


def write_training_report(
    folder: Path,
    planned: TrainingPlan,
    segmenter: Segmenter,
    best: Evaluation,
    best_iteration: int,
    images_per_s: float,
) -> Path:
    """report.html in the folder of a run, from what lies there and from the weights as they are now."""
    rows = validations(folder)
    parts: list[Part] = [
        Headline("best mIoU in validation", best.miou, best.protocol),
        Figures(
            (
                Figure("after iteration", best_iteration, "count"),
                Figure("mAcc", best.macc),
                Figure("aAcc", best.aacc),
                Figure("images a second", images_per_s, "number"),
            )
        ),
        SideBySide((_loss(steps(folder)), _scores(rows)), title="How it went"),
    ]
    if len(rows) > 1:
        parts.append(_hard_classes(rows, best))
    parts += [
        class_table(best, planned.val.palette),
        HeatMap(tuple(row.name for row in best.per_class), best.confusion.tolist(), title="Confusion matrix"),
        _pictures(planned.val, segmenter),
        run_facts(
            planned.config,
            segmenter.config,
            f"{segmenter.device} in {planned.config.precision}",
            (Fact("started from", planned.start),),
        ),
    ]
    title = f"SegFormer-{planned.config.variant.upper()} trained on {planned.train.data}"
    return write_page(folder / REPORT, Page(title, tuple(parts), footer=f"segformer {__version__}"), force=True)


def _loss(rows: list[dict[str, float]]) -> LineChart:
    losses = Series("loss", [row["iteration"] for row in rows], [row["loss"] for row in rows])
    return LineChart((losses,), "iteration", "loss", title="Loss", x_kind="count", y_kind="number")


def _scores(rows: list[dict[str, float]]) -> LineChart:
    at = [row["iteration"] for row in rows]
    series = tuple(
        Series(title, at, [row[name] for row in rows])
        for title, name in (("mIoU", "miou"), ("mAcc", "macc"), ("aAcc", "aacc"))
    )
    return LineChart(series, "iteration", "share", title="Validation", x_kind="count", y_range=(0, 1))


def _hard_classes(rows: list[dict[str, float]], best: Evaluation) -> LineChart:
    """The curves of the classes that score lowest: where more training or more data would tell."""
    scored = sorted((row for row in best.per_class if not math.isnan(row.iou)), key=lambda row: row.iou)
    at = [row["iteration"] for row in rows]
    series = tuple(
        Series(one.name, at, [row[f"iou/{one.name}"] for row in rows]) for one in scored[:WORST_CURVES]
    )
    return LineChart(series, "iteration", "IoU", title="The hardest classes", x_kind="count")


def _pictures(split: Split, segmenter: Segmenter) -> Gallery:
    rows = []
    for pair in split.spread(SHOWN).pairs:
        pixels, target = split.read(pair)
        mask, image = segmenter.mask(pixels), split.shown(pixels)
        ignore, palette = split.ignore_index, split.palette
        thumbnails = (
            picture_thumbnail("picture", image),
            mask_thumbnail("target", target, palette, ignore),
            mask_thumbnail("mask", mask, palette, ignore),
            error_thumbnail("errors", error_map(image, target, mask, ignore)),
        )
        rows.append(GalleryRow(pair.key, thumbnails))
    return Gallery(tuple(rows), "As the last weights see it", legends=(ERROR_LEGEND,))
