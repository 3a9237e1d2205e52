"""The filters that corruptions share, against sums written out pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segformer_cli.robustness import filters
from segformer_cli.robustness.filters import central, correlation, enlarged, gaussian, merged, motion_kernel, smoothed


def by_loop(plane: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float64]:
    """Correlation, one weight after the other, in float64."""
    reach = len(kernel) // 2
    padded = np.pad(plane.astype(np.float64), reach, mode="edge")
    total = np.zeros(plane.shape)
    for row, column in np.argwhere(kernel):
        total += kernel[row, column] * padded[row : row + plane.shape[0], column : column + plane.shape[1]]
    return total


def test_a_gaussian_spreads_one_pixel_by_its_weights_up_to_four_sigma() -> None:
    plane = np.zeros((15, 15), np.float32)
    plane[7, 7] = 1
    weights = np.array([math.exp(-(step**2) / 2) for step in range(-4, 5)])
    weights /= weights.sum()
    expected = np.zeros((15, 15))
    expected[3:12, 3:12] = weights[:, None] * weights
    assert gaussian(plane, 1) == pytest.approx(expected, abs=1e-7)


def test_a_gaussian_takes_what_lies_beyond_the_edge_for_its_outermost_pixel() -> None:
    ramp = np.zeros((9, 9), np.float64)
    ramp[:, 0] = 1
    side = [math.exp(-(step**2) / 2) for step in range(5)]
    whole = side[0] + 2 * sum(side[1:])
    # The first column stands for itself and all four to its left.
    assert gaussian(ramp, 1)[4, :3] == pytest.approx([sum(side[k:]) / whole for k in range(3)], abs=1e-12)


def test_a_gaussian_keeps_float64_and_makes_float32_of_all_else() -> None:
    assert gaussian(np.ones((8, 8), np.float64), 1).dtype == np.float64
    assert gaussian(np.ones((8, 8), np.float32), 1).dtype == np.float32
    assert gaussian(np.ones((8, 8, 3), np.uint8), 1).dtype == np.float32


@pytest.mark.parametrize("sigma", [0.7, 0.9, 1, 1.1, 1.5, 2, 3, 4, 6])
def test_a_flat_picture_keeps_its_level_when_smoothed_or_loses_just_one(sigma: float) -> None:
    for level in (0, 1, 77, 128, 254, 255):
        plain = np.full((60, 60, 3), level, np.uint8)
        after = smoothed(plain, sigma)
        assert len(np.unique(after)) == 1
        assert level - 1 <= int(after[0, 0, 0]) <= level


def test_smoothing_cuts_towards_zero() -> None:
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[:, 10:] = 1
    # Up to column 13 a 0 is within four columns: all there is below 1, if only by a weight of 0.00013.
    assert not smoothed(picture, 1)[:, :14].any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 21), st.integers(1, 60), st.integers(1, 60), st.floats(0, 0.3))
def test_a_correlation_is_the_sum_of_weighted_shifts(
    seed: int, reach: int, height: int, width: int, density: float
) -> None:
    rng = np.random.default_rng(seed)
    plane = rng.uniform(0, 255, (height, width)).astype(np.float32)
    side = 2 * reach + 1
    kernel = np.where(rng.random((side, side)) < density, rng.random((side, side)), 0).astype(np.float32)
    assert correlation(plane, kernel) == pytest.approx(by_loop(plane, kernel), rel=1e-5, abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 21), st.floats(0, 1))
def test_the_pieces_of_a_kernel_are_small_and_make_up_the_whole(seed: int, reach: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    side = 2 * reach + 1
    kernel = (rng.random((side, side)) < density).astype(np.float32)
    whole = np.zeros_like(kernel)
    for top, left, piece in filters._pieces(kernel):
        assert piece.size < filters.DIRECT
        whole[top : top + piece.shape[0], left : left + piece.shape[1]] += piece
    assert np.array_equal(whole, kernel)


def test_a_motion_along_rows_takes_ever_less_from_ahead_and_nothing_from_behind() -> None:
    kernel = motion_kernel(radius=2, sigma=1, degrees=0, size_hw=(50, 50))
    weights = np.array([math.exp(-(step**2) / 2) for step in range(5)])
    row = np.zeros(11)
    row[5:10] = weights / weights.sum()
    assert kernel[5] == pytest.approx(row, abs=1e-7)
    assert np.count_nonzero(kernel) == 5


@pytest.mark.parametrize(
    ("degrees", "places"),
    [
        (90, [(0, 0), (1, 0), (2, 0)]),
        (-90, [(0, 0), (-1, 0), (-2, 0)]),
        (45, [(0, 0), (1, 1), (1, 1)]),             # the second step is 1.41 pixels along each axis: one
        (-45, [(0, 0), (-1, 1), (-1, 1)]),
        (30, [(0, 0), (0, 1), (1, 2)]),             # 0.5 rows down is still this row
    ],
)
def test_a_motion_steps_to_the_nearest_pixel(degrees: float, places: list[tuple[int, int]]) -> None:
    kernel = motion_kernel(radius=1, sigma=2, degrees=degrees, size_hw=(50, 50))
    weights = np.array([math.exp(-(step**2) / 8) for step in range(3)])
    expected = np.zeros((7, 7))
    for place, weight in zip(places, weights / weights.sum(), strict=True):
        expected[3 + place[0], 3 + place[1]] += weight
    assert kernel == pytest.approx(expected, abs=1e-7)


def test_a_motion_longer_than_the_picture_loses_what_lies_beyond() -> None:
    whole, cut = (motion_kernel(20, 15, 0, size) for size in ((100, 100), (32, 32)))
    assert whole.sum() == pytest.approx(1)
    assert np.count_nonzero(cut) == 32
    assert cut.sum() == pytest.approx(whole[41, 41:73].sum())


@settings(max_examples=200, deadline=None)
@given(st.integers(32, 5000), st.sampled_from([1.01, 1.05, 1.11, 1.3, 2, 2.5, 3, 4, 4.5]))
def test_the_central_part_covers_the_side_once_enlarged(length: int, factor: float) -> None:
    part = central(length, factor)
    assert 0 <= part.start <= length - part.stop <= part.start + 1
    assert round((part.stop - part.start) * factor) >= length


def test_enlarging_puts_corners_on_corners_and_goes_straight_between_them() -> None:
    plane = np.array([[0, 8], [4, 12]], np.float64)
    assert enlarged(plane, 1.5).tolist() == [[0, 4, 8], [2, 6, 10], [4, 8, 12]]
    assert enlarged(plane, 1.25).tolist() == [[0, 8], [4, 12]]                # 2.5 rounds to the even 2
    assert enlarged(plane.astype(np.float32), 1.5).dtype == np.float32


def test_a_last_row_that_rounding_puts_beyond_the_plane_is_black() -> None:
    # As scipy.ndimage.zoom does: (87 - 1) * (28 / 86) is more than 28 in float64, by a hair.
    high = enlarged(np.ones((29, 10), np.float32), 3)
    assert high.shape == (87, 30)
    assert high[:-1] == pytest.approx(1)
    assert not high[-1].any()
    assert not enlarged(np.ones((10, 29), np.float32), 3)[:, -1].any()


def test_planes_are_merged_as_channels_and_cut_towards_zero() -> None:
    planes = [np.full((2, 3), level, np.float32) for level in (1.99, -5, 300)]
    assert np.unique(merged(planes).reshape(-1, 3), axis=0).tolist() == [[1, 0, 255]]
