"""The drawing sheet: an image and its labels, filled by the same polygons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

SUPERSAMPLING = 2
SUBPIXEL_BITS = 4
PICTURE_WIDTH = 2.0
"""The picture is 1 high and 2 wide, whatever its pixels; other shapes are stretched."""


class Label(IntEnum):
    """The Cityscapes labelIds that are drawn."""

    ROAD = 7
    SIDEWALK = 8
    BUILDING = 11
    WALL = 12
    FENCE = 13
    POLE = 17
    TRAFFIC_LIGHT = 19
    TRAFFIC_SIGN = 20
    VEGETATION = 21
    TERRAIN = 22
    SKY = 23
    PERSON = 24
    RIDER = 25
    CAR = 26
    BUS = 28
    BICYCLE = 33


class Canvas:
    """An image and its labels, both drawn at twice the size and without antialiasing.

    Halving the image smooths its edges, and every operation on the way is exact in integers:
    the same picture on every machine.
    """

    def __init__(self, size_hw: tuple[int, int]) -> None:
        height, width = (side * SUPERSAMPLING for side in size_hw)
        self.size_hw = size_hw
        self.image: Pixels = np.zeros((height, width, 3), np.uint8)
        self.labels: Pixels = np.full((height, width), int(Label.SKY), np.uint8)
        self._scale = np.array([width / PICTURE_WIDTH, float(height)])

    def fill(self, outlines: Points, colour: Colour | None, label: Label | None) -> None:
        """Fills one outline (N, 2) or many (M, N, 2); no colour or no label leaves that layer as it is."""
        shapes = list(to_subpixels(outlines, self._scale).reshape(-1, *outlines.shape[-2:]))
        if colour is not None:
            cv2.fillPoly(self.image, shapes, colour, cv2.LINE_8, SUBPIXEL_BITS)
        if label is not None:
            cv2.fillPoly(self.labels, shapes, (int(label),), cv2.LINE_8, SUBPIXEL_BITS)

    def fill_each(
        self,
        points: Points,
        corners: Sequence[int],
        colours: Sequence[Colour | None],
        labels: Sequence[Label | None],
    ) -> None:
        """Fills outlines that lie one after the other in points (P, 2), each with its number of corners."""
        pixels, start = to_subpixels(points, self._scale), 0
        for count, colour, label in zip(corners, colours, labels, strict=True):
            shape = [pixels[start : start + count]]
            start += count
            if colour is not None:
                cv2.fillPoly(self.image, shape, colour, cv2.LINE_8, SUBPIXEL_BITS)
            if label is not None:
                cv2.fillPoly(self.labels, shape, (int(label),), cv2.LINE_8, SUBPIXEL_BITS)

    def finished(self) -> tuple[Pixels, Pixels]:
        """Image (H, W, 3) and labels (H, W) at the size asked for."""
        height, width = self.size_hw
        image = cv2.resize(self.image, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(image, np.uint8), self.labels[::SUPERSAMPLING, ::SUPERSAMPLING].copy()


def to_subpixels(points: Points, scale: Points) -> npt.NDArray[np.int32]:
    """Picture coordinates as OpenCV's fixed-point pixels, kept within what it can draw."""
    pixels = points * (scale * (1 << SUBPIXEL_BITS))
    pixels -= (1 << SUBPIXEL_BITS) / 2
    np.rint(pixels, out=pixels)
    return np.minimum(np.maximum(pixels, -400_000), 400_000).astype(np.int32)


def ellipse(x: float, y: float, radius_x: float, radius_y: float, corners: int = 16) -> Points:
    """The outline (corners, 2) of an ellipse, clockwise from its right end."""
    outline: Points = unit_circle(corners) * np.array([radius_x, radius_y]) + np.array([x, y])
    return outline


@cache
def unit_circle(corners: int) -> Points:
    """The outline (corners, 2) of a circle of radius 1."""
    angles = [2 * math.pi * k / corners for k in range(corners)]
    return np.array([(math.cos(a), -math.sin(a)) for a in angles])


def box(left: float, bottom: float, right: float, top: float) -> Points:
    """The outline (4, 2) of an upright rectangle, clockwise from its lower left corner."""
    return np.array([(left, bottom), (left, top), (right, top), (right, bottom)])


def limb(start: tuple[float, float], end: tuple[float, float], wide: float, narrow: float) -> Points:
    """The outline (4, 2) of a bar from start to end, `wide` thick at the start and `narrow` at the end."""
    (x0, y0), (x1, y1) = start, end
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    nx, ny = (y1 - y0) / length / 2, (x0 - x1) / length / 2
    return np.array([
        (x0 + nx * wide, y0 + ny * wide), (x0 - nx * wide, y0 - ny * wide),
        (x1 - nx * narrow, y1 - ny * narrow), (x1 + nx * narrow, y1 + ny * narrow),
    ])


def noise_field(rng: np.random.Generator, size_hw: tuple[int, int], grids: tuple[int, ...]) -> Pixels:
    """Smooth random grey (H, W) around 128: each grid of that many rows adds half the one before."""
    height, width = size_hw
    total = np.zeros(size_hw, np.uint16)
    for octave, rows in enumerate(grids):
        grid = rng.integers(0, 256, (rows, 2 * rows), dtype=np.uint8)
        layer = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
        total += layer.astype(np.uint16) >> (octave + 1)
    return np.minimum(total + (128 >> len(grids)), 255).astype(np.uint8)
