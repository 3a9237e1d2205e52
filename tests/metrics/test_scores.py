"""Scores of matrices small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segformer_cli.metrics.scores import accuracy, dice, grouped, iou, mean, means, precision, scores, share

NAN = float("nan")
counts = arrays(np.int64, (4, 5), elements=st.integers(0, 3))


def test_a_hand_worked_matrix_has_the_scores_worked_by_hand() -> None:
    found = scores(np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]]))
    np.testing.assert_array_equal(found.iou, [6 / 9, 3 / 6, NAN])
    np.testing.assert_array_equal(found.acc, [6 / 8, 3 / 4, NAN])
    np.testing.assert_array_equal(found.dice, [12 / 15, 6 / 9, NAN])
    np.testing.assert_array_equal(found.precision, [6 / 7, 3 / 5, NAN])
    assert found.miou == (6 / 9 + 3 / 6) / 2
    assert found.macc == 0.75
    assert found.aacc == 9 / 12
    assert found.fwiou == pytest.approx(8 / 12 * 6 / 9 + 4 / 12 * 3 / 6, abs=1e-15)
    assert found.mdice == pytest.approx((12 / 15 + 6 / 9) / 2, abs=1e-15)
    assert found.pixels.tolist() == [8, 4, 0]


def test_pixels_predicted_as_no_class_lower_what_their_true_class_scores_and_nothing_else() -> None:
    found = scores(np.array([[6, 2, 4], [1, 3, 0]]))
    assert found.iou.tolist() == [6 / 13, 3 / 6]
    assert found.acc.tolist() == [6 / 12, 3 / 4]
    assert found.dice.tolist() == [12 / 19, 6 / 9]
    assert found.precision.tolist() == [6 / 7, 3 / 5]
    assert found.aacc == 9 / 16
    assert found.fwiou == pytest.approx(12 / 16 * 6 / 13 + 4 / 16 * 3 / 6, abs=1e-15)
    assert found.pixels.tolist() == [12, 4]


def test_a_class_that_is_predicted_but_absent_counts_as_zero_iou_and_has_no_accuracy() -> None:
    confusion = np.array([[3, 1], [0, 0]])
    assert iou(confusion).tolist() == [0.75, 0.0]
    np.testing.assert_array_equal(accuracy(confusion), [0.75, NAN])
    assert dice(confusion).tolist() == [6 / 7, 0.0]
    assert precision(confusion).tolist() == [1.0, 0.0]
    assert scores(confusion).fwiou == 0.75


def test_nothing_labelled_has_no_score_and_raises_no_warning() -> None:
    found = scores(np.zeros((2, 3), np.int64))
    for value in (found.miou, found.macc, found.aacc, found.fwiou, found.mdice, mean(np.array([]))):
        assert np.isnan(value)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 0)])
def test_a_share_has_the_shape_of_its_parts_and_is_nan_where_the_whole_is_nothing(shape: tuple[int, ...]) -> None:
    assert np.array_equal(share(np.full(shape, 3), np.full(shape, 4)), np.full(shape, 0.75))
    assert np.array_equal(share(np.zeros(shape), np.zeros(shape)), np.full(shape, NAN), equal_nan=True)
    assert share(np.full(shape, 3), np.full(shape, 4)).dtype == np.float64


def test_means_are_along_the_last_axis_over_what_is_defined() -> None:
    values = np.array([[[0.5, NAN], [1.0, 0.25]], [[NAN, NAN], [0.0, 0.0]]])
    np.testing.assert_array_equal(means(values), [[0.5, 0.625], [NAN, 0.0]])
    assert mean(values[0, 1]) == 0.625
    np.testing.assert_array_equal(means(np.zeros((2, 0))), [NAN, NAN])


@given(counts)
@settings(max_examples=50, deadline=None)
def test_the_scores_of_a_class_do_not_depend_on_how_the_others_are_told_apart(confusion: np.ndarray) -> None:
    against_the_rest = grouped(confusion, [[0]])
    for score in (iou, accuracy, dice, precision):
        np.testing.assert_array_equal(score(against_the_rest)[0], score(confusion)[0])


@given(counts)
@settings(max_examples=50, deadline=None)
def test_groups_of_one_class_each_change_no_score(confusion: np.ndarray) -> None:
    one_each, plain = scores(grouped(confusion, [[0], [1], [2], [3]]), 4), scores(confusion)
    for name in ("miou", "macc", "aacc", "fwiou", "mdice", "iou", "acc", "dice", "precision", "pixels"):
        np.testing.assert_array_equal(getattr(one_each, name), getattr(plain, name))


@given(counts)
@settings(max_examples=50, deadline=None)
def test_every_fraction_is_between_nothing_and_all_and_dice_is_never_below_iou(confusion: np.ndarray) -> None:
    found = scores(confusion)
    for values in (found.iou, found.acc, found.dice, found.precision):
        defined = values[~np.isnan(values)]
        assert ((defined >= 0) & (defined <= 1)).all()
    assert (np.isnan(found.iou) | (found.dice >= found.iou)).all()


def test_groups_that_leave_classes_out_count_their_pixels_on_both_sides() -> None:
    # Group A is classes 0 and 1, group B is class 2, class 3 is in neither; the last column is no class at all.
    confusion = np.array([[5, 1, 0, 2, 1], [2, 4, 3, 0, 0], [0, 0, 8, 1, 0], [7, 0, 1, 9, 4]])
    merged = grouped(confusion, [[0, 1], [2]])
    assert merged.tolist() == [[12, 3, 3], [0, 8, 1], [7, 1, 13]]
    found = scores(merged, 2)
    assert found.iou.tolist() == [12 / (18 + 19 - 12), 8 / (9 + 12 - 8)]
    assert found.miou == pytest.approx((12 / 25 + 8 / 13) / 2, abs=1e-15)
    assert found.aacc == 20 / 27
    assert found.pixels.tolist() == [18, 9]


@pytest.mark.parametrize("groups", [[[0], []], [[0, 4]], [[-1]], [[0, 1], [1]], [[2, 2]]])
def test_groups_that_do_not_part_the_classes_are_refused(groups: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="do not part the classes 0 to 3"):
        grouped(np.ones((4, 5), np.int64), groups)


def test_large_counts_are_summed_without_loss() -> None:
    confusion = np.array([[2**53 + 1, 2], [0, 2**53 + 3]])
    assert grouped(confusion, [[0, 1]]).tolist() == [[2**54 + 6, 0], [0, 0]]
