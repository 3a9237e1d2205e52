"""Digital corruptions: colours worked out by hand, what the two modes share, and where rounding parts them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from segformer_cli.errors import ImageError
from segformer_cli.images import Picture
from segformer_cli.robustness.digital import brightness, contrast, jpeg_compression, pixelate, saturate
from segformer_cli.robustness.elastic import elastic_transform
from segformer_cli.robustness.source import Random, Source

SEVERITIES = range(1, 6)
FAST, REFERENCE = np.random.default_rng(0), np.random.RandomState(0)

# A few colours, so that equal channels, grey, black and white are as likely as all else.
colour_levels = st.sampled_from([0, 1, 2, 50, 100, 101, 127, 128, 200, 254, 255]) | st.integers(0, 255)
pictures = arrays(np.uint8, st.tuples(st.integers(32, 36), st.integers(32, 40), st.just(3)), elements=colour_levels)


def flat(*colour: int) -> Source:
    return Source(np.full((32, 32, 3), colour, np.uint8))


def colour_after(picture: Picture) -> list[int]:
    """The one colour of a picture."""
    (colour,) = np.unique(picture.reshape(-1, 3), axis=0)
    return [int(level) for level in colour]


def noisy_picture(height: int = 96, width: int = 128) -> Picture:
    """A gradient with grain: no flat areas, all colours."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:height, :width]
    ramp = np.stack([rows * 255 / height, columns * 255 / width, (rows + columns) * 255 / (height + width)], axis=-1)
    return np.clip(ramp + rng.normal(0, 12, ramp.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("rng", [FAST, REFERENCE])
def test_brightness_adds_to_the_largest_channel_and_scales_the_others_with_it(rng: Random) -> None:
    # V: 100 + 25.5 = 125.5, truncated; with the others 0.5 and 0.25 of it: 62.75 and 31.375.
    assert colour_after(brightness(flat(100, 50, 25), 1, rng)) == [125, 62, 31]
    # V: 200 + 127.5 is cut at 255; 100 of 200 becomes 127.5.
    assert colour_after(brightness(flat(100, 200, 0), 5, rng)) == [127, 255, 0]
    # Black has no hue: grey.
    assert colour_after(brightness(flat(0, 0, 0), 3, rng)) == [76, 76, 76]


@pytest.mark.parametrize("rng", [FAST, REFERENCE])
def test_saturate_moves_the_smaller_channels_away_from_the_largest_or_towards_it(rng: Random) -> None:
    # S times 0.3: the distances of 100 and 50 become 30 and 15.
    assert colour_after(saturate(flat(50, 150, 100), 1, rng)) in ([120, 150, 135], [119, 150, 135], [120, 150, 134])
    # S of 0.2 times 5 and 0.1 more is cut at 1: the smallest channel is black, that between keeps its place.
    assert colour_after(saturate(flat(160, 180, 200), 4, rng)) == [0, 100, 200]


@pytest.mark.parametrize("rng", [FAST, REFERENCE])
def test_saturate_turns_grey_reddish_where_saturation_is_added(rng: Random) -> None:
    assert colour_after(saturate(flat(100, 100, 100), 3, rng)) == [100, 100, 100]
    assert colour_after(saturate(flat(100, 100, 100), 4, rng)) == [100, 90, 90]
    assert colour_after(saturate(flat(100, 100, 100), 5, rng)) == [100, 80, 80]
    assert colour_after(saturate(flat(0, 0, 0), 5, rng)) == [0, 0, 0]


@pytest.mark.parametrize("function", [brightness, saturate])
@settings(max_examples=25, deadline=None)
@given(picture=pictures, severity=st.sampled_from(SEVERITIES))
def test_the_modes_differ_by_a_level_at_most(function: type, picture: Picture, severity: int) -> None:
    fast = function(Source(picture), severity, FAST).astype(int)
    reference = function(Source(picture), severity, REFERENCE)
    assert np.abs(fast - reference).max() <= 1


def test_pictures_wider_than_a_strip_change_as_their_parts_do() -> None:
    picture = np.tile(noisy_picture(32, 128), (3, 800, 1))
    assert picture.shape[1] > 2**16
    for function in (brightness, saturate):
        whole = function(Source(picture), 4, FAST)
        assert np.array_equal(whole[40:, :128], function(Source(picture[40:, :128]), 4, FAST))


@pytest.mark.parametrize("rng", [FAST, REFERENCE])
def test_contrast_draws_each_channel_towards_its_own_mean(rng: Random) -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:16] = 20, 100, 200
    picture[16:] = 41, 101, 255
    # Means 30.5, 100.5, 227.5; a distance of 10.5, 0.5, 27.5 from it becomes 0.4 of that.
    changed = contrast(Source(picture), 1, rng)
    assert changed[0, 0].tolist() == [26, 100, 216]
    assert changed[-1, 0].tolist() == [34, 100, 238]


@settings(max_examples=25, deadline=None)
@given(picture=pictures, severity=st.sampled_from(SEVERITIES))
def test_contrast_is_the_formula_in_float64(picture: Picture, severity: int) -> None:
    factor, x = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1], picture / 255.0
    means = np.mean(x, axis=(0, 1), keepdims=True)
    expected = np.uint8(np.clip((x - means) * factor + means, 0, 1) * 255)
    assert np.array_equal(contrast(Source(picture), severity, REFERENCE), expected)
    assert np.abs(contrast(Source(picture), severity, FAST).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_is_the_same_in_both_modes_where_nothing_comes_out_whole(severity: int) -> None:
    source = Source(noisy_picture(97, 131))
    assert np.array_equal(contrast(source, severity, FAST), contrast(source, severity, REFERENCE))


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("size_hw", [(96, 128), (33, 47), (97, 131)])
def test_jpeg_is_what_pillow_makes_of_it(size_hw: tuple[int, int], severity: int) -> None:
    picture, file = noisy_picture(*size_hw), io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=(25, 18, 15, 10, 7)[severity - 1])
    assert np.array_equal(jpeg_compression(Source(picture), severity, FAST), np.asarray(Image.open(file)))


