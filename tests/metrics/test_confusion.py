"""Counting pixels exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.metrics.scores import accuracy, iou, scores


def test_rows_are_true_classes_and_columns_predicted_ones() -> None:
    target = np.array([[0, 0, 1], [2, 255, 1]])
    mask = np.array([[0, 1, 1], [0, 2, 1]])
    assert confusion_matrix(target, mask, 3, 255).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_a_hand_worked_matrix_has_the_scores_worked_by_hand() -> None:
    confusion = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    found = scores(confusion)
    assert found.iou.tolist()[:2] == [6 / 9, 3 / 6]
    assert np.isnan(found.iou[2])
    assert found.acc.tolist()[:2] == [6 / 8, 3 / 4]
    assert found.miou == (6 / 9 + 3 / 6) / 2
    assert found.macc == 0.75
    assert found.aacc == 9 / 12
    assert found.pixels.tolist() == [8, 4, 0]


def test_a_class_that_is_predicted_but_absent_counts_as_zero_iou_and_has_no_accuracy() -> None:
    confusion = np.array([[3, 1], [0, 0]])
    assert iou(confusion).tolist() == [0.75, 0.0]
    assert accuracy(confusion)[0] == 0.75
    assert np.isnan(accuracy(confusion)[1])


def test_nothing_labelled_has_no_score_and_raises_no_warning() -> None:
    found = scores(np.zeros((2, 2), np.int64))
    assert np.isnan(found.miou)
    assert np.isnan(found.aacc)


def test_ids_that_are_no_class_are_refused() -> None:
    ok, wrong = np.array([[0, 1]]), np.array([[0, 7]])
    with pytest.raises(ValueError, match="target holds ids 0 to 7"):
        confusion_matrix(wrong, ok, 2, 255)
    with pytest.raises(ValueError, match="mask holds ids 0 to 7"):
        confusion_matrix(ok, wrong, 2, 255)
    with pytest.raises(ValueError, match="target is"):
        confusion_matrix(ok, ok.T, 2, 255)


@given(
    arrays(np.uint8, (3, 7), elements=st.sampled_from([0, 1, 2, 3, 255])),
    arrays(np.uint8, (3, 7), elements=st.integers(0, 3)),
)
def test_counts_equal_a_loop_over_pixels(target: np.ndarray, mask: np.ndarray) -> None:
    expected = np.zeros((4, 4), np.int64)
    for true, predicted in zip(target.ravel(), mask.ravel(), strict=True):
        if true != 255:
            expected[true, predicted] += 1
    found = confusion_matrix(target, mask, 4, 255)
    assert found.dtype == np.int64
    assert np.array_equal(found, expected)
    halves = confusion_matrix(target[:1], mask[:1], 4, 255) + confusion_matrix(target[1:], mask[1:], 4, 255)
    assert np.array_equal(halves, expected)
