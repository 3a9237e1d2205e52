"""Intervals by resampling, and the paired comparison of two results."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segformer_cli.errors import DataError
from segformer_cli.metrics.bootstrap import ImageCounts, bounds, compare, miou_interval, resampled_mious
from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.metrics.scores import iou, scores


def counts_of(right: object, predicted: object, true: object, keys: tuple[str, ...] = ()) -> ImageCounts:
    """Counts of images a, b, c, ... with equal targets."""
    arrays = [np.array(values, np.int64) for values in (right, predicted, true)]
    keys = keys or tuple("abcdefghij"[: len(arrays[0])])
    return ImageCounts(keys, tuple(f"target of {key}" for key in keys), *arrays)


def simulated(images: int, seed: int, clusters: int | None = None, skill: float = 0.0) -> ImageCounts:
    """Three classes, the second in a third of the images; how well an image is segmented varies from one to another.

    With clusters, images of one cluster are segmented equally well.
    """
    generator = np.random.default_rng(seed)
    groups = images if clusters is None else clusters
    quality = generator.normal(1.0, 0.8, groups)[np.arange(images) % groups]
    share = 1 / (1 + np.exp(-(quality[:, None] + skill + generator.normal(0, 0.1, (images, 3)))))
    true = generator.integers(500, 1500, (images, 3))
    true[:, 1] *= generator.random(images) < 1 / 3
    right = np.rint(true * share).astype(np.int64)
    predicted = right + np.rint(400 * (1 - share)).astype(np.int64) * (true > 0)
    keys = tuple(f"{index:05}" for index in range(images))
    return ImageCounts(keys, keys, right, predicted, true)


def taken(counts: ImageCounts, places: Sequence[int]) -> ImageCounts:
    """The same images in another order."""
    places = list(places)
    keys, targets = (tuple(texts[place] for place in places) for texts in (counts.keys, counts.targets))
    return ImageCounts(keys, targets, counts.intersection[places], counts.predicted[places], counts.true[places])


def test_the_iou_of_all_images_is_that_of_their_confusion_matrix() -> None:
    generator = np.random.default_rng(0)
    target = generator.choice([0, 1, 2, 255], (4, 9, 9)).astype(np.uint8)
    mask = generator.choice([0, 1, 2], (4, 9, 9)).astype(np.uint8)
    matrices = [confusion_matrix(*maps, 4, 255) for maps in zip(target, mask, strict=True)]
    counts = counts_of(
        [np.diag(each) for each in matrices], [each.sum(0) for each in matrices], [each.sum(1) for each in matrices]
    )
    assert np.array_equal(counts.iou, iou(sum(matrices)), equal_nan=True)
    assert len(counts) == 4
    assert counts.num_classes == 4


def test_the_miou_of_each_image_is_that_of_its_own_matrix_and_nan_where_every_pixel_is_ignored() -> None:
    generator = np.random.default_rng(0)
    target = generator.choice([0, 1, 2, 255], (4, 5, 5)).astype(np.uint8)
    target[1] = 255
    target[2][target[2] == 1] = 0
    mask = generator.choice([0, 2], (4, 5, 5)).astype(np.uint8)
    matrices = [confusion_matrix(*maps, 4, 255) for maps in zip(target, mask, strict=True)]
    counts = counts_of(
        [np.diag(each) for each in matrices], [each.sum(0) for each in matrices], [each.sum(1) for each in matrices]
    )
    assert np.array_equal(counts.mious, [scores(each).miou for each in matrices], equal_nan=True)
    assert np.isnan(counts.mious).tolist() == [False, True, False, False]


def test_counts_that_do_not_belong_together_are_refused() -> None:
    ones = np.ones((2, 3), np.int64)
    with pytest.raises(ValueError, match="do not belong together"):
        ImageCounts(("a",), ("",), ones, ones, ones)
    with pytest.raises(ValueError, match="do not belong together"):
        ImageCounts(("a", "b"), ("",), ones, ones, ones)
    with pytest.raises(ValueError, match="do not belong together"):
        ImageCounts(("a", "b"), ("", ""), ones, ones, ones[:, :2])


def every_resample(counts: ImageCounts, units: list[list[int]]) -> list[ImageCounts]:
    return [taken(counts, [*itertools.chain(*drawn)]) for drawn in itertools.product(units, repeat=len(units))]


def exact_interval(values: np.ndarray) -> tuple[float, float]:
    """The outer 2.5 % of 256 values that are equally likely; no step of their distribution is near."""
    ordered = np.sort(values)
    assert len(ordered) == 256
    assert np.ptp(ordered[5:9]) == np.ptp(ordered[247:251]) == 0
    return float(ordered[6]), float(ordered[249])


def test_the_interval_is_that_of_all_resamples_of_four_images() -> None:
    # Class 1 is in one image only: in 81 of the 256 resamples it has no IoU and the mean is that of class 0.
    counts = counts_of(
        [[1, 0], [6, 2], [9, 0], [5, 0]], [[2, 0], [8, 4], [10, 0], [6, 0]], [[9, 0], [8, 3], [10, 0], [9, 0]]
    )
    resamples = every_resample(counts, [[0], [1], [2], [3]])
    mious = np.array([np.nanmean(each.iou) for each in resamples])
    assert np.count_nonzero([np.isnan(each.iou[1]) for each in resamples]) == 81
    found = miou_interval(counts, resamples=40_000)
    assert (found.low, found.high) == pytest.approx(exact_interval(mious), rel=1e-12)
    class_0 = np.array([each.iou[0] for each in resamples])
    assert found.per_class[0].tolist() == pytest.approx(exact_interval(class_0), rel=1e-12)
    assert np.isnan(found.per_class[1]).all()
    assert (found.level, found.resamples, found.units, found.drawn) == (0.95, 40_000, 4, "4 images")


def test_whole_clusters_are_resampled() -> None:
    counts = counts_of([[1], [6], [9], [9], [5]], [[2], [8], [10], [10], [6]], [[9], [8], [10], [12], [9]])
    mious = np.array([each.iou[0] for each in every_resample(counts, [[0, 2], [1], [3], [4]])])
    found = miou_interval(counts, ["x", "y", "x", "z", "w"], resamples=40_000)
    assert (found.low, found.high) == pytest.approx(exact_interval(mious), rel=1e-12)
    assert (found.units, found.drawn) == (4, "4 groups of images")


def shared_out(parts: list[int], keys: tuple[str, ...]) -> ImageCounts:
    """So many of the hundred pixels of each image are found of class 0, and of class 1 the others."""
    right = np.array([[part, 100 - part] for part in parts], np.int64)
    return ImageCounts(keys, keys, right, right, np.full_like(right, 100))


def test_a_seed_draws_the_same_images_whatever_was_counted_in_them_and_in_whatever_order_they_come() -> None:
    found, keys = [3, 20, 31, 44, 58, 60, 77, 95], tuple("abcdefgh")
    some = shared_out(found, keys)
    of_class_0, of_class_1 = (
        ImageCounts(keys, keys, *(each[:, [index]] for each in (some.intersection, some.predicted, some.true)))
        for index in (0, 1)
    )
    backward, groups = taken(of_class_1, range(7, -1, -1)), ["x", "y", "z", "x", "y", "w", "w", "v"]
    for clusters, mixed in ((None, None), (groups, groups[::-1])):
        first, second = resampled_mious(of_class_0, clusters), resampled_mious(backward, mixed)
        assert np.unique(first).size > 50
        # What is not found of class 0 is found of class 1: in the same images the two add up to 1.
        assert first + second == pytest.approx(np.ones(1000))
        assert resampled_mious(some, clusters) == pytest.approx(np.full(1000, 0.5))
        other = resampled_mious(backward, mixed, seed=1)
        assert np.abs(first + other - 1).max() > 0.1


def test_the_interval_lies_between_the_bounds_of_the_resampled_mious() -> None:
    counts = simulated(30, 1)
    for clusters in (None, [str(index % 12) for index in range(30)]):
        mious = resampled_mious(counts, clusters, resamples=200, seed=5)
        assert mious.shape == (200,)
        found = miou_interval(counts, clusters, resamples=200, seed=5)
        assert (found.low, found.high) == bounds(mious)
        assert np.mean((mious >= found.low) & (mious <= found.high)) == 0.95


def test_a_difference_is_resampled_with_the_same_images_of_both() -> None:
    true = [[9, 3], [8, 3], [10, 0], [9, 3]]
    a = counts_of([[1, 1], [6, 2], [9, 0], [5, 1]], [[2, 2], [8, 4], [10, 0], [6, 2]], true)
    b = counts_of([[3, 1], [5, 3], [9, 0], [6, 1]], [[4, 3], [8, 5], [10, 1], [7, 2]], true)
    # B draws class 1 into the third image, where it is not: alone, that image has an IoU of 0 in B and none in A.
    ious = [np.array([each.iou for each in every_resample(counts, [[0], [1], [2], [3]])]) for counts in (a, b)]
    assert np.isnan(ious[0]).sum() == 1
    gains = np.nanmean(ious[1], axis=1) - np.nanmean(ious[0], axis=1)
    found = compare(a, taken(b, [2, 0, 3, 1]), resamples=40_000)
    assert (found.interval.low, found.interval.high) == pytest.approx(exact_interval(gains), rel=1e-9)
    assert found.wins == pytest.approx((gains > 0).mean(), abs=0.01)
    assert found.difference == pytest.approx(np.mean(b.iou) - np.mean(a.iou), rel=1e-12)
    assert found.per_class == pytest.approx(b.iou - a.iou)
    class_0 = (ious[1] - ious[0])[:, 0]
    assert found.interval.per_class[0].tolist() == pytest.approx(exact_interval(class_0), rel=1e-9)


def test_a_class_that_both_results_share_in_one_image_alone_has_no_interval_of_its_difference() -> None:
    true = [[2, 0], [2, 3], [2, 0]]
    a = counts_of([[1, 0], [1, 2], [1, 0]], [[1, 1], [1, 2], [1, 1]], true)
    b = counts_of([[2, 0], [1, 3], [1, 0]], [[2, 0], [1, 3], [1, 0]], true)
    bounds = compare(a, b).interval.per_class
    assert np.isnan(bounds).tolist() == [[False, False], [True, True]]


def test_equal_results_differ_by_nothing() -> None:
    counts = simulated(30, 1)
    found = compare(counts, counts)
    assert (found.difference, found.interval.low, found.interval.high, found.wins) == (0, 0, 0, 0)
    assert not found.interval.per_class.any()


def test_one_image_or_one_cluster_has_no_interval_and_says_so() -> None:
    counts = simulated(5, 0)
    for found, note in (
        (miou_interval(taken(counts, [0])), "1 image: an interval needs at least two"),
        (miou_interval(counts, ["x"] * 5), "1 group of images: an interval needs at least two"),
        (compare(counts, counts, ["x"] * 5).interval, "1 group of images: an interval needs at least two"),
        (miou_interval(taken(counts, [])), "0 images: an interval needs at least two"),
    ):
        assert np.isnan([found.low, found.high]).all()
        assert np.isnan(found.per_class).all()
        assert found.per_class.shape == (3, 2)
        assert (found.resamples, found.note) == (0, note)
    assert np.isnan(compare(taken(counts, [0]), taken(counts, [0])).wins)
    assert resampled_mious(taken(counts, [0])).shape == resampled_mious(counts, ["x"] * 5).shape == (0,)


def test_an_interval_from_few_units_says_that_it_is_too_narrow() -> None:
    assert miou_interval(simulated(9, 0)).note == "an interval from only 9 images is likely too narrow"
    assert miou_interval(simulated(10, 0)).note is None
    grouped = miou_interval(simulated(20, 0), [str(index % 9) for index in range(20)])
    assert grouped.note == "an interval from only 9 groups of images is likely too narrow"


def test_images_without_a_labelled_pixel_leave_no_score() -> None:
    nothing = counts_of(np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((3, 2)))
    found = miou_interval(nothing)
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(resampled_mious(nothing)).all()
    assert np.isnan(compare(nothing, nothing).difference)


def test_a_seed_settles_what_is_drawn() -> None:
    counts = simulated(40, 0)
    first, again, other = (miou_interval(counts, seed=seed) for seed in (3, 3, 4))
    assert (first.low, first.high) == (again.low, again.high)
    assert np.array_equal(first.per_class, again.per_class)
    assert first.low != other.low


@given(st.permutations(range(12)))
@settings(max_examples=15, deadline=None)
def test_the_order_of_images_changes_nothing(order: list[int]) -> None:
    a, b = simulated(12, 0), simulated(12, 0, skill=0.2)
    clusters = [f"{index % 5}" for index in range(12)]
    mixed = [clusters[place] for place in order]
    plain, clustered = miou_interval(a, resamples=50), miou_interval(a, clusters, resamples=50)
    shuffled = taken(a, order)
    for one, other in (
        (plain, miou_interval(shuffled, resamples=50)),
        (clustered, miou_interval(shuffled, mixed, resamples=50)),
        (compare(a, b, resamples=50).interval, compare(shuffled, b, resamples=50).interval),
        (compare(a, b, clusters, resamples=50).interval, compare(shuffled, b, mixed, resamples=50).interval),
    ):
        assert (one.low, one.high) == (other.low, other.high)
        assert np.array_equal(one.per_class, other.per_class, equal_nan=True)


def test_95_percent_intervals_hold_the_truth_about_as_often() -> None:
    truth = np.nanmean(simulated(200_000, 999).iou)
    found = [miou_interval(simulated(200, seed), resamples=300, seed=seed) for seed in range(300)]
    covered = np.mean([each.low <= truth <= each.high for each in found])
    assert 0.90 <= covered <= 0.98


def test_clusters_of_images_that_are_alike_widen_the_interval() -> None:
    counts = simulated(120, 5, clusters=12)
    plain, clustered = miou_interval(counts), miou_interval(counts, [str(index % 12) for index in range(120)])
    assert clustered.high - clustered.low > 1.8 * (plain.high - plain.low)


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    a, b = simulated(100, 2), simulated(100, 2, skill=0.1)
    paired = compare(a, b)
    alone = [miou_interval(each) for each in (a, b)]
    unpaired = np.hypot(*(each.high - each.low for each in alone))
    assert paired.interval.high - paired.interval.low < unpaired / 4
    assert paired.interval.low > 0
    assert paired.wins == 1
    assert alone[0].high > alone[1].low


def test_the_difference_is_that_of_the_scores() -> None:
    a, b = simulated(20, 2), simulated(20, 2, skill=0.1)
    matrices = []
    for counts in (a, b):
        # Any matrix with these margins and this diagonal will do.
        right, predicted, true = (each.sum(axis=0) for each in (counts.intersection, counts.predicted, counts.true))
        matrix = np.zeros((5, 5), np.int64)
        matrix[range(3), range(3)] = right
        matrix[:3, 3], matrix[4, :3] = true - right, predicted - right
        matrices.append(scores(matrix).iou[:3])
    found = compare(a, b)
    assert found.per_class == pytest.approx(matrices[1] - matrices[0])
    assert found.difference == pytest.approx(matrices[1].mean() - matrices[0].mean())


def test_results_of_other_images_are_not_compared() -> None:
    counts = simulated(5, 0)
    with pytest.raises(DataError) as caught:
        compare(taken(counts, [0, 1, 2]), taken(counts, [1, 2, 3, 4]))
    assert "1 only in result A (first: 00000), 2 only in result B (first: 00003)" in caught.value.message
    assert caught.value.where == "3 images in A, 4 in B"
    with pytest.raises(DataError, match=r"same images: 2 only in result A \(first: 00003\)\n"):
        compare(counts, taken(counts, [0, 1, 2]))


def test_results_with_other_targets_or_classes_are_not_compared() -> None:
    counts = simulated(5, 0)
    other = dataclasses.replace(counts, targets=("00000", "new", "00002", "new", "00004"))
    with pytest.raises(DataError, match="2 of 5 images have other targets") as caught:
        compare(counts, taken(other, [4, 3, 2, 1, 0]))
    assert caught.value.where == "first: 00001"
    fewer = ImageCounts(
        counts.keys, counts.targets, counts.intersection[:, :2], counts.predicted[:, :2], counts.true[:, :2]
    )
    with pytest.raises(DataError, match="A has 3 classes, result B has 2"):
        compare(counts, fewer)


def test_a_key_that_occurs_twice_cannot_be_matched() -> None:
    counts = simulated(3, 0)
    with pytest.raises(DataError, match="result B holds 2 images named 00001"):
        compare(counts, taken(counts, [0, 1, 1, 2]))


def test_what_makes_no_interval_is_refused() -> None:
    counts = simulated(3, 0)
    with pytest.raises(ValueError, match="2 cluster labels for 3 images"):
        miou_interval(counts, ["a", "b"])
    with pytest.raises(ValueError, match="resamples is 0"):
        resampled_mious(counts, resamples=0)


def test_a_thousand_resamples_of_a_large_data_set_take_no_two_seconds() -> None:
    counts = simulated(5000, 0)
    wide = ImageCounts(
        counts.keys,
        counts.targets,
        *(np.tile(each, 50) for each in (counts.intersection, counts.predicted, counts.true)),
    )
    assert wide.num_classes == 150
    began = time.process_time()
    miou_interval(wide)
    assert time.process_time() - began < 2
