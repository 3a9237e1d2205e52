"""Counting pixels exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segformer_cli.metrics.confusion import confusion_matrix, device_confusion

NARROW_WIDE = (np.uint8, np.uint16, np.int32, np.int64)


def loop(target: np.ndarray, mask: np.ndarray, K: int, ignored: int) -> np.ndarray:
    """What is meant, pixel by pixel: (K, K + 1), the last column for predictions that are no class."""
    expected = np.zeros((K, K + 1), np.int64)
    for true, predicted in zip(target.ravel().tolist(), mask.ravel().tolist(), strict=True):
        if true != ignored:
            expected[true, predicted if 0 <= predicted < K else K] += 1
    return expected


def by_bincount(target: np.ndarray, mask: np.ndarray, K: int, ignored: int) -> np.ndarray:
    counted = target != ignored
    codes = target[counted].astype(np.int64) * K + mask[counted].astype(np.int64)
    return np.bincount(codes, minlength=K * K).reshape(K, K)


def test_rows_are_true_classes_and_columns_predicted_ones() -> None:
    target = np.array([[0, 0, 1], [2, 255, 1]])
    mask = np.array([[0, 1, 1], [0, 2, 1]])
    assert confusion_matrix(target, mask, 3, 255).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


@pytest.mark.parametrize("dtype", NARROW_WIDE)
def test_predictions_that_are_no_class_fill_the_last_column_where_that_is_asked_for(dtype: type) -> None:
    target = np.array([[0, 0, 1, 1, 255, 1]], np.uint8)
    mask = np.array([[0, 9, 1, 2, 200, 255]], dtype)
    assert confusion_matrix(target, mask, 2, 255, others=True).tolist() == [[1, 0, 1], [0, 1, 2]]
    assert confusion_matrix(target.astype(dtype), mask, 2, 255, others=True).tolist() == [[1, 0, 1], [0, 1, 2]]


@pytest.mark.parametrize("K", [2, 150, 254, 300])
def test_a_negative_prediction_is_no_class(K: int) -> None:
    # Cut to 8 bits, -200 would be class 56 and -7 class 249.
    target, mask = np.array([0, 1, 1, 1]), np.array([0, -1, -7, -200])
    found = confusion_matrix(target, mask, K, 65535, others=True)
    assert found[:2, :2].tolist() == [[1, 0], [0, 0]]
    assert found[:, K].tolist() == [0, 3] + [0] * (K - 2)
    assert np.array_equal(device_confusion(torch.from_numpy(target), torch.from_numpy(mask), K, 65535, True), found)
    with pytest.raises(ValueError, match=f"mask holds ids -200 to 0, classes are 0 to {K - 1}"):
        confusion_matrix(target, mask, K, 65535)


@pytest.mark.parametrize("dtype", NARROW_WIDE)
def test_ids_that_are_no_class_are_refused_with_their_range(dtype: type) -> None:
    ok, wrong = np.array([[0, 1, 255]], dtype), np.array([[0, 7, 1]], dtype)
    with pytest.raises(ValueError, match="target holds ids 0 to 7, classes are 0 to 1"):
        confusion_matrix(wrong, ok, 2, 255)
    with pytest.raises(ValueError, match="mask holds ids 0 to 7, classes are 0 to 1"):
        confusion_matrix(ok, wrong, 2, 255)
    with pytest.raises(ValueError, match="target holds ids 0 to 7"):
        confusion_matrix(wrong, ok, 2, 255, others=True)


def test_maps_of_two_sizes_or_of_fractions_are_refused() -> None:
    ids = np.zeros((2, 3), np.uint8)
    with pytest.raises(ValueError, match=r"target is \(2, 3\), mask is \(3, 2\)"):
        confusion_matrix(ids, ids.T, 2, 255)
    with pytest.raises(ValueError, match="mask holds float32, not class ids"):
        confusion_matrix(ids, ids.astype(np.float32), 2, 255)
    with pytest.raises(ValueError, match=r"target holds torch\.float32, not class ids"):
        device_confusion(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.uint8), 2, 255)


def test_what_is_predicted_on_ignored_pixels_is_not_looked_at() -> None:
    target, mask = np.array([[0, 255]], np.uint8), np.array([[0, 77]], np.uint8)
    assert confusion_matrix(target, mask, 1, 255).tolist() == [[1]]
    assert confusion_matrix(target, mask.astype(np.uint16), 1, 255).tolist() == [[1]]


def test_a_class_may_be_the_ignored_one() -> None:
    target, mask = np.array([[0, 0, 1]], np.uint8), np.array([[0, 1, 0]], np.uint8)
    for dtype in NARROW_WIDE:
        assert confusion_matrix(target.astype(dtype), mask, 2, 0).tolist() == [[0, 0], [1, 0]]
    assert device_confusion(torch.from_numpy(target), torch.from_numpy(mask), 2, 0).tolist() == [[0, 0], [1, 0]]


@pytest.mark.parametrize("shape", [(0,), (0, 5), (1, 1), (2, 3, 4)])
def test_maps_may_be_empty_a_single_pixel_or_a_stack(shape: tuple[int, ...]) -> None:
    for dtype in NARROW_WIDE:
        ids = np.ones(shape, dtype)
        assert confusion_matrix(ids, ids, 3, 255).tolist() == [[0, 0, 0], [0, ids.size, 0], [0, 0, 0]]
        assert confusion_matrix(ids, ids, 3, 255, others=True).shape == (3, 4)


def test_maps_that_are_views_or_read_only_count_as_their_copies_do() -> None:
    generator = np.random.default_rng(0)
    target, mask = generator.integers(0, 4, (2, 40, 60), np.uint8)
    mask.setflags(write=False)
    views = (slice(None, None, -2), slice(3, -5, 3))
    for dtype in NARROW_WIDE:
        wide = target.astype(dtype)
        found = confusion_matrix(wide[views], mask[views], 4, 255)
        assert np.array_equal(found, loop(target[views], mask[views], 4, 255)[:, :4])
        assert np.array_equal(confusion_matrix(wide.T, mask.T, 4, 255), confusion_matrix(target, mask, 4, 255))


def test_maps_of_the_other_byte_order_count_alike() -> None:
    target, mask = np.array([0, 1, 1, 299, 65535]), np.array([0, 1, 299, 299, 7])
    for K, kept in ((2, slice(3)), (300, slice(None))):
        expected = loop(target[kept], mask[kept], K, 65535)
        for order in ("<u2", ">u2"):
            swapped = target[kept].astype(order), mask[kept].astype(order)
            assert np.array_equal(confusion_matrix(*swapped, K, 65535, others=True), expected)


@given(
    K=st.sampled_from([1, 2, 19, 150, 254, 255, 256, 300]),
    types=st.tuples(st.sampled_from(NARROW_WIDE), st.sampled_from(NARROW_WIDE)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_counts_equal_a_loop_over_pixels_in_every_type(K: int, types: tuple[type, type], seed: int) -> None:
    generator = np.random.default_rng(seed)
    true_type, predicted_type = types
    ignored = 255 if K <= 255 else 65535
    target = generator.integers(0, min(K, int(np.iinfo(true_type).max) + 1), (7, 9)).astype(true_type)
    if ignored <= np.iinfo(true_type).max:
        target[generator.random(target.shape) < 0.2] = ignored
    mask = generator.integers(0, min(K + 40, int(np.iinfo(predicted_type).max) + 1), (7, 9)).astype(predicted_type)
    expected = loop(target, mask, K, ignored)
    assert np.array_equal(confusion_matrix(target, mask, K, ignored, others=True), expected)
    tensors = torch.from_numpy(target.astype(np.int32)), torch.from_numpy(mask)
    assert np.array_equal(device_confusion(*tensors, K, ignored, others=True), expected)
    inside = np.minimum(mask.astype(np.int64), K - 1).astype(predicted_type)
    found = confusion_matrix(target, inside, K, ignored)
    assert found.dtype == np.int64
    assert found.flags.c_contiguous
    assert np.array_equal(found, loop(target, inside, K, ignored)[:, :K])
    halves = [confusion_matrix(target[part], inside[part], K, ignored) for part in (slice(3), slice(3, None))]
    assert np.array_equal(sum(halves), found)


def test_counts_stay_exact_beyond_the_whole_numbers_of_float32() -> None:
    target = np.zeros(2**24 + 2**20 + 3, np.uint8)
    mask = np.zeros_like(target)
    mask[-5:] = 1
    target[:7] = 255
    for wide in (target, target.astype(np.uint16)):
        assert confusion_matrix(wide, mask, 2, 255).tolist() == [[target.size - 12, 5], [0, 0]]


@pytest.mark.parametrize("K", [19, 150, 255])
def test_a_large_map_of_every_pair_equals_bincount(K: int) -> None:
    generator = np.random.default_rng(K)
    target, mask = generator.integers(0, K, (2, 700, 1100), np.uint8)
    target[generator.random(target.shape) < 0.1] = 255
    expected = by_bincount(target, mask, K, 255)
    assert np.array_equal(confusion_matrix(target, mask, K, 255), expected)
    assert np.array_equal(confusion_matrix(target.astype(np.int64), mask.astype(np.uint16), K, 255), expected)
    assert np.array_equal(device_confusion(torch.from_numpy(target), torch.from_numpy(mask), K, 255), expected)


def test_counting_on_a_device_refuses_what_counting_here_refuses_and_leaves_its_maps_alone() -> None:
    target, mask = torch.tensor([[0, 1, 255]]), torch.tensor([[0, 7, 9]])
    with pytest.raises(ValueError, match="mask holds ids 0 to 7, classes are 0 to 1"):
        device_confusion(target, mask, 2, 255)
    with pytest.raises(ValueError, match="target holds ids 0 to 7, classes are 0 to 1"):
        device_confusion(mask[:, :2], target[:, :2], 2, 255)
    with pytest.raises(ValueError, match=r"target is \(1, 3\), mask is \(3, 1\)"):
        device_confusion(target, mask.T, 2, 255)
    assert device_confusion(target, mask, 2, 255, others=True).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert (target.tolist(), mask.tolist()) == ([[0, 1, 255]], [[0, 7, 9]])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_counts_what_a_cpu_counts() -> None:
    generator = np.random.default_rng(0)
    target, mask = generator.integers(0, 19, (2, 300, 500), np.uint8)
    target[:20] = 255
    found = device_confusion(torch.from_numpy(target).cuda(), torch.from_numpy(mask).cuda(), 19, 255)
    assert np.array_equal(found, confusion_matrix(target, mask, 19, 255))
