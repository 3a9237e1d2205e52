"""The regions of a class mask as polygons with holes: what every format of polygons is written from."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.errors import UsageError
from segformer_cli.images import Ids
from segformer_cli.outputs.simplifying import thinned
from segformer_cli.outputs.tracing import Rings, Whole, doubled_areas, following_points, previous_points, trace

Share = NDArray[np.float32]
"""(H, W), 0..1."""


@dataclass(frozen=True, eq=False)
class Ring:
    """One closed line, its last point joined to its first, which is not repeated.

    Attributes:
        corners: along the edges of pixels, (N, 2), x before y: pixel (x, y) lies between (x, y) and (x + 1, y + 1).
            For readers that count a pixel as within by its centre: rasterio, shapely, pycocotools.
        inside: through the centres of the class's outermost pixels, (M, 2), pixel (x, y) being the point (x, y).
            For readers that also draw the line itself: OpenCV, Pillow. M is 1 for a single pixel.
    """

    corners: Whole
    inside: Whole


@dataclass(frozen=True, eq=False)
class Region:
    """Pixels of one class that are neighbours by an edge.

    Rings run clockwise as one sees the picture, holes the other way. `pixels` and `confidence`, the mean over them,
    are of the mask, whatever the tolerance of the rings.
    """

    class_id: int
    pixels: int
    outer: Ring
    holes: tuple[Ring, ...] = ()
    confidence: float | None = None


def find_regions(
    mask: Ids,
    ignore_index: int,
    *,
    tolerance: float = 0.0,
    least_pixels: int = 1,
    confidence: Share | None = None,
) -> list[Region]:
    """All regions of a mask, uppermost first but for those that touch themselves.

    Drawn back at tolerance 0 they give the mask again, each pixel of it.

    Args:
        mask: class ids, (H, W); what is `ignore_index` belongs to no region.
        tolerance: how far a border may move, in pixels. Neighbours go on sharing it; a region no larger than that
            goes, and those around it close over it. An islet that a border has passed over lies on its other side.
        least_pixels: smaller regions are left out; where they lay, nothing is.
        confidence: (H, W), for the mean of each region.

    Raises:
        UsageError: the tolerance is no distance.
        ValueError: arrays of other shapes.
    """
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise UsageError(f"a tolerance of {tolerance} pixels is no distance", hint="0 keeps each pixel, 1 is smooth")
    if confidence is not None and confidence.shape != mask.shape:
        raise ValueError(f"confidence is {confidence.shape}, the mask {mask.shape}")
    rings = trace(mask, ignore_index)
    means = None if confidence is None else _means(rings, confidence)
    drawn = _drawn(rings, thinned(rings, tolerance) if tolerance else np.ones(len(rings.corners), bool))
    holes = defaultdict(list)
    for number, outer in enumerate(rings.outer.tolist()):
        if number != outer and number in drawn and outer in drawn and _lies_in(drawn[number], drawn[outer], tolerance):
            holes[outer].append(drawn[number])
    pixels = np.bincount(rings.outer, rings.areas, len(rings.outer)).astype(np.int64)
    return [
        Region(
            int(rings.class_ids[number]),
            int(pixels[number]),
            ring,
            tuple(holes[number]),
            None if means is None else float(means[number]),
        )
        for number, ring in drawn.items()
        if rings.outer[number] == number and pixels[number] >= least_pixels
    ]


def _drawn(rings: Rings, kept: NDArray[np.bool_]) -> dict[int, Ring]:
    """The rings of which something is left, by number: three points or more, and the same way round as before."""
    lengths = np.add.reduceat(kept, rings.first[:-1], dtype=np.int64) if len(rings.areas) else rings.areas
    first = np.concatenate([[0], np.cumsum(lengths)])
    corners, inside = rings.corners[kept], rings.inside[kept]
    areas = doubled_areas(corners, first)
    outlines, outline_first = _without_needless(corners, first)
    paths, path_first = _without_needless(inside, first)
    left = np.flatnonzero((np.sign(areas) == np.sign(rings.areas)) & (np.diff(outline_first) >= 3))
    return {
        number: Ring(
            outlines[outline_first[number] : outline_first[number + 1]],
            paths[path_first[number] : path_first[number + 1]],
        )
        for number in left.tolist()
    }


def _without_needless(points: Whole, first: Whole) -> tuple[Whole, Whole]:
    """The rings without points that repeat the one before, or lie straight between their neighbours."""
    before = previous_points(first)
    needed = (points != points[before]).any(axis=1)
    needed[first[:-1]] |= np.logical_or.reduceat(needed, first[:-1]) == 0 if len(first) > 1 else False
    points, first = points[needed], np.concatenate([[0], np.cumsum(needed)])[first]
    came, goes = points - points[previous_points(first)], points[following_points(first)] - points
    straight = (came[:, 0] * goes[:, 1] == came[:, 1] * goes[:, 0]) & ((came * goes).sum(axis=1) > 0)
    return points[~straight], np.concatenate([[0], np.cumsum(~straight)])[first]


def _lies_in(hole: Ring, outer: Ring, tolerance: float) -> bool:
    """A border that moved may have left a thin hole on its other side."""
    if not tolerance:
        return True
    contour = outer.corners.astype(np.float32)[:, None]
    sides = (cv2.pointPolygonTest(contour, (float(x), float(y)), False) for x, y in hole.corners)
    return next((side > 0 for side in sides if side), True)


def _means(rings: Rings, values: Share) -> NDArray[np.float64]:
    """The mean of values (H, W) over the region of each ring, (R,): sums to the left of its borders, taken off."""
    sums = cv2.integral(np.ascontiguousarray(values, np.float32), sdepth=cv2.CV_64F)
    x, y = rings.corners.T
    y_after = y[following_points(rings.first)]
    strips = sums[y_after, x] - sums[y, x]
    totals = np.add.reduceat(strips, rings.first[:-1]) if len(rings.areas) else np.zeros(0)
    of_region = np.bincount(rings.outer, totals, len(totals))
    pixels = np.bincount(rings.outer, rings.areas, len(totals))
    return of_region / np.maximum(pixels, 1)
