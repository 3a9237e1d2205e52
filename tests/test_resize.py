"""The one rule by which a picture is brought to the network's size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segformer_cli.errors import UsageError
from segformer_cli.resize import NATIVE, SizePolicy, parse_size, resize_image


@pytest.mark.parametrize(
    ("source", "fitted", "aligned"),
    [
        ((480, 640), (512, 683), (512, 704)),
        ((500, 3000), (341, 2048), (352, 2048)),
        ((640, 480), (683, 512), (704, 512)),
    ],
)
def test_ade20k_sizes_are_those_of_the_released_pipeline(
    source: tuple[int, int], fitted: tuple[int, int], aligned: tuple[int, int]
) -> None:
    policy = SizePolicy(short=512, long=2048)
    assert policy.fitted(source) == fitted
    assert policy.aligned(source) == aligned


def test_native_size_only_rounds_up() -> None:
    assert NATIVE.aligned((360, 480)) == (384, 480)
    assert NATIVE.aligned((1024, 2048)) == (1024, 2048)
    assert NATIVE.aligned((1, 1)) == (32, 32)


def test_size_is_a_short_side_a_box_or_native() -> None:
    assert parse_size("512").fitted((1000, 2000)) == (512, 1024)
    assert parse_size("512x512").fitted((1000, 2000)) == (256, 512)
    assert parse_size("native") == NATIVE
    for wrong in ("0", "axb", "512x", "1x2x3", "-5", "", "Native"):
        with pytest.raises(UsageError, match="is no size"):
            parse_size(wrong)


def test_a_size_beyond_what_machines_hold_is_refused_and_the_largest_is_not() -> None:
    assert parse_size("16384").short == 16384
    for wrong in ("16385", "512x999999"):
        with pytest.raises(UsageError, match=f"--size {wrong} is too large") as caught:
            parse_size(wrong)
        assert caught.value.hint == "a side has at most 16384 pixels"


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(32, 1024))
def test_the_aspect_ratio_is_kept_before_alignment(height: int, width: int, short: int) -> None:
    policy = SizePolicy(short=short)
    new_h, new_w = policy.fitted((height, width))
    assert min(new_h, new_w) == short
    assert abs(new_w * height - new_h * width) <= max(height, width)
    assert all(side % 32 == 0 and 0 <= side - before < 32 for side, before in zip(
        policy.aligned((height, width)), (new_h, new_w), strict=True
    ))


def test_a_picture_is_resized_in_two_bilinear_steps() -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (48, 1, 3))
    assert resize_image(ramp, SizePolicy(short=96)).shape == (96, 128, 3)
    same = resize_image(ramp[:, :, :], SizePolicy(align=16))
    assert np.array_equal(same, ramp)
