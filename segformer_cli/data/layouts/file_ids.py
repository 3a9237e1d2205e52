"""What the ids in mask files mean where several published data sets agree on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import class_set, ignore_index_for
from segformer_cli.data.pairs import UNKNOWN, mapped_ids


def counted_from_one(num_classes: int) -> NDArray[np.int32]:
    """The id table of masks in which 1 is the first class and 0 is ignored, as is 255.

    >>> counted_from_one(3)[[0, 1, 3, 4, 255]].tolist()
    [255, 0, 2, -1, 255]
    """
    ids = np.full(256, UNKNOWN, np.int32)
    ids[1 : num_classes + 1] = np.arange(num_classes)
    ids[[0, 255]] = ignore_index_for(num_classes)
    return ids


def cityscapes_label_ids() -> NDArray[np.int32]:
    """The id table of masks in the 34 ids of Cityscapes, which other street scenes are labelled in too."""
    classes = class_set("cityscapes")
    ids = mapped_ids(classes)
    ids[255] = classes.ignore_index             # the licence plate, whose id is -1, in 8-bit files
    return ids
