"""How well objects of each size are found: IoU by buckets of area.

An object is an 8-connected component of one class in the target. For class c and bucket b,

    IoU(c, b) = intersection / (true pixels + false positives)

where true pixels, and among them the found ones (the intersection), belong to the bucket of the object they lie in. A
false positive lies in no object, so it follows its predicted component (as the mask drew it): to the bucket that
holds most of the component's hits, the smaller of equals; a component without a hit goes to the bucket of its own
area. That is how COCO scores detections by size: a matched one counts at the size of its object, a stray one at its
own. Were false positives filed by predicted size alone, a small object drowned in a large blob would keep an IoU of
1, and one drawn a little too large would lose its surplus to the next bucket. Each pixel is counted once, so that
with one bucket the result is the ordinary IoU.

Ignored pixels belong to no component of either map: they can cut one in two, and what the mask says there changes
nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segformer_cli.metrics.confusion import Counts
from segformer_cli.metrics.scores import Floats, share

COCO_LIMITS = (32**2, 96**2)
"""Small is below the first area, medium below the second, in pixels; COCO's pictures have about 640 x 480."""

Bits = NDArray[np.bool_]


def size_counts(
    target: NDArray[np.integer],
    mask: NDArray[np.integer],
    num_classes: int,
    ignore_index: int,
    limits: tuple[int, ...] = COCO_LIMITS,
) -> Counts:
    """Pixels of each class and bucket, (K, buckets, 3): found (the intersection), true, false positives.

    Sums over pictures stay exact in any order.

    Args:
        target: (H, W) true class ids.
        mask: (H, W) predicted class ids.
        limits: areas in pixels, rising; each begins a bucket, the first bucket begins at 1. None makes one bucket.

    Raises:
        ValueError: the shapes differ, an id is neither a class nor ignored, or `limits` do not rise.

    Source: areas and the treatment of unmatched predictions as in COCO's detection evaluation.

    >>> target, mask = np.array([[1, 1, 0, 0, 0, 1]]), np.array([[1, 1, 1, 0, 1, 0]])
    >>> size_counts(target, mask, num_classes=2, ignore_index=255, limits=(2,))[1].tolist()
    [[0, 1, 1], [2, 2, 1]]
    """
    if target.shape != mask.shape:
        raise ValueError(f"target is {target.shape}, mask is {mask.shape}")
    if list(limits) != sorted({*limits}) or min(limits, default=1) < 1:
        raise ValueError(f"limits are {limits}, they must be areas that rise")
    counted = target != ignore_index
    true, predicted = _Objects(target, counted, num_classes), _Objects(mask, counted, num_classes)
    own_bucket = np.searchsorted(limits, predicted.areas, side="right")
    true_bucket = np.searchsorted(limits, true.areas, side="right")

    B = len(limits) + 1
    hit = np.flatnonzero(counted & (target == mask))
    number = predicted.spread(np.arange(len(predicted.areas)))[hit]
    hits = np.bincount(number * B + true.spread(true_bucket)[hit], minlength=len(predicted.areas) * B).reshape(-1, B)
    found = hits.sum(axis=1)
    bucket = np.where(found > 0, hits.argmax(axis=1), own_bucket)

    counts = np.zeros((num_classes + 1, B, 3), np.int64)
    np.add.at(counts[:, :, 0], predicted.classes, hits)
    np.add.at(counts[:, :, 1], (true.classes, true_bucket), true.areas)
    np.add.at(counts[:, :, 2], (predicted.classes, bucket), predicted.areas - found)
    return counts[:num_classes]


def size_iou(counts: Counts) -> Floats:
    """IoU of each class and bucket (K, buckets) from summed `size_counts`; NaN where there is neither object nor error.

    >>> size_iou(np.array([[[0, 1, 1], [2, 2, 1], [0, 0, 0]]])).round(3)
    array([[0.   , 0.667,   nan]])
    """
    return share(counts[..., 0], counts[..., 1] + counts[..., 2])


class _Objects:
    """The 8-connected components of every class of a map; pixels that are not counted form a class of their own, K.

    Found by joining runs of equal ids along rows, for all classes at once: one pass of cv2 for each class takes ten
    times as long. `classes` and `areas` are those of each component.
    """

    def __init__(self, ids: NDArray[np.integer], counted: Bits, num_classes: int) -> None:
        rows = _as_classes(ids, counted, num_classes)
        starts = np.ones(rows.shape, np.bool_)
        np.not_equal(rows[:, 1:], rows[:, :-1], out=starts[:, 1:])
        first = np.flatnonzero(starts)
        self.lengths = np.diff(first, append=rows.size)
        lower, upper = _links(rows, starts)
        runs = (np.searchsorted(first, pixels, side="right") - 1 for pixels in (lower, upper))
        roots, self.number_of_run = np.unique(_roots(len(first), *runs), return_inverse=True)
        self.classes = rows.ravel()[first[roots]].astype(np.int64)
        self.areas = np.zeros(len(roots), np.int64)
        np.add.at(self.areas, self.number_of_run, self.lengths)

    def spread(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """The value of each component at its pixels, (H * W,)."""
        return np.repeat(values[self.number_of_run], self.lengths)


def _as_classes(ids: NDArray[np.integer], counted: Bits, num_classes: int) -> NDArray[np.integer]:
    """Ids with `num_classes` where they are not counted."""
    kept = np.where(counted, ids, 0)
    if kept.size and not 0 <= int(kept.min()) <= int(kept.max()) < num_classes:
        raise ValueError(f"a map holds ids {kept.min()} to {kept.max()}, classes are 0 to {num_classes - 1}")
    rows: NDArray[np.integer] = np.where(counted, kept, np.array(num_classes, np.min_scalar_type(num_classes)))
    return rows


def _links(rows: NDArray[np.integer], starts: Bits) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels, by flat index, of one row and the row above whose runs touch: every such pair of runs at least once.

    Runs that share a column do so from where the later of them starts. Those that meet only at a corner end and
    start at one column.
    """
    width = rows.shape[1]
    below, above = rows[1:], rows[:-1]
    either = starts[1:] | starts[:-1]
    corner = starts[1:, 1:] & starts[:-1, 1:]
    straight = np.flatnonzero(either & (below == above))
    # Index of the pixel of the upper row left of the corner; (H - 1, W - 1) places to flat ones.
    falling, rising = (
        np.flatnonzero(corner & touch) for touch in (below[:, 1:] == above[:, :-1], below[:, :-1] == above[:, 1:])
    )
    falling, rising = (places + places // (width - 1) for places in (falling, rising))
    lower = np.concatenate([straight + width, falling + width + 1, rising + width])
    upper = np.concatenate([straight, falling, rising + 1])
    return lower, upper


def _roots(count: int, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of `count` things the first one it is linked to, directly or through others, by the links a - b."""
    root = np.arange(count)
    while True:
        ends = root[a], root[b]
        low, high = np.minimum(*ends), np.maximum(*ends)
        apart = low < high
        if not apart.any():
            return root
        a, b = low[apart], high[apart]
        np.minimum.at(root, b, a)
        while (root != (further := root[root])).any():
            root = further
