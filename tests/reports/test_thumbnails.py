"""Thumbnails: true colours, small size, errors that stay visible."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from segformer_cli.classes import default_palette
from segformer_cli.reports.parts import Thumbnail
from segformer_cli.reports.thumbnails import (
    CONTACT_BYTES,
    CONTACT_SIDE,
    CORRECT,
    IGNORED,
    SMALLEST,
    WRONG,
    error_map,
    error_thumbnail,
    mask_thumbnail,
    picture_thumbnail,
)


def decoded(thumbnail: Thumbnail) -> np.ndarray:
    data = base64.b64decode(thumbnail.uri.partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def test_right_pixels_are_grey_wrong_ones_red_and_ignored_ones_black() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = 255
    target = np.array([[0, 1], [1, 255]], np.uint8)
    mask = np.array([[0, 0], [1, 0]], np.uint8)
    assert error_map(image, target, mask, 255).tolist() == [
        [[200, 200, 200], list(WRONG)],
        [[90, 90, 90], list(IGNORED)],
    ]
    assert CORRECT[0] in range(90, 201)


def test_an_ignored_pixel_is_never_an_error() -> None:
    image = np.full((4, 4, 3), 77, np.uint8)
    target = np.full((4, 4), 65535, np.uint16)
    assert not error_map(image, target, np.zeros((4, 4), np.uint16), 65535).any()


@pytest.mark.parametrize("wrong", ["image", "mask"])
def test_a_map_of_errors_needs_one_size(wrong: str) -> None:
    image = np.zeros((3 if wrong == "image" else 2, 2, 3), np.uint8)
    mask = np.zeros((2, 3 if wrong == "mask" else 2), np.uint8)
    with pytest.raises(ValueError, match="mask is"):
        error_map(image, np.zeros((2, 2), np.uint8), mask, 255)


def test_a_mask_keeps_exactly_the_colours_of_its_classes() -> None:
    palette = default_palette(300)
    mask = np.arange(300, dtype=np.uint16).reshape(15, 20)
    mask[0, 0] = 65535
    shown = decoded(mask_thumbnail("mask", mask, palette, 65535))
    expected = np.array(palette, np.uint8)[np.arange(300)].reshape(15, 20, 3)
    expected[0, 0] = 0
    assert np.array_equal(shown, expected)


def test_a_large_mask_shrinks_without_new_colours() -> None:
    palette = default_palette(3)
    # Ids 0 and 2: a mean of the two would be class 1, which is not there.
    mask = 2 * np.random.default_rng(0).integers(0, 2, (1024, 2048)).astype(np.uint8)
    shown = decoded(mask_thumbnail("mask", mask, palette, 255))
    assert shown.shape == (200, 400, 3)
    assert {tuple(colour) for colour in shown.reshape(-1, 3).tolist()} == {palette[0], palette[2]}


def test_a_picture_keeps_its_shape_and_colours() -> None:
    picture = np.zeros((600, 300, 3), np.uint8)
    picture[...] = (200, 100, 30)
    shown = decoded(picture_thumbnail("picture", picture))
    assert shown.shape == (400, 200, 3)
    assert np.abs(shown.astype(int) - picture[:400, :200]).max() <= 4


def test_a_small_picture_is_not_enlarged_and_a_thin_one_keeps_a_pixel() -> None:
    assert decoded(picture_thumbnail("picture", np.zeros((3, 5, 3), np.uint8))).shape == (3, 5, 3)
    assert decoded(picture_thumbnail("picture", np.zeros((1, 4000, 3), np.uint8))).shape == (1, 400, 3)


def test_an_error_of_a_few_pixels_leaves_a_red_trace() -> None:
    image = np.full((1000, 2000, 3), 128, np.uint8)
    target = np.zeros((1000, 2000), np.uint8)
    mask = target.copy()
    mask[501:504, 702:705] = 1
    shown = decoded(error_thumbnail("errors", error_map(image, target, mask, 255))).astype(int)
    redness = shown[..., 0] - shown[..., 1]
    assert np.unravel_index(redness.argmax(), redness.shape) == (100, 140)
    assert redness.max() > 30
    assert np.abs(redness[:80]).max() <= 3


def test_twenty_rows_of_thumbnails_leave_room_in_five_megabytes() -> None:
    rng = np.random.default_rng(0)
    photograph = cv2.resize(rng.integers(0, 256, (64, 128, 3)).astype(np.uint8), (2048, 1024))
    ids = cv2.resize(rng.integers(0, 150, (32, 64)).astype(np.uint8), (2048, 1024), interpolation=cv2.INTER_NEAREST)
    wrong = np.roll(ids, 9, 1)
    thumbnails = [
        picture_thumbnail("picture", photograph),
        mask_thumbnail("target", ids, default_palette(150), 255),
        mask_thumbnail("mask", wrong, default_palette(150), 255),
        error_thumbnail("errors", error_map(photograph, ids, wrong, 255)),
    ]
    assert sum(len(thumbnail.uri) for thumbnail in thumbnails) < 200_000


@pytest.mark.parametrize("hw", [(1024, 2048), (480, 360)])
def test_no_thumbnail_of_a_contact_sheet_is_heavy_not_even_of_noise(hw: tuple[int, int]) -> None:
    lot = np.random.default_rng(0)
    noise = lot.integers(0, 256, (*hw, 3)).astype(np.uint8)
    mask = lot.integers(0, 150, hw).astype(np.uint8)
    picture = picture_thumbnail("picture", noise, CONTACT_SIDE, CONTACT_BYTES)
    drawn = mask_thumbnail("mask", mask, default_palette(150), 255, CONTACT_SIDE, CONTACT_BYTES)
    assert len(picture.uri) <= CONTACT_BYTES and len(drawn.uri) <= CONTACT_BYTES
    # Without the bound the mask is heavier; 19 corruptions x 5 severities x 2 pictures with it fit into 5 MB.
    assert len(mask_thumbnail("mask", mask, default_palette(150), 255, CONTACT_SIDE).uri) > CONTACT_BYTES
    assert 19 * 5 * 2 * CONTACT_BYTES < 5_000_000


def test_a_light_picture_keeps_its_size_and_no_bound_makes_it_too_small_to_see() -> None:
    flat = np.full((200, 400, 3), 90, np.uint8)
    assert decoded(picture_thumbnail("x", flat, 300, CONTACT_BYTES)).shape == (150, 300, 3)
    assert decoded(picture_thumbnail("x", flat, 300, most_bytes=1)).shape == (SMALLEST // 2, SMALLEST, 3)
