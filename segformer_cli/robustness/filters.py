"""What several corruptions do to pictures and layers: Gaussian blur, correlation, motion, enlargement.

Each equals what the reference takes from scikit-image, OpenCV, SciPy or its own loops, but for the rounding of floats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from cv2.typing import MatLike
from numpy.typing import NDArray

from segformer_cli.images import Picture
from segformer_cli.robustness.source import truncated

Floats = NDArray[np.float32] | NDArray[np.float64]

NEARLY = 1e-4
"""Of a level: no further does float32 stray from a whole level where the picture is flat."""

STRIP = 32
"""Rows at a time, which with all that is made of them stay in a core's cache."""

DIRECT = 130
"""From so many coefficients on, cv2.filter2D works by Fourier transforms; below, it skips those that are 0."""


def gaussian(values: Floats | Picture, sigma: float) -> Floats:
    """Gaussian blur, cut off at 4 `sigma`, the edge replicated: as `skimage.filters.gaussian`.

    Args:
        values: (H, W) or (H, W, 3); float64 is blurred in float64, all else in float32.
    """
    depth = cv2.CV_64F if values.dtype == np.float64 else cv2.CV_32F
    kernel = cv2.getGaussianKernel(2 * int(4 * sigma + 0.5) + 1, sigma, depth)
    blurred = cv2.sepFilter2D(values, depth, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    return blurred.astype(np.float64 if depth == cv2.CV_64F else np.float32, copy=False)


def smoothed(pixels: Picture, sigma: float) -> Picture:
    """The picture after `gaussian`, cut to uint8.

    Where a picture is flat, as an overexposed sky is, the reference's sums fall short of some levels by a rounding
    error, and truncation takes these one down. They go down here too: after a second blur it would be two.
    """
    blurred, losses = gaussian(pixels, sigma), _losses(sigma)
    levels = np.empty_like(pixels)
    for first in range(0, len(levels), STRIP):
        rows = blurred[first : first + STRIP] + np.float32(NEARLY)
        rows -= cv2.LUT(rows.astype(np.uint8), losses)
        levels[first : first + STRIP] = rows
    return levels


@cache
def _losses(sigma: float) -> NDArray[np.float32]:
    """What takes a whole level to the next lower one, for the levels that the reference's blur lowers; else 0."""
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 / sigma**2 * np.arange(-reach, reach + 1) ** 2)
    weights /= weights.sum()
    shares = np.arange(256) / 255.0
    for _ in "rows", "columns":
        # In SciPy's order: the centre, then pairs from the ends of the kernel towards it.
        total = shares * weights[reach]
        for weight in weights[:reach]:
            total += (shares + shares) * weight
        shares = total
    lowered = truncated(shares * 255) < np.arange(256)
    losses: NDArray[np.float32] = np.where(lowered, np.float32(2 * NEARLY), np.float32(0))
    return losses


def correlation(plane: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlation with a kernel that is large and mostly 0, the edge replicated: as `cv2.filter2D`, much faster.

    Args:
        plane: (H, W).
        kernel: square, of odd side; its centre lies on the pixel.
    """
    height, width = plane.shape
    reach = len(kernel) // 2
    padded = cv2.copyMakeBorder(plane, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    total = np.zeros_like(plane)
    for top, left, piece in _pieces(kernel):
        rows, columns = piece.shape
        # filter2D sees no further than the slice, so it gets all that this piece of the kernel reaches.
        reached = padded[top : top + height + rows - 1, left : left + width + columns - 1]
        total += cv2.filter2D(reached, cv2.CV_32F, piece, anchor=(0, 0))[:height, :width]
    return total


def motion_kernel(radius: int, sigma: float, degrees: float, size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """Weights, for `correlation`, of what a pixel sees while it moves in one direction, ever more faintly.

    A one-sided Gaussian of 2 `radius` + 1 steps along a line. Steps as long as the picture are left out, and their
    weight with them: the reference stops there.

    Args:
        degrees: the direction, from columns to rows.
        size_hw: of the picture.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    kernel = np.zeros((2 * len(steps) + 1,) * 2)
    angle = math.radians(degrees)
    for step, weight in zip(steps.tolist(), weights, strict=True):
        row, column = math.ceil(step * math.sin(angle) - 0.5), math.ceil(step * math.cos(angle) - 0.5)
        if abs(row) >= size_hw[0] or abs(column) >= size_hw[1]:
            break
        kernel[len(steps) + row, len(steps) + column] += weight
    return kernel.astype(np.float32)


def central(length: int, factor: float) -> slice:
    """The central part of a side, which `enlarged` by `factor` covers the whole side.

    >>> central(10, 3)
    slice(3, 7, None)
    """
    kept = math.ceil(length / factor)
    start = (length - kept) // 2
    return slice(start, start + kept)


def enlarged(plane: Floats, factor: float) -> Floats:
    """Linear interpolation (H, W) -> (round(H factor), round(W factor)), corner on corner: `scipy.ndimage.zoom`.

    Where float64 puts the last row or column a rounding error beyond the plane, SciPy leaves it 0; so does this.
    """
    lengths = [round(length * factor) for length in plane.shape]
    batch = torch.from_numpy(plane)[None, None]
    values: Floats = F.interpolate(batch, size=lengths, mode="bilinear", align_corners=True)[0, 0].numpy()
    for axis, (before, after) in enumerate(zip(plane.shape, lengths, strict=True)):
        if (after - 1) * ((before - 1) / (after - 1)) > before - 1:
            values.swapaxes(0, axis)[-1] = 0
    return values


def merged(planes: Iterable[MatLike]) -> Picture:
    """Planes of levels 0..255, one a channel, as a picture: cut to uint8 as `truncated` does."""
    return np.asarray(cv2.merge([truncated(np.asarray(plane, np.float32)) for plane in planes]), np.uint8)


def _pieces(kernel: NDArray[np.float32], top: int = 0, left: int = 0) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """What is not 0 of a kernel, in boxes of fewer than `DIRECT` coefficients, each after its top and left."""
    rows, columns = (np.flatnonzero(kernel.any(axis)) for axis in (1, 0))
    if not len(rows):
        return
    box = kernel[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    top, left = top + int(rows[0]), left + int(columns[0])
    height, width = box.shape
    if box.size < DIRECT:
        yield top, left, np.ascontiguousarray(box)
    elif height > width:
        yield from _pieces(box[: height // 2], top, left)
        yield from _pieces(box[height // 2 :], top + height // 2, left)
    else:
        yield from _pieces(box[:, : width // 2], top, left)
        yield from _pieces(box[:, width // 2 :], top, left + width // 2)
