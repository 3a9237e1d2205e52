"""Polygons of masks: exact, valid, and simple where asked for."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from rasterio.features import rasterize

from segformer_cli.data.sample import draw_scene
from segformer_cli.errors import UsageError
from segformer_cli.outputs.regions import Region, find_regions
from tests.outputs.readers import IGNORE, MASKS, agreement, any_mask, blots


def drawn(regions: list[Region], shape: tuple[int, int]) -> NDArray[np.uint8]:
    shapes = []
    for region in regions:
        rings = [[*ring.corners.tolist(), ring.corners[0].tolist()] for ring in (region.outer, *region.holes)]
        shapes.append(({"type": "Polygon", "coordinates": rings}, region.class_id))
    return rasterize(shapes, shape, fill=IGNORE, dtype="uint8") if shapes else np.full(shape, IGNORE, np.uint8)


def area(regions: list[Region]) -> float:
    """By the shoelace formula, holes off."""
    total = 0.0
    for ring in (ring for region in regions for ring in (region.outer, *region.holes)):
        x, y = ring.corners.T
        total += float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    return total


@pytest.mark.parametrize("name", MASKS)
def test_drawn_back_each_pixel_is_what_it_was(name: str) -> None:
    mask = MASKS[name]
    regions = find_regions(mask, IGNORE)
    assert agreement(drawn(regions, mask.shape), mask) == 1
    assert sum(region.pixels for region in regions) == (mask != IGNORE).sum()


@given(any_mask)
@settings(max_examples=100, deadline=None)
def test_any_mask_drawn_back_is_itself(mask: NDArray[np.uint8]) -> None:
    assert (drawn(find_regions(mask, IGNORE), mask.shape) == mask).all()


def test_a_straight_border_has_no_points_between_its_ends() -> None:
    # Three regions meet in the middle of the left one's straight side.
    left, *_ = find_regions(np.array([[0, 1], [0, 2]], np.uint8), IGNORE)
    assert left.outer.corners.tolist() == [[0, 0], [1, 0], [1, 2], [0, 2]]
    assert left.outer.inside.tolist() == [[0, 0], [0, 1]]


def test_a_staircase_becomes_a_slope_and_both_sides_share_it() -> None:
    mask = (np.arange(16)[:, None] > np.arange(16)).astype(np.uint8)
    above, below = find_regions(mask, IGNORE, tolerance=1)
    assert len(above.outer.corners) <= 6
    one, other = ({tuple(point) for point in region.outer.corners.tolist()} for region in (above, below))
    shared = one & other
    assert shared == {(0, 1), (15, 16)}
    assert area([above, below]) == 256


@pytest.mark.parametrize("tolerance", [0.5, 1, 2, 5])
def test_no_gap_opens_between_simple_borders_and_nothing_overlaps(tolerance: float) -> None:
    for name in ("a street", "another street", "noise"):
        mask = MASKS[name]
        regions = find_regions(mask, IGNORE, tolerance=tolerance)
        assert area(regions) == mask.size
        assert (drawn(regions, mask.shape) != IGNORE).all()


@given(any_mask)
@settings(max_examples=100, deadline=None)
def test_simple_borders_never_move_further_than_the_tolerance(mask: NDArray[np.uint8]) -> None:
    tolerance = 1.5
    for region in find_regions(mask, IGNORE, tolerance=tolerance):
        x, y = np.nonzero(mask == region.class_id)[::-1]
        pixels = np.concatenate([np.stack([x + dx, y + dy], 1) for dx in (0, 1) for dy in (0, 1)])
        for ring in (region.outer, *region.holes):
            # The points that stay are corners of the class's own pixels.
            assert {tuple(point) for point in ring.corners.tolist()} <= {tuple(point) for point in pixels.tolist()}
    # A pixel further from any border than that is of the same class as before.
    regions = find_regions(mask, IGNORE, tolerance=tolerance)
    read = drawn(regions, mask.shape)
    rows, columns = np.indices(mask.shape)
    for row, column in np.argwhere(read != mask):
        near = (abs(rows - row) <= tolerance + 0.5) & (abs(columns - column) <= tolerance + 0.5)
        edge = min(row, column, mask.shape[0] - 1 - row, mask.shape[1] - 1 - column) + 0.5 <= tolerance
        assert edge or len(np.unique(mask[near])) > 1


@given(any_mask)
@settings(max_examples=60, deadline=None)
def test_polygons_are_valid_for_shapely(mask: NDArray[np.uint8]) -> None:
    shapely = pytest.importorskip("shapely")
    for tolerance in (0.0, 0.7, 1.0, 2.0, 4.0):
        for region in find_regions(mask, IGNORE, tolerance=tolerance):
            polygon = shapely.Polygon(region.outer.corners, [hole.corners for hole in region.holes])
            assert polygon.is_valid, shapely.is_valid_reason(polygon)
            assert len(region.outer.corners) >= 3


@pytest.mark.parametrize("seed", [9, 10])
def test_rings_run_the_same_way_round_however_few_points_are_left(seed: int) -> None:
    # In these an islet's last three points would run the other way.
    for region in find_regions(blots(seed, 2 if seed == 9 else 1.5), IGNORE, tolerance=8):
        assert area([Region(0, 1, region.outer)]) > 0
        assert all(area([Region(0, 1, hole)]) < 0 for hole in region.holes)


def test_a_region_no_larger_than_the_tolerance_goes_and_those_around_it_close_over_it() -> None:
    mask = np.zeros((12, 12), np.uint8)
    mask[5, 5] = 1
    (whole,) = find_regions(mask, IGNORE, tolerance=2)
    assert (whole.class_id, whole.holes, whole.pixels) == (0, (), 143)


def test_regions_with_too_few_pixels_are_left_out_and_their_place_stays_empty() -> None:
    mask = np.zeros((6, 6), np.uint8)
    mask[2, 2:4], mask[4, 4] = 1, 2
    regions = find_regions(mask, IGNORE, least_pixels=2)
    assert [(region.class_id, region.pixels, len(region.holes)) for region in regions] == [(0, 33, 2), (1, 2, 0)]


def test_confidence_is_the_mean_over_a_regions_own_pixels() -> None:
    mask = MASKS["nested rings"]
    values = np.random.default_rng(1).random(mask.shape, np.float32)
    regions = find_regions(mask, IGNORE, confidence=values)
    for region in regions:
        # Of these regions only one has this class and size.
        alone = drawn([region], mask.shape) == region.class_id
        assert alone.sum() == region.pixels
        assert region.confidence == pytest.approx(float(values[alone].mean()), abs=1e-6)
    assert find_regions(mask, IGNORE)[0].confidence is None


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_no_distance_is_refused(tolerance: float) -> None:
    with pytest.raises(UsageError, match="is no distance"):
        find_regions(MASKS["a line"], IGNORE, tolerance=tolerance)


def test_confidence_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence is"):
        find_regions(MASKS["a line"], IGNORE, confidence=np.zeros((2, 2), np.float32))


def test_a_street_of_two_megapixels_takes_less_than_a_second() -> None:
    mask = draw_scene(3, (1024, 2048))[1]
    for tolerance in (0.0, 1.0):
        began = time.process_time()
        regions = find_regions(mask, IGNORE, tolerance=tolerance)
        assert time.process_time() - began < 1
        assert agreement(drawn(regions, mask.shape), mask) >= (1 if tolerance == 0 else 0.995)
