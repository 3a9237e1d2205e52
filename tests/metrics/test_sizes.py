"""IoU by the size of objects."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.metrics.scores import iou
from segformer_cli.metrics.sizes import size_counts, size_iou

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=11)


@st.composite
def target_and_mask(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(SHAPES)
    target = draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 1, 1, 2, 255])))
    return target, draw(arrays(np.uint8, shape, elements=st.integers(0, 2)))


def test_a_true_pixel_counts_in_the_bucket_of_its_object() -> None:
    target = np.array([[1, 1, 1, 1, 0, 1, 0, 1, 1]], np.uint8)
    mask = np.array([[1, 1, 1, 0, 0, 1, 0, 0, 0]], np.uint8)
    counts = size_counts(target, mask, 2, 255, limits=(2, 4))
    assert counts[1].tolist() == [[1, 1, 0], [0, 2, 0], [3, 4, 0]]
    assert size_iou(counts)[1].tolist() == [1, 0, 0.75]


def test_an_area_equal_to_a_limit_begins_the_next_bucket() -> None:
    ids = np.ones((32, 32), np.uint8)
    assert size_counts(ids, ids, 2, 255)[1].tolist() == [[0, 0, 0], [1024, 1024, 0], [0, 0, 0]]
    ids[0, 0] = 0
    assert size_counts(ids, ids, 2, 255)[1].tolist() == [[1023, 1023, 0], [0, 0, 0], [0, 0, 0]]


def test_pixels_that_meet_at_a_corner_are_one_object() -> None:
    ids = np.array([[1, 0, 0, 1], [0, 1, 1, 0]], np.uint8)
    assert size_counts(ids, ids, 2, 255, limits=(4,))[1].tolist() == [[0, 0, 0], [4, 4, 0]]


def test_a_surplus_belongs_to_the_object_it_was_drawn_around_however_large_it_is() -> None:
    target, mask = np.zeros((10, 10), np.uint8), np.ones((10, 10), np.uint8)
    target[4, 4:6] = 1
    counts = size_counts(target, mask, 2, 255, limits=(4,))
    assert counts[1].tolist() == [[2, 2, 98], [0, 0, 0]]


def test_the_surplus_of_a_blob_over_several_objects_goes_to_the_bucket_of_most_hits() -> None:
    target = np.array([[1, 0, 1, 1, 1, 1, 0, 1, 0]], np.uint8)
    assert size_counts(target, np.ones_like(target), 2, 255, limits=(4,))[1].tolist() == [[2, 2, 0], [4, 4, 3]]
    # Equal hits, 1 and 1: the smaller bucket.
    mask = np.array([[1, 1, 1, 0, 0, 0, 0, 0, 0]], np.uint8)
    assert size_counts(target, mask, 2, 255, limits=(4,))[1].tolist() == [[1, 2, 1], [1, 4, 0]]


def test_a_prediction_that_meets_no_object_counts_at_its_own_size() -> None:
    target = np.array([[1, 0, 0, 0, 0, 0, 0, 0]], np.uint8)
    mask = np.array([[1, 0, 1, 0, 1, 1, 1, 1]], np.uint8)
    assert size_counts(target, mask, 2, 255, limits=(4,))[1].tolist() == [[1, 1, 1], [0, 0, 4]]


def test_an_ignored_pixel_belongs_to_no_component_of_either_map() -> None:
    target = np.array([[1, 1, 255, 1, 0, 255, 0]], np.uint8)
    mask = np.array([[1, 1, 1, 1, 1, 1, 1]], np.uint8)
    # True objects of 2 and 1; predicted ones of 2, of 2 (one hit) and of 1 (no hit).
    assert size_counts(target, mask, 2, 255, limits=(2, 3))[1].tolist() == [[1, 1, 2], [2, 2, 0], [0, 0, 0]]


def test_a_bucket_without_object_or_error_has_no_iou_and_one_of_strays_alone_has_zero() -> None:
    found = size_iou(size_counts(np.zeros((2, 2), np.uint8), np.array([[0, 0], [0, 1]], np.uint8), 3, 255, (2,)))
    assert np.array_equal(found, [[np.nan, 0.75], [0, np.nan], [np.nan, np.nan]], equal_nan=True)


def test_a_winding_line_is_one_object_and_so_is_each_gap_it_leaves() -> None:
    ids = np.ones((41, 30), np.uint8)
    ids[1::4, :-1] = 0
    ids[3::4, 1:] = 0
    for turned in (ids, ids[::-1], ids.T, ids.T[:, ::-1]):
        found = size_counts(turned, turned, 2, 255, limits=(29, 30, 1000))[:, :, 1]
        assert found.tolist() == [[0, 20 * 29, 0, 0], [0, 0, 21 * 30 + 20, 0]]


def test_counts_of_pictures_add_up_to_the_counts_of_both() -> None:
    generator = np.random.default_rng(0)
    maps = generator.integers(0, 3, (2, 2, 20, 20)).astype(np.uint8)
    apart = np.full((20, 1), 255, np.uint8)
    target, mask = (np.concatenate([both[0], apart, both[1]], axis=1) for both in maps)
    mask[mask == 255] = 0
    parts = [size_counts(maps[0, index], maps[1, index], 3, 255, (3, 9)) for index in range(2)]
    assert np.array_equal(parts[0] + parts[1], size_counts(target, mask, 3, 255, (3, 9)))
    assert parts[0].dtype == np.int64


def test_the_class_255_of_a_wide_map_is_a_class_and_not_ignored() -> None:
    ids = np.array([[255, 255, 3]], np.uint8)
    counts = size_counts(ids, ids, 256, 65535, limits=(2,))
    assert counts[255].tolist() == [[0, 0, 0], [2, 2, 0]]
    assert counts.sum() == 6


def test_what_cannot_be_counted_is_refused() -> None:
    ids = np.zeros((3, 3), np.uint8)
    with pytest.raises(ValueError, match="target is"):
        size_counts(ids, ids[:2], 2, 255)
    with pytest.raises(ValueError, match="holds ids 2 to 2, classes are 0 to 1"):
        size_counts(ids, ids + 2, 2, 255)
    for limits in ((4, 4), (9, 4), (0, 4)):
        with pytest.raises(ValueError, match="areas that rise"):
            size_counts(ids, ids, 2, 255, limits)


@given(target_and_mask())
@settings(max_examples=60, deadline=None)
def test_with_one_bucket_the_result_is_the_ordinary_iou(maps: tuple[np.ndarray, np.ndarray]) -> None:
    target, mask = maps
    expected = iou(confusion_matrix(target, mask, 3, 255))
    assert np.array_equal(size_iou(size_counts(target, mask, 3, 255, limits=()))[:, 0], expected, equal_nan=True)
    # And the buckets share out the same pixels.
    whole = size_counts(target, mask, 3, 255, limits=())[:, 0]
    assert np.array_equal(size_counts(target, mask, 3, 255, limits=(2, 5, 9)).sum(axis=1), whole)


@given(target_and_mask())
@settings(max_examples=60, deadline=None)
def test_counts_equal_a_loop_over_components(maps: tuple[np.ndarray, np.ndarray]) -> None:
    target, mask = maps
    masked = np.where(target == 255, 255, mask)
    expected = np.zeros((3, 3, 3), np.int64)
    for index in range(3):
        bucket_at = np.zeros(target.shape, int)
        for region in components(target == index):
            bucket_at[region] = bucket_of(region)
            expected[index, bucket_of(region), :2] += [(region & (masked == index)).sum(), region.sum()]
        for region in components(masked == index):
            hits = [(region & (target == index) & (bucket_at == bucket)).sum() for bucket in range(3)]
            bucket = np.argmax(hits) if any(hits) else bucket_of(region)
            expected[index, bucket, 2] += region.sum() - sum(hits)
    assert np.array_equal(size_counts(target, mask, 3, 255, limits=(2, 5)), expected)


def components(region: np.ndarray) -> list[np.ndarray]:
    """The 8-connected components of a region, by cv2."""
    count, numbers = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    return [numbers == number for number in range(1, count)]


def bucket_of(region: np.ndarray) -> int:
    return int(region.sum() >= 2) + int(region.sum() >= 5)
