"""Counting pixels: the int64 confusion matrix, exact, so that no order, batch or number of processes changes it."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Counts = NDArray[np.int64]
"""Pixels, row = true class, column = predicted class; in a (K, K + 1) one the last column is "no class"."""

_EXACT = 2**24
"""cv2.calcHist returns float32, which holds every whole number up to here: no more pixels at a time."""
_IN_CACHE = 2**20
"""Wider ids need copies on the way; of this many pixels they stay small."""


def confusion_matrix(
    target: NDArray[np.integer],
    mask: NDArray[np.integer],
    num_classes: int,
    ignore_index: int,
    others: bool = False,
) -> Counts:
    """Pixels of each (true, predicted) pair of classes; pixels whose target is `ignore_index` are left out.

    Args:
        others: a predicted id that is no class is counted instead of refused, and the matrix is (K, K + 1): its
            last column has the pixels of each true class with such an id.

    Raises:
        ValueError: the shapes differ, or an id is neither a class nor ignored.

    >>> target, mask = np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 1]])
    >>> confusion_matrix(target, mask, num_classes=2, ignore_index=255).tolist()
    [[1, 1], [0, 1]]
    >>> confusion_matrix(target, mask + 1, num_classes=2, ignore_index=255, others=True).tolist()
    [[0, 1, 1], [0, 0, 1]]
    """
    _check_pair(target, mask)
    K = num_classes
    true, predicted = target.ravel(), mask.ravel()
    as_stored = true.dtype == predicted.dtype == np.uint8
    narrow = as_stored or K + 2 <= 256
    strip = _EXACT if as_stored else _IN_CACHE
    ignored = ignore_index if as_stored else K + 1
    bins = np.zeros((256, 256) if narrow else (K + 2, K + 1), np.int64)
    for start in range(0, true.size, strip):
        rows, columns = true[start : start + strip], predicted[start : start + strip]
        if not as_stored:
            left_out = rows == ignore_index
            rows, columns = _classes_or_none(rows, K), _classes_or_none(columns, K)
            np.putmask(rows, left_out, ignored)
        bins += _pairs_of_bytes(rows, columns) if narrow else _pairs(rows, columns, K)
    if 0 <= ignored < len(bins):
        bins[ignored] = 0
    return _matrix(bins, K, others, target, mask, ignore_index)


def device_confusion(
    target: Tensor, mask: Tensor, num_classes: int, ignore_index: int, others: bool = False
) -> Counts:
    """The matrix of `confusion_matrix` for maps that lie on a GPU; only the matrix leaves it.

    Args:
        target, mask: of one shape, on one device. On `mps`, which cannot count integers, they come to the CPU.
        others: as there.

    Raises:
        ValueError: as there.
    """
    _check_pair(target, mask)
    if target.device.type == "mps":
        target, mask = target.cpu(), mask.cpu()
    K = num_classes
    true, predicted = target.reshape(-1).long(), mask.reshape(-1).long()
    rows = torch.where((true >= 0) & (true < K), true, K).masked_fill_(true == ignore_index, K + 1)
    columns = torch.where((predicted >= 0) & (predicted < K), predicted, K)
    flat = torch.bincount(rows.mul_(K + 1).add_(columns), minlength=(K + 2) * (K + 1))
    bins: Counts = flat.reshape(K + 2, K + 1).cpu().numpy()
    bins[K + 1] = 0
    return _matrix(bins, K, others, true, predicted, ignore_index)


def _check_pair(target: NDArray[np.integer] | Tensor, mask: NDArray[np.integer] | Tensor) -> None:
    if target.shape != mask.shape:
        raise ValueError(f"target is {tuple(target.shape)}, mask is {tuple(mask.shape)}")
    for name, ids in (("target", target), ("mask", mask)):
        whole = not ids.is_floating_point() if isinstance(ids, Tensor) else ids.dtype.kind in "biu"
        if not whole:
            raise ValueError(f"{name} holds {ids.dtype}, not class ids")


def _classes_or_none(ids: NDArray[np.integer], num_classes: int) -> NDArray[np.integer]:
    """Classes as they are and K for every other id, in the smallest type that holds K + 1."""
    # Read as unsigned, a negative id is a huge one: a single comparison finds both kinds.
    unsigned = ids.view(f"{ids.dtype.byteorder}u{ids.itemsize}")
    limit = min(num_classes, int(np.iinfo(unsigned.dtype).max))
    placed: NDArray[np.integer] = np.minimum(unsigned, limit)
    return placed.astype(np.uint8 if num_classes + 2 <= 256 else np.int64)


def _pairs_of_bytes(rows: NDArray[np.integer], columns: NDArray[np.integer]) -> Counts:
    """How often each pair of 8-bit values occurs, (256, 256): one pass, several times faster than bincount."""
    found = cv2.calcHist([rows, columns], [0, 1], None, [256, 256], [0, 256, 0, 256])
    return found.astype(np.int64)


def _pairs(rows: NDArray[np.integer], columns: NDArray[np.integer], num_classes: int) -> Counts:
    """The same for wider ids as `_classes_or_none` leaves them, (K + 2, K + 1)."""
    codes = rows * (num_classes + 1) + columns
    shape = num_classes + 2, num_classes + 1
    return np.bincount(codes, minlength=shape[0] * shape[1]).reshape(shape)


def _matrix(
    bins: Counts,
    num_classes: int,
    others: bool,
    target: NDArray[np.integer] | Tensor,
    mask: NDArray[np.integer] | Tensor,
    ignore_index: int,
) -> Counts:
    """The matrix inside a larger one, whose further rows and columns stand for ids that are no class."""
    K = num_classes
    counts = np.zeros((K, K + 1), np.int64)
    inside = bins[:K, :K]
    counts[: inside.shape[0], : inside.shape[1]] = inside
    counts[: inside.shape[0], K] = bins[:K, K:].sum(1)
    if bins[K:].any():
        raise _no_classes("target", target[target != ignore_index], K)
    if others:
        return counts
    if counts[:, K].any():
        raise _no_classes("mask", mask[target != ignore_index], K)
    return np.ascontiguousarray(counts[:, :K])


def _no_classes(name: str, ids: NDArray[np.integer] | Tensor, num_classes: int) -> ValueError:
    return ValueError(f"{name} holds ids {ids.min()} to {ids.max()}, classes are 0 to {num_classes - 1}")
