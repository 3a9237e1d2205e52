"""iIoU of instances small enough to weigh by hand. Its equality with cityscapesscripts is held in tests/parity."""

from __future__ import annotations

import numpy as np
import pytest

from segformer_cli.errors import DataError
from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.metrics.instances import (
    AVERAGE_PIXELS,
    CATEGORIES,
    InstanceCounts,
    instance_counts,
    instance_scores,
)

ROAD, PERSON, RIDER, CAR, BUS = 0, 11, 12, 13, 15


def test_each_instance_is_a_row_and_groups_caravans_and_stuff_are_none() -> None:
    # Two persons, a group of cars (26), a caravan, road; one person's second pixel was taken for a rider.
    instances = np.array([[24000, 24000, 24007, 26, 29001, 7]], np.uint16)
    mask = np.array([[PERSON, RIDER, ROAD, CAR, CAR, ROAD]], np.uint8)
    assert instance_counts(instances, mask).rows.tolist() == [[PERSON, 2, 1, 2], [PERSON, 1, 0, 0]]


def test_a_pixel_of_a_small_instance_weighs_more_than_one_of_a_large() -> None:
    # A car of one pixel, found; one of three pixels, missed but for one. One pixel of road taken for a car.
    instances = np.array([[26000, 26001, 26001, 26001, 7, 7]], np.int32)
    target = np.array([[CAR, CAR, CAR, CAR, ROAD, ROAD]], np.uint8)
    mask = np.array([[CAR, CAR, ROAD, BUS, CAR, ROAD]], np.uint8)
    found = instance_scores(instance_counts(instances, mask), confusion_matrix(target, mask, 19, 255))
    average = AVERAGE_PIXELS["car"]
    assert found.iou[CAR] == pytest.approx((average + average / 3) / (2 * average + 1), rel=1e-15)
    # The bus pixel is a wrong class and the right category; a bus that is only predicted scores 0.
    assert found.category_iou["vehicle"] == pytest.approx((average + average * 2 / 3) / (2 * average + 1), rel=1e-15)
    assert found.iou[BUS] == 0
    assert found.miou == pytest.approx(found.iou[CAR] / 2, rel=1e-15)
    assert np.isnan(found.category_iou["human"])
    assert found.category_miou == found.category_iou["vehicle"]
    assert np.isnan(np.delete(found.iou, [CAR, BUS])).all()


def test_counts_of_pictures_add_up_and_their_order_changes_no_score() -> None:
    generator = np.random.default_rng(0)
    parts, confusion = [], np.zeros((19, 19), np.int64)
    for _ in range(6):
        labels, numbers = generator.choice([24, 25, 26, 33], (8, 9)), generator.integers(0, 5, (8, 9))
        target = np.select([labels == 24, labels == 25, labels == 26], [PERSON, RIDER, CAR], 18).astype(np.uint8)
        mask = np.where(generator.random((8, 9)) < 0.6, target, generator.integers(0, 19, (8, 9))).astype(np.uint8)
        parts.append(instance_counts(labels * 1000 + numbers, mask))
        confusion += confusion_matrix(target, mask, 19, 255)
    together = InstanceCounts.joined(parts)
    assert together.rows.tolist() == [row for part in parts for row in part.rows.tolist()]
    assert np.array_equal((parts[0] + InstanceCounts.joined(parts[1:])).rows, together.rows)
    forward, backward = (
        instance_scores(InstanceCounts.joined(order), confusion) for order in (parts, parts[::-1])
    )
    np.testing.assert_array_equal(forward.iou, backward.iou)
    assert forward.category_iou == backward.category_iou
    assert 0.2 < forward.miou < forward.category_miou < 0.9


def test_masks_of_other_tools_may_hold_ids_that_are_no_class() -> None:
    instances = np.array([[26000, 26000, 26000, 26000]])
    for mask in (np.array([[CAR, 19, 255, BUS]], np.uint8), np.array([[CAR, -2, -7, BUS]])):
        assert instance_counts(instances, mask).rows.tolist() == [[CAR, 4, 1, 2]]


def test_a_picture_without_instances_counts_none() -> None:
    counts = instance_counts(np.full((2, 3), 7, np.uint16), np.zeros((2, 3), np.uint8))
    assert counts.rows.shape == (0, 4)
    nothing = InstanceCounts.joined([])
    assert (nothing.rows.shape, nothing.rows.dtype) == ((0, 4), np.int64)
    found = instance_scores(InstanceCounts.joined([nothing, counts]), np.zeros((19, 19), np.int64))
    assert np.isnan(found.miou)
    assert np.isnan(found.category_miou)


def test_a_file_of_another_encoding_is_refused() -> None:
    mask = np.zeros((1, 2), np.uint8)
    with pytest.raises(DataError, match="instance 8001 is of label 8, which has no instances"):
        instance_counts(np.array([[7, 8001]]), mask)
    with pytest.raises(DataError, match="instance 65535 is of label 65"):
        instance_counts(np.array([[24000, 65535]], np.uint16), mask)


def test_shapes_and_matrices_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"instances are \(1, 2\), mask is \(2, 1\)"):
        instance_counts(np.zeros((1, 2), np.int64), np.zeros((2, 1), np.int64))
    with pytest.raises(ValueError, match="the matrix has 11"):
        instance_scores(InstanceCounts(), np.zeros((11, 11), np.int64))


def test_the_categories_part_the_nineteen_classes() -> None:
    names = [name for members in CATEGORIES.values() for name in members]
    assert len(names) == len(set(names)) == 19
