"""Masks to write, and readers of what was written that share no code with the writers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import hypothesis.extra.numpy as arrays
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from segformer_cli.classes import default_palette
from segformer_cli.data.sample import draw_scene

IGNORE = 255
NAMES = [f"class {index}" for index in range(34)]
PALETTE = default_palette(34)


def _nested() -> NDArray[np.uint8]:
    """A hole with an island, in which there is a hole with an island; beside them what touches by corners alone."""
    mask = np.zeros((15, 24), np.uint8)
    for inset, class_id in ((1, 1), (3, 0), (5, 1), (6, 2)):
        mask[inset : 15 - inset, inset : 15 - inset] = class_id
    mask[2:12, 16:23] = 3
    mask[3:5, 17:19], mask[5:7, 19:21], mask[11, 22], mask[8, 17], mask[8, 19] = 0, 0, IGNORE, 1, 1
    return mask


MASKS: dict[str, NDArray[np.uint8]] = {
    "a street": draw_scene(4, (128, 256))[1],
    "another street": draw_scene(7, (192, 320))[1],
    "nested rings": _nested(),
    "noise": np.random.default_rng(0).integers(0, 3, (40, 56)).astype(np.uint8),
    "one pixel": np.array([[5]], np.uint8),
    "nothing": np.full((3, 4), IGNORE, np.uint8),
    "a line": np.array([[IGNORE, 2, 2, 2, IGNORE]], np.uint8),
}

any_mask = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2, IGNORE])
)


def blots(seed: int, size: float) -> NDArray[np.uint8]:
    """Five classes in blots of about that size, with specks that are ignored."""
    generator = np.random.default_rng(seed)
    heights = [cv2.GaussianBlur(generator.standard_normal((120, 160)), (0, 0), size) for _ in range(5)]
    mask = np.stack(heights).argmax(0).astype(np.uint8)
    mask[generator.random(mask.shape) < 0.01] = IGNORE
    return mask


def even_odd(points: Sequence[Sequence[float]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels whose centres have an odd number of the polygon's edges to their left."""
    within = np.zeros(shape, bool)
    closed = [*points, points[0]]
    for (x0, y0), (x1, y1) in pairwise(closed):
        low, high = sorted((y0, y1))
        rows = np.arange(max(0, int(np.ceil(low - 0.5))), min(shape[0], int(np.ceil(high - 0.5))))
        for row, x in zip(rows, x0 + (rows + 0.5 - y0) / ((y1 - y0) or 1) * (x1 - x0), strict=True):
            within[row, max(0, int(np.ceil(x - 0.5))) :] ^= True
    return within


def unpacked(text: str) -> list[int]:
    """COCO's compressed run lengths as a list, one sign after the other."""
    runs: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            sign = ord(text[at]) - 48
            value |= (sign & 31) << shift
            shift, at, more = shift + 5, at + 1, bool(sign & 32)
        if sign & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def of_runs(segmentation: dict[str, Any]) -> NDArray[np.bool_]:
    """The pixels of COCO's run lengths."""
    height, width = segmentation["size"]
    runs = unpacked(segmentation["counts"])
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def agreement(read: NDArray[np.uint8], mask: NDArray[np.uint8]) -> float:
    """The share of pixels that are what they were."""
    return float((read == mask).mean())
