"""Cityscapes' iIoU: as IoU, but each true pixel weighs by how small its instance is beside its class's average.

Counted as whole numbers, an instance a row, and divided only at the end: no order and no number of processes changes
a score. Source: Cordts et al., The Cityscapes Dataset, CVPR 2016, section 4.2, and its cityscapesscripts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import class_set
from segformer_cli.errors import DataError
from segformer_cli.metrics.confusion import Counts
from segformer_cli.metrics.scores import Floats, mean, share

CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "flat": ("road", "sidewalk"),
    "construction": ("building", "wall", "fence"),
    "object": ("pole", "traffic light", "traffic sign"),
    "nature": ("vegetation", "terrain"),
    "sky": ("sky",),
    "human": ("person", "rider"),
    "vehicle": ("car", "truck", "bus", "train", "motorcycle", "bicycle"),
}
"""The seven categories of Cityscapes, for `scores.grouped` too."""


AVERAGE_PIXELS: Mapping[str, float] = {
    "person": 3462.4756337644,
    "rider": 3930.4788056518,
    "car": 12794.0202738185,
    "truck": 27855.1264367816,
    "bus": 35732.1511111111,
    "train": 67583.7075812274,
    "motorcycle": 6298.7200839748,
    "bicycle": 4672.3249222261,
}
"""The average instance of each class that has instances, as the evaluation fixes it."""

_NAMES = class_set("cityscapes").class_names
_IDS_A_LABEL = 1000
_NOT_SCORED, _NO_INSTANCES = -1, -2
_AVERAGE = np.array([AVERAGE_PIXELS.get(name, np.nan) for name in _NAMES])
_MEMBERS = {
    category: [_NAMES.index(name) for name in names]
    for category, names in CATEGORIES.items()
    if set(names) <= set(AVERAGE_PIXELS)
}


def _class_of_label() -> NDArray[np.int64]:
    """The class of each label that has instances, (34,); caravans and trailers have some, and are not scored."""
    table = np.full(34, _NO_INSTANCES)
    table[[29, 30]] = _NOT_SCORED
    for index, label in class_set("cityscapes").file_ids().items():
        if _NAMES[index] in AVERAGE_PIXELS:
            table[label] = index
    return table


def _category_of_class() -> NDArray[np.int64]:
    """Which of `_MEMBERS` each class is in, (20,); -1 for none, as for the last entry, "no class"."""
    table = np.full(len(_NAMES) + 1, -1)
    for number, members in enumerate(_MEMBERS.values()):
        table[members] = number
    return table


_CLASS_OF_LABEL = _class_of_label()
_CATEGORY_OF_CLASS = _category_of_class()


@dataclass(frozen=True, eq=False)
class InstanceCounts:
    """Instances of any number of pictures.

    `rows` is (N, 4), one instance each: its class, its pixels, those predicted as that class, those predicted as
    any class of the same category.
    """

    rows: Counts = field(default_factory=lambda: np.zeros((0, 4), np.int64))

    @classmethod
    def joined(cls, parts: Iterable[InstanceCounts]) -> InstanceCounts:
        """The instances of all parts, copied once however many parts there are."""
        return cls(np.concatenate([cls().rows, *(part.rows for part in parts)]))

    def __add__(self, other: InstanceCounts) -> InstanceCounts:
        return InstanceCounts.joined([self, other])


@dataclass(frozen=True, eq=False)
class InstanceScores:
    """Cityscapes' iIoU; fractions in 0..1. `iou` is (19,), NaN for a class without instances or in neither map."""

    miou: float
    iou: Floats
    category_miou: float
    category_iou: Mapping[str, float]