def test_pictures_that_jpeg_cannot_hold_are_refused() -> None:
    with pytest.raises(ImageError, match="JPEG cannot hold 65501 x 32 pixels"):
        jpeg_compression(Source(np.zeros((32, 65501, 3), np.uint8)), 1, FAST)


def test_pixelate_shows_the_mean_of_each_box_all_over_it() -> None:
    picture = noisy_picture(40, 60)
    halves = pixelate(Source(picture), 2, FAST)
    means = picture.reshape(20, 2, 30, 2, 3).mean((1, 3)).repeat(2, 0).repeat(2, 1)
    assert np.abs(halves - means).max() <= 1                                        # Pillow rounds on either way
    assert np.array_equal(halves[::2, ::2].repeat(2, 0).repeat(2, 1), halves)
    quarters = pixelate(Source(picture), 5, FAST)
    assert len(np.unique(quarters.reshape(-1, 3), axis=0)) <= 10 * 15


@settings(max_examples=25, deadline=None)
@given(height=st.integers(32, 200), width=st.integers(32, 200), severity=st.sampled_from(SEVERITIES))
def test_pixelate_is_pillows_box_and_nearest_at_any_size(height: int, width: int, severity: int) -> None:
    picture, share = noisy_picture(height, width), (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    small = Image.fromarray(picture).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    expected = np.asarray(small.resize((width, height), Image.Resampling.NEAREST))
    assert np.array_equal(pixelate(Source(picture), severity, FAST), expected)


@pytest.mark.parametrize("rng", [FAST, REFERENCE])
def test_elastic_leaves_a_flat_picture_flat(rng: Random) -> None:
    assert colour_after(elastic_transform(flat(10, 120, 255), 5, rng)) == [10, 120, 255]


def test_elastic_moves_neighbours_alike_and_everything_further_at_higher_severities() -> None:
    # The level of a ramp says where a point came from: a level is half a pixel, moves are up to ten pixels.
    ramp = np.repeat(np.tile(np.arange(100, 200, dtype=np.uint8).repeat(2), (400, 1))[..., None], 3, axis=-1)
    spreads = []
    for severity in SEVERITIES:
        moved = elastic_transform(Source(ramp), severity, np.random.default_rng(severity))[..., 0]
        moves = (moved - np.arange(100, 200).repeat(2)[None])[:, 20:-20] * 2.0
        spreads.append(moves.std())
        assert abs(moves.mean()) < 1
        assert np.corrcoef(moves[1:].ravel(), moves[:-1].ravel())[0, 1] > 0.8
    # Even pushes within 0.5 % of the height, blurred over 1 % of either side, times the stretch of the severity.
    blurred = 0.005 * 400 / 3**0.5 / (4 * np.pi * 4 * 2) ** 0.5
    assert np.allclose(spreads, np.array([12.5, 16.25, 21.25, 25, 30]) * blurred, rtol=0.2, atol=0.6)


def test_elastic_pushes_come_from_the_legacy_stream_across_before_down() -> None:
    picture = noisy_picture(64, 100)
    first, again = (elastic_transform(Source(picture), 3, np.random.RandomState(8)) for _ in range(2))
    assert np.array_equal(first, again)
    after = np.random.RandomState(8)
    elastic_transform(Source(picture), 3, after)
    two_fields = np.random.RandomState(8)
    two_fields.uniform(size=(2, 64, 100))
    assert after.uniform() == two_fields.uniform()
