"""Scores of a confusion matrix. A class in neither map has no score: NaN, left out of every mean.

A matrix is (K, K), or (K, K + 1) with a last column for predictions that are no class: it lowers the scores of the
true classes and has none itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segformer_cli.metrics.confusion import Counts

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """What is read off a confusion matrix; fractions in 0..1, NaN where undefined. Arrays are (K,)."""

    miou: float
    macc: float
    aacc: float
    fwiou: float
    mdice: float
    iou: Floats
    acc: Floats
    dice: Floats
    precision: Floats
    pixels: NDArray[np.int64]


def iou(confusion: Counts) -> Floats:
    """Intersection over union of each class; NaN for a class in neither map.

    >>> iou(np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]]))
    array([0.5, 0. , nan])

    The last column of a (K, K + 1) matrix: one of four pixels of class 0 was given no class.

    >>> iou(np.array([[3, 0, 1], [0, 4, 0]]))
    array([0.75, 1.  ])
    """
    hits = np.diag(confusion)
    return share(hits, confusion.sum(1) + _predicted(confusion) - hits)


def accuracy(confusion: Counts) -> Floats:
    """The share of each class's true pixels that were found (recall); NaN for a class without true pixels.

    >>> accuracy(np.array([[3, 0, 1], [2, 2, 0]]))
    array([0.75, 0.5 ])
    """
    return share(np.diag(confusion), confusion.sum(1))


def precision(confusion: Counts) -> Floats:
    """The share of each class's predicted pixels that are right; NaN for a class never predicted.

    >>> precision(np.array([[3, 0], [1, 0]]))
    array([0.75,  nan])
    """
    return share(np.diag(confusion), _predicted(confusion))


def dice(confusion: Counts) -> Floats:
    """Twice the intersection over the sum of both areas (F1) of each class; NaN for a class in neither map.

    >>> dice(np.array([[3, 1, 0], [1, 1, 0], [0, 0, 0]]))
    array([0.75, 0.5 ,  nan])
    """
    return share(2 * np.diag(confusion), confusion.sum(1) + _predicted(confusion))


def scores(confusion: Counts, num_classes: int | None = None) -> Scores:
    """Every score of a confusion matrix.

    Args:
        num_classes: only so many classes, the first, are scored; what is left, as of `grouped`, still counts
            where it was taken for one of them. None: all.

    Source: spec 3.5; means are over the classes that have the score, as in the released evaluation. `fwiou` weighs
    each IoU by the class's share of the true pixels (Long et al., FCN, CVPR 2015).

    >>> found = scores(np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]]))
    >>> [round(value, 4) for value in (found.miou, found.macc, found.aacc, found.fwiou, found.mdice)]
    [0.5833, 0.75, 0.75, 0.6111, 0.7333]
    """
    K = confusion.shape[0] if num_classes is None else num_classes
    pixels = confusion.sum(1)[:K]
    total = pixels.sum()
    per_iou, per_acc, per_dice = iou(confusion)[:K], accuracy(confusion)[:K], dice(confusion)[:K]
    present = pixels > 0
    return Scores(
        miou=mean(per_iou),
        macc=mean(per_acc),
        aacc=float(share(np.trace(confusion[:K, :K]), total)),
        fwiou=float(share(pixels[present] @ per_iou[present], total)),
        mdice=mean(per_dice),
        iou=per_iou,
        acc=per_acc,
        dice=per_dice,
        precision=precision(confusion)[:K],
        pixels=pixels,
    )


def grouped(confusion: Counts, groups: Sequence[Sequence[int]]) -> Counts:
    """The matrix of merged classes, (G + 1, G + 1): a pixel is right where any class of its group was predicted.

    The last row and column are "in no group": true pixels of other classes, which still count against a group they
    were taken for; pixels predicted as another class or as none. Read it with `scores(..., len(groups))`; then each
    IoU is that of cityscapesscripts' categories.

    Args:
        groups: the class ids of each.

    Raises:
        ValueError: a group is empty, an id is no class, or a class is in two groups.

    >>> confusion = np.array([[5, 1, 0, 0], [2, 4, 0, 1], [0, 0, 8, 0], [1, 0, 2, 9]])
    >>> grouped(confusion, [[0, 1], [2]])
    array([[12,  0,  1], [ 0,  8,  0], [ 1,  2,  9]])
    >>> scores(grouped(confusion, [[0, 1], [2]]), 2).iou.round(4)
    array([0.8571, 0.8   ])
    """
    K = confusion.shape[0]
    ids = [index for group in groups for index in group]
    if not all(groups) or len(set(ids)) < len(ids) or not all(0 <= index < K for index in ids):
        raise ValueError(f"groups {[list(group) for group in groups]} do not part the classes 0 to {K - 1}")
    group_of = np.full(confusion.shape[1], len(groups))
    for number, group in enumerate(groups):
        group_of[list(group)] = number
    member = np.equal.outer(group_of, np.arange(len(groups) + 1)).astype(np.int64)
    merged: Counts = member[:K].T @ confusion @ member
    return merged


def share(part: ArrayLike, whole: ArrayLike) -> Floats:
    """What share of each whole its part is; NaN where the whole is 0.

    Args:
        part, whole: numbers from 0 on, of one shape.

    >>> share(np.array([1, 0]), np.array([4, 0]))
    array([0.25,  nan])
    """
    wholes = np.asarray(whole)
    shares: Floats = np.divide(part, wholes, out=np.full(wholes.shape, np.nan), where=wholes > 0)
    return shares


def means(values: Floats) -> Floats:
    """The means along the last axis of the values that are defined; NaN where none is.

    >>> means(np.array([[0.25, np.nan, 0.75], [np.nan, np.nan, np.nan]]))
    array([0.5, nan])
    """
    return share(np.nansum(values, axis=-1), np.count_nonzero(~np.isnan(values), axis=-1))


def mean(values: Floats) -> float:
    """The mean of the values (n,) that are defined; NaN where none is.

    >>> mean(np.array([0.25, np.nan, 0.75]))
    0.5
    """
    return float(means(values))


def _predicted(confusion: Counts) -> NDArray[np.int64]:
    """Pixels predicted as each class, (K,): without the column of those that are no class."""
    predicted: NDArray[np.int64] = confusion.sum(0)[: confusion.shape[0]]
    return predicted