def instance_counts(instances: NDArray[np.integer], mask: NDArray[np.integer]) -> InstanceCounts:
    """The instances of one picture, and how much of each was found.

    Args:
        instances: the ids of *_gtFine_instanceIds.png, (H, W): label id times 1000 plus a number; those up to 1000
            are label ids of what is no single instance, a group of cars among them, and are left out.
        mask: predicted class ids, 0 to 18; any other is no class. (cityscapesscripts would take a predicted caravan
            or trailer for a vehicle; of the 19 classes neither is one.)

    Raises:
        ValueError: the shapes differ.
        DataError: an instance is of a label that has none: the file is of another encoding.

    A car of three pixels, one of them taken for a bus and one for road:

    >>> instance_counts(np.array([[26001, 26001, 26001, 7]]), np.array([[13, 15, 0, 0]])).rows
    array([[13,  3,  1,  2]])
    """
    if instances.shape != mask.shape:
        raise ValueError(f"instances are {instances.shape}, mask is {mask.shape}")
    inside = instances > _IDS_A_LABEL
    ids, predicted = instances[inside].astype(np.int64), mask[inside]
    labels = ids // _IDS_A_LABEL
    if ids.size and labels.max() >= len(_CLASS_OF_LABEL):
        raise _another_encoding(int(ids.max()))
    own = _CLASS_OF_LABEL[labels]
    if (own == _NO_INSTANCES).any():
        raise _another_encoding(int(ids[own == _NO_INSTANCES][0]))
    is_class = (predicted >= 0) & (predicted < len(_NAMES))
    kind = _CATEGORY_OF_CLASS[np.where(is_class, predicted, len(_NAMES))]
    length = len(_CLASS_OF_LABEL) * _IDS_A_LABEL
    pixels, found, found_kind = (
        np.bincount(ids[chosen], minlength=length)
        for chosen in (own != _NOT_SCORED, predicted == own, kind == _CATEGORY_OF_CLASS[own])
    )
    present = np.flatnonzero(pixels)
    classes = _CLASS_OF_LABEL[present // _IDS_A_LABEL]
    return InstanceCounts(np.stack([classes, pixels[present], found[present], found_kind[present]], axis=1))


def instance_scores(counts: InstanceCounts, confusion: Counts) -> InstanceScores:
    """iIoU of the classes and categories that have instances, equal to the evaluation of cityscapesscripts.

    Args:
        confusion: of the same pictures, 19 rows; pixels falsely taken for a class weigh one each.

    Raises:
        ValueError: the matrix is not of Cityscapes' classes.
    """
    if confusion.shape[0] != len(_NAMES):
        raise ValueError(f"iIoU is of Cityscapes' {len(_NAMES)} classes, the matrix has {confusion.shape[0]}")
    per_class = np.full(len(_NAMES), np.nan)
    per_category = {}
    classes, _, found, found_kind = counts.rows.T
    for category, members in _MEMBERS.items():
        for index in members:
            of_class = classes == index
            per_class[index] = _weighted_iou(counts.rows[of_class], found[of_class], confusion, [index])
        of_category = np.isin(classes, members)
        rows, hits = counts.rows[of_category], found_kind[of_category]
        per_category[category] = _weighted_iou(rows, hits, confusion, members)
    return InstanceScores(mean(per_class), per_class, mean(np.array(list(per_category.values()))), per_category)


def _weighted_iou(rows: Counts, hits: NDArray[np.int64], confusion: Counts, members: list[int]) -> float:
    classes, pixels = rows[:, 0], rows[:, 1]
    weight = _AVERAGE[classes] / pixels
    # fsum: rounded once, whatever the order of the instances.
    found, missed = math.fsum(hits * weight), math.fsum((pixels - hits) * weight)
    taken_for = confusion[:, members].sum(1)
    whole = found + missed + int(taken_for.sum() - taken_for[members].sum())
    return float(share(found, whole))


def _another_encoding(instance: int) -> DataError:
    return DataError(
        f"instance {instance} is of label {instance // _IDS_A_LABEL}, which has no instances",
        hint="iIoU reads the *_gtFine_instanceIds.png of Cityscapes: label id times 1000 plus a number",
    )
