"""Rings of masks small enough to follow by eye."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from segformer_cli.outputs.tracing import Rings, trace
from tests.outputs.readers import IGNORE, any_mask


def rings_of(mask: list[list[int]]) -> Rings:
    return trace(np.array(mask, np.uint8), IGNORE)


def points(rings: Rings, values: NDArray[np.int64], number: int) -> list[list[int]]:
    found: list[list[int]] = values[rings.first[number] : rings.first[number + 1]].tolist()
    return found


def test_a_pixel_is_walked_clockwise_and_its_path_inside_is_itself() -> None:
    rings = rings_of([[255, 255], [255, 7]])
    assert points(rings, rings.corners, 0) == [[1, 1], [2, 1], [2, 2], [1, 2]]
    assert points(rings, rings.inside, 0) == [[1, 1]] * 4
    assert (rings.class_ids.tolist(), rings.areas.tolist(), rings.outer.tolist()) == ([7], [1], [0])


def test_a_hole_is_walked_the_other_way_and_belongs_to_the_ring_around_it() -> None:
    rings = rings_of([[1, 1, 1], [1, 255, 1], [1, 1, 1]])
    assert rings.areas.tolist() == [9, -1]
    assert rings.outer.tolist() == [0, 0]
    # Inside, the path around the hole runs on the eight pixels of the class.
    assert sorted(points(rings, rings.inside, 1)) == [[0, 0], [0, 2], [2, 0], [2, 2]]


def test_pixels_that_touch_by_a_corner_are_two_regions() -> None:
    rings = rings_of([[1, 255], [255, 1]])
    assert rings.areas.tolist() == [1, 1]
    assert rings.nodes.tolist() == [True, False, True, False] * 2        # the middle, corners of the picture


def test_a_region_that_touches_itself_by_a_corner_has_a_hole_there_that_touches_its_outline() -> None:
    rings = rings_of([[1, 1, 1], [1, 255, 1], [1, 1, 255]])
    assert sorted(rings.areas.tolist()) == [-1, 8]
    hole = rings.areas.tolist().index(-1)
    assert rings.outer.tolist() == [1 - hole] * 2
    # At the corner the path inside goes from one pixel of the class to the other, not through the third.
    assert [1, 1] not in rings.inside.tolist()
    assert [2, 2] not in rings.inside.tolist()


def test_an_island_in_a_hole_is_a_region_of_its_own() -> None:
    mask = np.full((7, 7), 1, np.uint8)
    mask[1:6, 1:6], mask[3, 3] = 0, 1
    rings = trace(mask, IGNORE)
    of_ones = rings.class_ids == 1
    assert sorted(rings.areas[of_ones].tolist()) == [-25, 1, 49]
    assert rings.outer[rings.areas == -25].tolist() == np.flatnonzero(rings.areas == 49).tolist()
    assert rings.outer[rings.areas == 1].tolist() == np.flatnonzero(rings.areas == 1).tolist()


def test_a_mask_of_nothing_has_no_rings() -> None:
    for shape in ((3, 4), (0, 4), (3, 0)):
        rings = trace(np.full(shape, IGNORE, np.uint8), IGNORE)
        assert (len(rings.areas), rings.first.tolist(), rings.corners.shape) == (0, [0], (0, 2))


def test_ids_of_16_bits_are_told_apart() -> None:
    rings = trace(np.array([[300, 44, 65535]], np.uint16), 65535)
    assert rings.class_ids.tolist() == [300, 44]


@pytest.mark.parametrize(("shape", "ignore_index"), [((4, 4, 1), 255), ((4, 4), 256), ((4, 4), -1)])
def test_what_is_no_mask_is_refused(shape: tuple[int, ...], ignore_index: int) -> None:
    with pytest.raises(ValueError, match="a mask"):
        trace(np.zeros(shape, np.uint8), ignore_index)


@given(any_mask)
@settings(max_examples=150, deadline=None)
def test_rings_add_up_to_the_pixels_of_each_class_and_run_on_pixels_of_it(mask: NDArray[np.uint8]) -> None:
    rings = trace(mask, IGNORE)
    for class_id in (0, 1, 2):
        assert rings.areas[rings.class_ids == class_id].sum() == (mask == class_id).sum()
    x, y = rings.inside.T
    of_point = np.repeat(np.arange(len(rings.areas)), np.diff(rings.first))
    assert (mask[y, x] == rings.class_ids[of_point]).all()
    assert (rings.class_ids[rings.outer] == rings.class_ids).all()
    assert (rings.areas[rings.outer] > 0).all()
