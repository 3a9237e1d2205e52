"""Counting pixels: the int64 confusion matrix, exact, so that no order, batch or number of processes changes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
"""(K, K) pixels, row = true class, column = predicted class."""


def confusion_matrix(
    target: NDArray[np.integer], mask: NDArray[np.integer], num_classes: int, ignore_index: int
) -> Counts:
    """Pixels of each (true, predicted) pair of classes; pixels whose target is `ignore_index` are left out.

    Raises:
        ValueError: the shapes differ, or an id is neither a class nor ignored.

    >>> target, mask = np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 1]])
    >>> confusion_matrix(target, mask, num_classes=2, ignore_index=255).tolist()
    [[1, 1], [0, 1]]
    """
    if target.shape != mask.shape:
        raise ValueError(f"target is {target.shape}, mask is {mask.shape}")
    counted = target != ignore_index
    true, predicted = target[counted].astype(np.int64), mask[counted].astype(np.int64)
    for name, ids in (("target", true), ("mask", predicted)):
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < num_classes:
            raise ValueError(f"{name} holds ids {ids.min()} to {ids.max()}, classes are 0 to {num_classes - 1}")
    counts = np.bincount(true * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)
