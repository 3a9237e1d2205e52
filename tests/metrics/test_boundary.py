"""Outlines: Boundary IoU and the pixels near a boundary."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segformer_cli.metrics.boundary import band_width, boundary_counts, boundary_iou, near_boundary, trimap_matrix
from segformer_cli.metrics.confusion import confusion_matrix

TARGETS = arrays(np.uint8, (7, 9), elements=st.sampled_from([0, 0, 1, 1, 2, 255]))
MASKS = arrays(np.uint8, (7, 9), elements=st.integers(0, 2))


def test_a_bar_moved_by_one_pixel_has_the_boundary_iou_worked_by_hand() -> None:
    # Four rows high, so that only the outline within one pixel counts; the bar is columns 2-4, then 3-5.
    target, mask = np.zeros((4, 8), np.uint8), np.zeros((4, 8), np.uint8)
    target[:, 2:5] = 1
    mask[:, 3:6] = 1
    counts = boundary_counts(target, mask, 2, 255, width=1)
    # Bar: bands are the bar without its 2 inner pixels (10 each); common are columns 3 and 4 (8 pixels) without the
    # inner ones of either, (1, 3), (2, 3), (1, 4), (2, 4): 4 pixels at the top and bottom edge.
    assert counts[1].tolist() == [4, 16]
    # Around it: the target's band lacks rows 1-2 of column 6, the mask's those of column 1 (18 pixels each); common
    # are rows 0 and 3 of columns 0, 1, 6, 7 and rows 1-2 of columns 0 and 7.
    assert counts[0].tolist() == [12, 24]
    assert boundary_iou(counts).tolist() == [12 / 24, 4 / 16]


def test_a_band_is_as_wide_as_asked_and_the_edge_of_the_picture_is_an_outline() -> None:
    plain = np.zeros((9, 11), np.uint8)
    for width, inner in ((1, 7 * 9), (2, 5 * 7), (4, 1 * 3), (5, 0), (50, 0)):
        assert boundary_counts(plain, plain, 1, 255, width).tolist() == [[99 - inner, 99 - inner]]


def test_a_class_in_neither_map_has_no_boundary_iou_and_one_in_the_mask_alone_has_zero() -> None:
    target, mask = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    mask[1:3, 1:3] = 2
    found = boundary_iou(boundary_counts(target, mask, 3, 255, 1))
    assert found[0] > 0
    assert np.isnan(found[1])
    assert found[2] == 0


def test_an_ignored_region_makes_no_outline_in_either_map() -> None:
    target = np.zeros((9, 9), np.uint8)
    target[3:6, 3:6] = 255
    mask = target.copy()
    mask[mask == 255] = 1
    # All that is left is the picture's edge: 32 pixels.
    assert boundary_counts(target, mask, 2, 255, 1).tolist() == [[32, 32], [0, 0]]


def test_a_boundary_is_seen_across_a_thin_ignored_strip() -> None:
    target = np.array([[0, 0, 0, 255, 1, 1, 1]], np.uint8)
    assert not near_boundary(target, 255, 1).any()
    assert near_boundary(target, 255, 2).tolist() == [[False, False, True, False, True, False, False]]


def test_ignored_regions_and_the_edge_of_the_picture_make_no_trimap() -> None:
    target = np.zeros((6, 6), np.uint8)
    target[2:4, 2:4] = 255
    assert not near_boundary(target, 255, 3).any()


def test_the_trimap_matrix_counts_only_pixels_near_a_boundary_of_the_target() -> None:
    target = np.array([[0, 0, 0, 0, 1, 1, 1, 1]], np.uint8)
    mask = np.array([[1, 0, 1, 0, 1, 0, 0, 0]], np.uint8)
    assert trimap_matrix(target, mask, 2, 255, 1).tolist() == [[1, 0], [0, 1]]
    assert trimap_matrix(target, mask, 2, 255, 2).tolist() == [[1, 1], [1, 1]]
    assert np.array_equal(trimap_matrix(target, mask, 2, 255, 4), confusion_matrix(target, mask, 2, 255))


def test_wide_ids_are_counted_as_narrow_ones_are() -> None:
    generator = np.random.default_rng(0)
    target, mask = generator.integers(0, 4, (12, 12)), generator.integers(0, 3, (12, 12))
    wide = np.array([0, 256, 399, 65535], np.uint16)
    found = boundary_counts(wide[target], wide[mask], 400, 65535, 1)
    assert np.array_equal(found[[0, 256, 399]], boundary_counts(target, mask, 3, 3, 1))
    assert found.sum() == found[[0, 256, 399]].sum()


def test_what_cannot_be_counted_is_refused() -> None:
    ids = np.zeros((3, 3), np.uint8)
    with pytest.raises(ValueError, match="target is"):
        boundary_counts(ids, ids[:2], 2, 255, 1)
    with pytest.raises(ValueError, match="holds ids 7 to 7"):
        boundary_counts(ids, ids + 7, 2, 255, 1)
    with pytest.raises(ValueError, match="width is 0"):
        near_boundary(ids, 255, 0)
    with pytest.raises(ValueError, match="width_share is 0"):
        band_width((3, 3), 0)


def test_a_share_of_the_diagonal_is_rounded_to_pixels_and_never_vanishes() -> None:
    assert band_width((480, 640)) == 16
    assert band_width((10, 10), 0.005) == 1


def near_by_loops(ids: np.ndarray, width: int, edge: bool) -> np.ndarray:
    """Whether any pixel within `width` of each pixel has another id; 255 is no id, outside the picture is one."""
    height, columns = ids.shape
    near = np.zeros(ids.shape, bool)
    for y, x in itertools.product(range(height), range(columns)):
        for v, u in itertools.product(range(y - width, y + width + 1), range(x - width, x + width + 1)):
            inside = 0 <= v < height and 0 <= u < columns
            near[y, x] |= (ids[v, u] not in (255, ids[y, x])) if inside else edge
    return near & (ids != 255)


@given(TARGETS, MASKS, st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_counts_equal_a_loop_over_pixels_and_their_squares(target: np.ndarray, mask: np.ndarray, width: int) -> None:
    masked = np.where(target == 255, 255, mask)
    true_near, predicted_near = near_by_loops(target, width, True), near_by_loops(masked, width, True)
    found = boundary_counts(target, mask, 3, 255, width)
    for index in range(3):
        true, predicted = true_near & (target == index), predicted_near & (masked == index)
        assert found[index].tolist() == [(true & predicted).sum(), (true | predicted).sum()]
    near = near_by_loops(target, width, False)
    assert np.array_equal(near_boundary(target, 255, width), near)
    assert np.array_equal(
        trimap_matrix(target, mask, 3, 255, width), confusion_matrix(target[near], mask[near], 3, 255)
    )


@given(arrays(np.uint8, (12, 17), elements=st.integers(0, 2)), arrays(np.uint8, (12, 17), elements=st.integers(0, 2)))
@settings(max_examples=25, deadline=None)
def test_bands_are_what_repeated_erosion_of_each_class_on_a_black_margin_leaves_out(
    target: np.ndarray, mask: np.ndarray
) -> None:
    def band(region: np.ndarray, width: int) -> np.ndarray:
        padded = np.pad(region.astype(np.uint8), 1)
        return region & (cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1] == 0)

    for width in (1, 3):
        found = boundary_counts(target, mask, 3, 255, width)
        for index in range(3):
            true, predicted = band(target == index, width), band(mask == index, width)
            assert found[index].tolist() == [(true & predicted).sum(), (true | predicted).sum()]


@given(TARGETS, MASKS, MASKS)
@settings(max_examples=25, deadline=None)
def test_what_the_mask_says_on_ignored_pixels_changes_nothing(
    target: np.ndarray, mask: np.ndarray, other: np.ndarray
) -> None:
    changed = np.where(target == 255, other, mask)
    assert np.array_equal(boundary_counts(target, mask, 3, 255, 2), boundary_counts(target, changed, 3, 255, 2))
    assert np.array_equal(trimap_matrix(target, mask, 3, 255, 2), trimap_matrix(target, changed, 3, 255, 2))


@given(TARGETS)
@settings(max_examples=25, deadline=None)
def test_a_mask_that_is_right_on_every_counted_pixel_scores_one(target: np.ndarray) -> None:
    mask = np.where(target == 255, 1, target)
    both, either = boundary_counts(target, mask, 3, 255, 2).T
    assert np.array_equal(both, either)
