"""What other tools would have printed for the same confusion matrix, each by its own averaging rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from segformer_cli.metrics.confusion import Counts
from segformer_cli.metrics.scores import Floats, accuracy, iou, mean, scores, share


@dataclass(frozen=True, eq=False)
class Reading:
    """A tool's numbers; fractions in 0..1, None for one that the tool does not print.

    `iou` is (K,), NaN for a class that the tool leaves out of its table.
    """

    miou: float
    macc: float | None
    aacc: float | None
    iou: Floats


@dataclass(frozen=True)
class Dialect:
    """How one tool reads a matrix, (K, K) or (K, K + 1) with its last column for predictions that are no class.

    Args:
        rule: how it averages, and why its number differs.
        not_computed: what else makes its own number another one, which no reading of this matrix shows.
        needs_instances: what else it prints that is read off `InstanceCounts`: not computed where there are none.
    """

    name: str
    rule: str
    not_computed: str | None
    read: Callable[[Counts], Reading]
    needs_instances: str | None = None


def _mmseg(confusion: Counts) -> Reading:
    found = scores(confusion)
    return Reading(found.miou, found.macc, found.aacc, found.iou)


def _cityscapes(confusion: Counts) -> Reading:
    per_class = iou(confusion)
    return Reading(mean(per_class), None, None, per_class)


def _ultralytics(confusion: Counts) -> Reading:
    # A prediction outside the classes takes its pixel out of the count altogether.
    square = confusion[:, : confusion.shape[0]]
    pixels = square.sum(1)
    per_class = np.where(pixels > 0, iou(square), np.nan)
    total = int(pixels.sum())
    if not total:
        return Reading(0.0, None, 0.0, per_class)
    return Reading(mean(per_class), None, int(np.trace(square)) / total, per_class)


def _smp(confusion: Counts) -> Reading:
    per_class, per_acc = _absent_as(1.0, iou(confusion)), _absent_as(1.0, accuracy(confusion))
    hits = np.trace(confusion)
    K, total = confusion.shape[0], int(confusion.sum())
    # Of K yes-or-no questions a pixel, a wrong one of two classes answers two falsely, one of no class only one.
    wrong = total - hits + int(confusion[:, :K].sum()) - hits
    aacc = 1 - float(share(wrong, K * total))
    return Reading(float(per_class.mean()), float(per_acc.mean()), aacc, per_class)


def _paddle(confusion: Counts) -> Reading:
    per_class = _absent_as(1.0, iou(confusion))
    aacc = float(share(np.trace(confusion), confusion[:, : confusion.shape[0]].sum()))
    return Reading(float(per_class.mean()), None, aacc, per_class)


def _torchmetrics(confusion: Counts) -> Reading:
    per_class = iou(confusion)
    in_either_map = ~np.isnan(per_class)
    per_acc = _absent_as(0.0, accuracy(confusion))
    total = int(confusion.sum())
    return Reading(
        mean(per_class),
        float(per_acc[in_either_map].mean()) if total else 0.0,
        int(np.trace(confusion)) / total if total else 0.0,
        _absent_as(0.0, per_class),
    )


def _absent_as(value: float, per_class: Floats) -> Floats:
    return np.where(np.isnan(per_class), value, per_class)


# Rules of mmsegmentation 1.2.2, cityscapesscripts 2.3.0, segmentation_models_pytorch 0.6.0 and torchmetrics 1.9.0, held
# by tests against them; of ultralytics (`SemanticMetrics`) and PaddleSeg (`mean_iou`) as their sources say, spec 1.6.
DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            "mmseg",
            "the mean over the classes that are in the targets or in the masks, the rule of the released SegFormer "
            "evaluation and of ours; it counts in float32 and prints percent with two decimals",
            "its SegFormer configurations for Cityscapes slide a 1024x1024 window by 768, and none rounds the sides "
            "of a picture up to a multiple of 32",
            _mmseg,
        ),
        Dialect(
            "cityscapes",
            "the mean over the classes that are in the targets or in the masks, as ours, so that the two differ in "
            "nothing but the three decimals it prints; it has no accuracies",
            None,
            _cityscapes,
            needs_instances="its iIoU weighs pixels by instance, which takes the files of instance ids",
        ),
        Dialect(
            "ultralytics",
            "the mean over the classes that are in the targets, so that one which is only predicted adds no zero; a "
            "pixel predicted as no class is left out of the count",
            "it scores at network size, on masks letter-boxed with the pictures; a data set with one named class "
            "gets the foreground's IoU alone",
            _ultralytics,
        ),
        Dialect(
            "smp",
            "iou_score and recall with reduction='macro' and the default zero_division=1.0: the mean over all "
            "classes, an absent one counting as 1; its accuracy also counts, for each class, the pixels rightly "
            "called another, so that it is close to 1 where classes are many",
            "its reductions micro-imagewise and macro-imagewise average over pictures first, which takes a matrix of "
            "each picture",
            _smp,
        ),
        Dialect(
            "paddle",
            "the mean over all classes, one that is in neither map counting as 1 (as 0 in older releases); its Acc is "
            "the right share of the pixels predicted as a class, and its class Acc a precision",
            "its SegFormer configurations for Cityscapes slide a 1024x1024 window by 768",
            _paddle,
        ),
        Dialect(
            "torchmetrics",
            "JaccardIndex(task='multiclass', average='macro'): the mean over the classes that are in the targets or "
            "in the masks, an absent one printed as 0 but left out; the accuracies are MulticlassAccuracy's, whose "
            "macro average counts a class that is only predicted as 0",
            "torchmetrics.segmentation.MeanIoU is another number: it averages over every class of every picture and "
            "knows no ignored pixels, which takes a matrix of each picture",
            _torchmetrics,
        ),
    )
}
"""The tools whose averaging rule can be read off a confusion matrix, by name."""
