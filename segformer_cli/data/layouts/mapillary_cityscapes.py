"""Mapillary Vistas in the 19 classes of Cityscapes, to train on before Cityscapes.

The groups are those that SegFormer's authors trained with (their remap of the ids of v1.2). Theirs was carried out one
class after the other in place, so that what had become `wall` was taken for `fence` in the next step, and no pixel was
`wall` in the end (NVlabs/SegFormer#18). Here each id is looked up once.
"""

from __future__ import annotations

import numpy as np

from segformer_cli.classes import class_set
from segformer_cli.data.layouts import mapillary
from segformer_cli.data.layouts.pairing import split_of
from segformer_cli.data.pairs import UNKNOWN, Split
from segformer_cli.errors import DataError
from segformer_cli.places import Place

NAME = "mapillary-cityscapes"
NEEDS = mapillary.NEEDS
SOURCE = mapillary.SOURCE
GROUPS = {
    "road": ("Road", "Lane Marking - General", "Manhole"),
    "sidewalk": ("Sidewalk", "Curb"),
    "building": ("Building",),
    "wall": ("Wall",),
    "fence": ("Fence",),
    "pole": ("Pole", "Utility Pole"),
    "traffic light": ("Traffic Light",),
    "traffic sign": ("Traffic Sign (Front)",),
    "vegetation": ("Vegetation",),
    "terrain": ("Terrain",),
    "sky": ("Sky",),
    "person": ("Person",),
    "rider": ("Bicyclist", "Motorcyclist", "Other Rider"),
    "car": ("Car",),
    "truck": ("Truck",),
    "bus": ("Bus",),
    "train": ("On Rails",),
    "motorcycle": ("Motorcycle",),
    "bicycle": ("Bicycle",),
}
"""For each class of Cityscapes the labels of v1.2 that it takes; all others are ignored."""


def recognises(root: Place) -> bool:
    """Never: without a name, Mapillary Vistas keeps its own classes."""
    return False


def split_names(root: Place) -> list[str]:
    """The splits that lie there, as they are called everywhere: train, val, test."""
    return mapillary.split_names(root)


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split, in the classes of Cityscapes; test has no labels.

    Raises:
        DataError: pictures lack masks, or the labels are not those of v1.2.
    """
    classes = class_set("cityscapes")
    version = mapillary.versions_at(root)[0]
    names = mapillary.labels_of(root, version).names
    absent = [name for group in GROUPS.values() for name in group if name not in names]
    if absent:
        raise DataError(
            f"the labels of {version} do not have {', '.join(absent[:3])}, which the classes of Cityscapes are made of",
            where=str(root),
            hint="the labels of v1.2 are needed; they lie in the zip of version 2.0 too",
        )
    ids = np.full(256, UNKNOWN, np.int32)
    ids[: len(names)] = classes.ignore_index
    for index, name in enumerate(classes.class_names):
        ids[[names.index(member) for member in GROUPS[name]]] = index
    return split_of(classes, NAME, root, split, ids, mapillary.pairs_of(root, split, version))
