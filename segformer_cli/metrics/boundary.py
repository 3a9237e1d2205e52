"""How well outlines are drawn: Boundary IoU, and the confusion matrix of the pixels near a boundary.

A pixel is near a boundary when a pixel of another class lies within `width` rows and columns of it (squares, as the
erosions of the reference make them). Ignored pixels have no class, so they make no boundary, in either map; one that
runs along a thin ignored strip is seen across it. What the mask says on ignored pixels changes nothing.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.metrics.confusion import Counts, confusion_matrix
from segformer_cli.metrics.scores import Floats, share

WIDTH_SHARE = 0.02
"""Of the picture's diagonal, as in the paper; 0.005 is what its authors take for pictures of Cityscapes' size."""

Bits = NDArray[np.bool_]


def band_width(size_hw: tuple[int, int], width_share: float = WIDTH_SHARE) -> int:
    """Pixels that a share of the picture's diagonal comes to, at least 1.

    Raises:
        ValueError: `width_share` is not a positive number.

    >>> band_width((1024, 2048)), band_width((1024, 2048), 0.005)
    (46, 11)
    """
    if not 0 < width_share < math.inf:
        raise ValueError(f"width_share is {width_share}, which is no positive share of the diagonal")
    return max(1, round(width_share * math.hypot(*size_hw)))


def boundary_counts(
    target: NDArray[np.integer], mask: NDArray[np.integer], num_classes: int, ignore_index: int, width: int
) -> Counts:
    """Pixels of each class near its outline, (K, 2): in the bands of both maps, in the band of either.

    The band of a class is its pixels within `width` pixels of its outline. The picture's edge counts as an outline,
    as in the reference implementation. Rows can be summed over pictures.

    Args:
        target: (H, W) true class ids; its ignored pixels are in neither band.
        mask: (H, W) predicted class ids.
        width: of the bands, in pixels, see `band_width`.

    Raises:
        ValueError: the shapes differ, `width` is below 1, or an id is neither a class nor ignored.

    Source: Cheng et al., Boundary IoU, CVPR 2021, equation 2; equal to its published code where nothing is ignored.

    >>> target, mask = np.zeros((5, 5), np.uint8), np.zeros((5, 5), np.uint8)
    >>> mask[4] = 1
    >>> boundary_counts(target, mask, num_classes=2, ignore_index=255, width=1).tolist()
    [[11, 19], [0, 5]]
    """
    if target.shape != mask.shape:
        raise ValueError(f"target is {target.shape}, mask is {mask.shape}")
    counted = target != ignore_index
    true, predicted = _counted_ids(target, counted, num_classes), _counted_ids(mask, counted, num_classes)
    margin = _margin(target.shape, width)
    true_band = counted & (margin | _mixed(true, counted, width))
    predicted_band = counted & (margin | _mixed(predicted, counted, width))
    both = true_band & predicted_band & (true == predicted)
    shared, of_true, of_predicted = (
        np.bincount(ids, minlength=num_classes) for ids in (true[both], true[true_band], predicted[predicted_band])
    )
    return np.stack([shared, of_true + of_predicted - shared], axis=1)


def boundary_iou(counts: Counts) -> Floats:
    """Boundary IoU of each class from summed `boundary_counts`; NaN for a class without an outline in either map.

    >>> boundary_iou(np.array([[11, 19], [0, 5], [0, 0]])).round(3)
    array([0.579, 0. , nan])
    """
    both, either = counts.T
    return share(both, either)


def near_boundary(target: NDArray[np.integer], ignore_index: int, width: int) -> Bits:
    """Where in the target a pixel of another class lies within `width` rows and columns; never at ignored pixels.

    The picture's edge makes no boundary here: no two classes meet there.

    Raises:
        ValueError: `width` is below 1.

    >>> near_boundary(np.array([[0, 0, 0, 1, 1, 255, 255]], np.uint8), ignore_index=255, width=1).astype(int)
    array([[0, 0, 1, 1, 0, 0, 0]])
    """
    counted = target != ignore_index
    near: Bits = counted & _mixed(_counted_ids(target, counted), counted, width)
    return near


def trimap_matrix(
    target: NDArray[np.integer], mask: NDArray[np.integer], num_classes: int, ignore_index: int, width: int
) -> Counts:
    """The confusion matrix (K, K) of the pixels near a boundary of the target; its IoU is the trimap IoU.

    Args:
        width: how far from a boundary pixels are counted, in pixels.

    Raises:
        ValueError: as `confusion_matrix` and `near_boundary` raise it.

    Source: Kohli et al., Robust Higher Order Potentials for Enforcing Label Consistency, IJCV 2009.
    """
    away = ~near_boundary(target, ignore_index, width)
    return confusion_matrix(np.where(away, ignore_index, target), mask, num_classes, ignore_index)


def _mixed(ids: NDArray[np.integer], counted: Bits, width: int) -> Bits:
    """Where the square of 2 `width` + 1 pixels around a pixel, cut at the picture's edge, holds two classes.

    It does where its lowest and highest id differ: one pass serves all classes.

    Args:
        ids: of `_counted_ids`; 0 where not counted, which raises no highest id.
    """
    if width < 1:
        raise ValueError(f"width is {width}, a boundary is at least 1 pixel wide")
    # No square needs to be larger than the picture.
    side = 2 * min(width, max(ids.shape)) + 1
    square = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    lowest = cv2.erode(np.where(counted, ids, np.iinfo(ids.dtype).max), square)
    highest = cv2.dilate(ids, square)
    return np.asarray(lowest < highest)


def _margin(size_hw: tuple[int, ...], width: int) -> Bits:
    """The pixels within `width` of the picture's edge."""
    margin = np.ones(size_hw, np.bool_)
    margin[width:-width, width:-width] = False
    return margin


def _counted_ids(ids: NDArray[np.integer], counted: Bits, num_classes: int = 65536) -> NDArray[np.integer]:
    """Ids in a type that cv2 takes, 0 where they are not counted."""
    kept = np.where(counted, ids, 0)
    low, high = (int(kept.min()), int(kept.max())) if kept.size else (0, 0)
    if not 0 <= low <= high < num_classes:
        raise ValueError(f"a map holds ids {low} to {high}, classes are 0 to {num_classes - 1}")
    return kept.astype(np.uint8 if high < 256 else np.uint16, copy=False)
