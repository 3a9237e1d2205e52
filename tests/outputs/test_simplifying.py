"""Borders with fewer points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from segformer_cli.outputs.simplifying import thinned
from segformer_cli.outputs.tracing import trace
from tests.outputs.readers import IGNORE, any_mask, blots


def distance(point: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]) -> float:
    along, to = (end - start).astype(float), (point - start).astype(float)
    share = np.clip(to @ along / max(along @ along, 1e-9), 0, 1)
    return float(np.hypot(*(to - share * along)))


@given(any_mask)
@settings(max_examples=80, deadline=None)
def test_no_point_that_goes_lies_further_from_its_line_than_the_tolerance(mask: NDArray[np.uint8]) -> None:
    rings = trace(mask, IGNORE)
    for tolerance in (0.8, 2.0):
        kept = thinned(rings, tolerance)
        for first, end in zip(rings.first[:-1], rings.first[1:], strict=True):
            corners = rings.corners[first:end]
            stays = np.flatnonzero(kept[first:end])
            assert len(stays)
            for one, other in zip(stays, [*stays[1:], stays[0] + len(corners)], strict=True):
                for at in range(one + 1, other):
                    point = corners[at % len(corners)]
                    assert distance(point, corners[one], corners[other % len(corners)]) <= tolerance + 1e-9


def test_nodes_and_corners_of_the_picture_stay() -> None:
    rings = trace(blots(0, 3), IGNORE)
    assert thinned(rings, 50)[rings.nodes].all()


@pytest.mark.parametrize("size", [1.5, 4])
@pytest.mark.parametrize("tolerance", [1.0, 3.0, 8.0])
def test_both_sides_of_a_border_keep_the_same_points_and_no_two_borders_cross(size: float, tolerance: float) -> None:
    mask = blots(1, size)
    mask[mask == IGNORE] = 5                       # so that each border within the picture has two sides
    rings = trace(mask, IGNORE)
    kept = thinned(rings, tolerance)
    of_ring = np.repeat(np.arange(len(rings.areas)), np.diff(rings.first))[kept]
    corners = rings.corners[kept]
    lines: dict[tuple[tuple[int, ...], ...], int] = {}
    for ring in range(len(rings.areas)):
        points = [tuple(point) for point in corners[of_ring == ring].tolist()]
        for start, end in zip(points, [*points[1:], points[0]], strict=True):
            if start != end:
                lines[start, end] = lines.get((start, end), 0) + 1
    height, width = mask.shape
    for start, end in lines:
        on_frame = (start[0] == end[0] and start[0] in (0, width)) or (start[1] == end[1] and start[1] in (0, height))
        assert on_frame or (end, start) in lines
    shapely = pytest.importorskip("shapely")
    drawn = [shapely.LineString(line) for line in {tuple(sorted(line)) for line in lines}]
    tree = shapely.STRtree(drawn)
    one, other = tree.query(drawn, predicate="crosses")
    assert len(one) == 0, [(drawn[a].wkt, drawn[b].wkt) for a, b in zip(one[:3], other[:3], strict=True)]
