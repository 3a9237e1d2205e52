"""What training does to a picture and its target."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segformer_cli.data import transforms
from segformer_cli.data.dataset import TrainCrops
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.transforms import (
    Augmentation,
    choose_crop,
    distort_bands,
    distort_colours,
    normalise,
    pad_to,
    resized_part,
)
from segformer_cli.errors import SegFormerError
from tests.data.draws import Draws

IGNORE = 255


def picture_of_ids(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture whose red is 40 times its target's id, in squares of 8 pixels."""
    rows, columns = np.indices((height, width)) // 8
    target = ((rows + columns) % 5).astype(np.uint8)
    return np.repeat((target * 40)[..., None], 3, axis=2), target


def plain(**changes: object) -> Augmentation:
    return Augmentation(**{"crop_size": (64, 64), "photometric": "off", "cat_max_ratio": 1.0, **changes})  # type: ignore[arg-type]


def test_image_and_target_get_the_same_geometry() -> None:
    image, target = picture_of_ids(96, 160)
    augment = plain(scale_range=(2.0, 2.0), flip=0.5)
    for seed in range(8):
        crop, ids = augment(image, target, IGNORE, np.random.default_rng(seed))
        assert crop.shape == (64, 64, 3)
        inside = cv2.erode((cv2.Laplacian(ids, cv2.CV_16S) == 0).astype(np.uint8), np.ones((5, 5))).astype(bool)
        assert inside.mean() > 0.3
        assert np.array_equal(crop[..., 0][inside], ids[inside] * 40)


def test_a_scaled_picture_smaller_than_the_crop_is_taken_whole() -> None:
    image, target = picture_of_ids(96, 160)
    crop, ids = plain(scale_range=(0.5, 0.5), flip=0.0)(image, target, IGNORE, np.random.default_rng(0))
    assert crop.shape == (48, 64, 3)
    assert ids.shape == (48, 64)


@pytest.mark.parametrize(("shape", "expected"), [((500, 1000), (512, 1024)), ((1000, 500), (1024, 512))])
def test_the_base_size_bounds_long_and_short_side_whatever_the_orientation(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    image, target = picture_of_ids(*shape)
    augment = plain(crop_size=(4096, 4096), base_size=(512, 2048), scale_range=(1.0, 1.0), flip=0.0)
    assert augment(image, target, IGNORE, np.random.default_rng(0))[1].shape == expected


def test_a_flip_mirrors_both() -> None:
    image, target = picture_of_ids(64, 64)
    image[:, 0] = 255
    crop, ids = plain(scale_range=(1.0, 1.0), flip=1.0)(image, target, IGNORE, np.random.default_rng(0))
    assert (crop[:, -1] == 255).all()
    assert np.array_equal(ids, target[:, ::-1])


def test_a_crop_avoids_one_class_filling_it_when_it_can() -> None:
    target = np.zeros((64, 256), np.uint8)
    target[:, 200:] = 1
    boxes = [choose_crop(target, (64, 64), 0.75, IGNORE, np.random.default_rng(seed)) for seed in range(40)]
    mixed = [np.bincount(target[box].ravel(), minlength=2).max() < 0.75 * 64 * 64 for box in boxes]
    plain_boxes = [choose_crop(target, (64, 64), 1.0, IGNORE, np.random.default_rng(seed)) for seed in range(40)]
    plain_mixed = [np.bincount(target[box].ravel(), minlength=2).max() < 0.75 * 64 * 64 for box in plain_boxes]
    assert sum(mixed) > 2 * sum(plain_mixed)


def boxes_tried(target: np.ndarray) -> int:
    draws = Draws(shares=[0.5] * 100)
    choose_crop(target, (64, 64), 0.75, IGNORE, draws)  # type: ignore[arg-type]
    return len(draws.asked) // 2


def test_ignored_pixels_do_not_count_towards_the_share_of_a_class() -> None:
    target = np.full((80, 80), IGNORE, np.uint8)
    target[30:34, ::2], target[30:34, 1::2] = 0, 1
    assert boxes_tried(target) == 1


def test_ten_boxes_of_one_class_are_passed_over_and_the_eleventh_is_taken() -> None:
    target = np.zeros((80, 80), np.uint8)
    assert boxes_tried(target) == 11
    target[:, ::8] = 1
    assert boxes_tried(target) == 11    # 7 of 8 columns are one class: more than 75 %
    target[:, ::4] = 1
    assert boxes_tried(target) == 11    # 3 of 4: not less than 75 %
    target[:, ::3] = 1
    assert boxes_tried(target) == 1


def test_the_last_box_is_kept_if_none_passes() -> None:
    shares = [0.0, 0.0] * 10 + [0.5, 0.99]
    box = choose_crop(np.zeros((80, 100), np.uint8), (64, 64), 0.75, IGNORE, Draws(shares=shares))  # type: ignore[arg-type]
    assert box == (slice(8, 72), slice(36, 100))


def test_a_ratio_of_one_takes_the_first_box() -> None:
    draws = Draws(shares=[0.5] * 2)
    choose_crop(np.zeros((80, 80), np.uint8), (64, 64), 1.0, IGNORE, draws)  # type: ignore[arg-type]
    assert draws.asked == [(0, 17), (0, 17)]


def test_a_wanted_class_lies_in_the_middle_half_of_its_crop() -> None:
    target = np.zeros((200, 300), np.uint8)
    target[100, 150] = 1
    for seed in range(30):
        rows, columns = choose_crop(target, (64, 32), 0.75, IGNORE, np.random.default_rng(seed), wanted=1)
        assert 16 <= 100 - rows.start <= 48
        assert 8 <= 150 - columns.start <= 24
        assert (rows.stop - rows.start, columns.stop - columns.start) == (64, 32)


def test_a_wanted_class_at_the_border_is_in_the_crop_and_an_absent_one_changes_nothing() -> None:
    target = np.zeros((100, 100), np.uint8)
    target[99, 0] = 1
    for seed in range(20):
        box = choose_crop(target, (64, 64), 1.0, IGNORE, np.random.default_rng(seed), wanted=1)
        assert (target[box] == 1).any()
        absent = choose_crop(target, (64, 64), 1.0, IGNORE, np.random.default_rng(seed), wanted=7)
        assert absent == choose_crop(target, (64, 64), 1.0, IGNORE, np.random.default_rng(seed))


@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    crop=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    wanted=st.none() | st.integers(0, 2),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_a_crop_lies_within_its_picture_whatever_the_sizes(
    size: tuple[int, int], crop: tuple[int, int], wanted: int | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, size).astype(np.uint8)
    for box, side, length in zip(choose_crop(target, crop, 0.75, IGNORE, rng, wanted), size, crop, strict=True):
        assert 0 <= box.start < box.stop <= side
        assert box.stop - box.start == min(side, length)


@given(
    size=st.tuples(st.integers(8, 300), st.integers(8, 300)),
    base=st.tuples(st.integers(16, 128), st.integers(16, 256)),
    share=st.floats(0, 1, exclude_max=True),
)
@settings(deadline=None, max_examples=60)
def test_a_picture_is_fitted_into_the_base_size_times_a_number_between_the_bounds(
    size: tuple[int, int], base: tuple[int, int], share: float
) -> None:
    image, target = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    draws = Draws(coins=[False], shares=[share, 0, 0])
    _, found = plain(crop_size=(999, 999), base_size=base)(image, target, IGNORE, draws)  # type: ignore[arg-type]
    assert draws.asked[0] == (0.5, 2.0)
    ratio = 0.5 + share * 1.5
    scaled = int(base[0] * ratio), int(base[1] * ratio)
    factor = min(max(scaled) / max(size), min(scaled) / min(size))
    assert found.shape == (max(1, int(size[0] * factor + 0.5)), max(1, int(size[1] * factor + 0.5)))


def test_the_draws_of_a_crop_are_scale_place_flip_and_colours() -> None:
    image, target = picture_of_ids(96, 160)
    draws = Draws(coins=[True] * 6, shares=[0.5] * 20)
    Augmentation(crop_size=(64, 64))(image, target, IGNORE, draws)  # type: ignore[arg-type]
    scale, place, flip = [(0.5, 2.0)], [(0, 120 - 64 + 1), (0, 200 - 64 + 1)], ["coin"]
    brightness, contrast = ["coin", (-32, 32)], ["coin", "coin", (0.5, 1.5)]
    saturation, hue = ["coin", (0.5, 1.5)], ["coin", (-18, 18)]     # the upper end of whole numbers is left out
    assert draws.asked == [*scale, *place, *flip, *brightness, *contrast, *saturation, *hue]


def test_brightness_clips_and_truncates() -> None:
    image = np.full((2, 2, 3), 250, np.uint8)
    values = set()
    for seed in range(200):
        out = distort_colours(image, np.random.default_rng(seed), full=False)
        assert (out == out[0, 0, 0]).all()
        values.add(int(out[0, 0, 0]))
    assert max(values) == 255
    assert min(values) >= 250 - 32
    assert 250 in values  # half of the pictures are left alone


def test_each_step_of_colours_clips_and_truncates_before_the_next() -> None:
    grey = np.full((1, 1, 3), 250, np.uint8)
    # Brightness +16 gives 255, not 266; contrast x 0.75 of it 191.25, cut to 191.
    draws = Draws(coins=[True, True, True, False, False], shares=[0.75, 0.25])
    assert distort_colours(grey, draws).ravel().tolist() == [191] * 3  # type: ignore[arg-type]
    # Nothing below 0 comes back: 20 - 32 gives 0, and contrast x 1.25 of it 0.
    draws = Draws(coins=[True, False, False, False, True], shares=[0.0, 0.75])
    assert distort_colours(np.full((1, 1, 3), 20, np.uint8), draws).max() == 0  # type: ignore[arg-type]


def as_written_down(
    image: np.ndarray, first: bool, coins: tuple[bool, ...], numbers: tuple[float, float, float, float]
) -> np.ndarray:
    """Colours by the words of the recipe (spec 3.3, step 5), in plain arithmetic."""
    brightness, contrast, saturation, hue = numbers

    def scaled(values: np.ndarray, factor: float, offset: float) -> np.ndarray:
        return np.clip(values.astype(np.float32) * factor + offset, 0, 255).astype(np.uint8)

    if coins[0]:
        image = scaled(image, 1.0, -32 + 64 * brightness)
    if first and coins[1]:
        image = scaled(image, 0.5 + contrast, 0.0)
    if coins[2]:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 1] = scaled(hsv[..., 1], 0.5 + saturation, 0.0)
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    if coins[3]:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + math.floor(-18 + 36 * hue)) % 180
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    if not first and coins[1]:
        image = scaled(image, 0.5 + contrast, 0.0)
    return image


share = st.floats(0, 1, exclude_max=True, width=16)


@given(
    first=st.booleans(),
    coins=st.tuples(*[st.booleans()] * 4),
    numbers=st.tuples(*[share] * 4),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=80)
def test_colours_change_as_the_recipe_has_it(
    first: bool, coins: tuple[bool, ...], numbers: tuple[float, float, float, float], seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    found = distort_colours(image, colour_draws(first, coins, numbers))  # type: ignore[arg-type]
    assert np.array_equal(found, as_written_down(image, first, coins, numbers))


def colour_draws(first: bool, coins: tuple[bool, ...], numbers: tuple[float, float, float, float]) -> Draws:
    """What makes these choices: brightness, whether contrast is first, contrast, saturation, hue."""
    order = (0, 1, 2, 3) if first else (0, 2, 3, 1)
    tosses = [coins[index] for index in order]
    return Draws([tosses[0], first, *tosses[1:]], [numbers[index] for index in order if coins[index]])


def test_hue_moves_by_a_whole_number_from_minus_18_to_17() -> None:
    image = np.full((1, 1, 3), (200, 100, 60), np.uint8)
    before = int(cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[0, 0, 0])
    for number, moved in ((0.0, -18), (0.5, 0), (0.999, 17)):
        draws = colour_draws(True, (False, False, False, True), (0, 0, 0, number))
        out = distort_colours(image, draws)  # type: ignore[arg-type]
        after = int(cv2.cvtColor(out, cv2.COLOR_RGB2HSV)[0, 0, 0])
        assert (after - before - moved + 90) % 180 - 90 in (-1, 0, 1)       # 8 bits round the way back


def test_mild_colours_are_brightness_alone() -> None:
    draws = Draws(coins=[True], shares=[0.75])
    image = np.full((1, 1, 3), 100, np.uint8)
    assert distort_colours(image, draws, full=False).ravel().tolist() == [116] * 3  # type: ignore[arg-type]
    assert draws.asked == ["coin", (-32, 32)]


@pytest.mark.parametrize(("coins", "shares", "full", "expected"), [
    ((True, True), (0.75, 0.25), True, (87.0, 31.2)),       # + 16 and + 1.6, then times 0.75
    ((True, False), (0.0,), True, (68.0, 36.8)),
    ((False, True), (0.5,), True, (100.0, 40.0)),
    ((True,), (0.75,), False, (116.0, 41.6)),
])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_bands_change_together_by_their_deviation_and_by_a_factor(
    kind: type[np.generic], coins: tuple[bool, ...], shares: tuple[float, ...], full: bool, expected: tuple[float, ...]
) -> None:
    image = np.full((4, 4, 2), 100, kind)
    image[..., 1] = 40
    found = distort_bands(image, (57.63, 5.763), Draws(coins, shares), full=full)  # type: ignore[arg-type]
    assert found.dtype == kind
    kept = expected if kind == np.float32 else np.trunc(expected)
    np.testing.assert_allclose(found[0, 0], kept, rtol=1e-5)


def test_bands_that_grow_beyond_their_type_are_clipped() -> None:
    bright = np.array([[[60_000, 10]]], np.uint16)
    found = distort_bands(bright, (1.0, 57.63), Draws((True, True), (0.0, 0.999)))  # type: ignore[arg-type]
    assert found.tolist() == [[[65535, 0]]]


def test_crops_of_many_bands_and_bits_lie_where_those_of_their_bands_do() -> None:
    rng = np.random.default_rng(0)
    image, target = rng.integers(0, 60_000, (90, 120, 6)).astype(np.uint16), rng.integers(0, 4, (90, 120), np.uint8)
    augment = plain(crop_size=(48, 40))
    for seed in range(10):
        whole, ids = augment(image, target, IGNORE, np.random.default_rng(seed))
        parts, of_three = augment(image[..., 2:5].copy(), target, IGNORE, np.random.default_rng(seed))
        assert whole.dtype == np.uint16 and (ids == of_three).all()
        np.testing.assert_allclose(whole[..., 2:5].astype(int), parts.astype(int), atol=64)
    one, _ = augment(image[..., :1], target, IGNORE, np.random.default_rng(0))
    assert one.shape == (48, 40, 1)


def test_holes_in_floating_point_bands_become_the_mean() -> None:
    image = np.array([[[1.0, np.nan], [np.inf, 4.0]]], np.float32)
    assert normalise(image, (1.0, 2.0), (1.0, 2.0)).tolist() == [[[0.0, 0.0]], [[0.0, 1.0]]]


@pytest.mark.parametrize("turned", [False, True])
def test_a_jpeg_decoded_at_a_part_of_its_size_gives_nearly_the_same_crop(tmp_path: Path, turned: bool) -> None:
    rows, columns = np.mgrid[:203, :317]
    smooth = np.stack([rows, columns * 0.7, 255 - rows], 2).clip(0, 255).astype(np.uint8)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    exif = Image.Exif()
    exif[274] = 6 if turned else 1              # the mask is drawn on the pixels as they are stored
    Image.fromarray(smooth).save(tmp_path / "images/a.jpg", quality=98, exif=exif)
    Image.fromarray((columns // 80).astype(np.uint8)).save(tmp_path / "masks/a.png")
    split = open_data(str(tmp_path), "all")
    augmentation = Augmentation(crop_size=(32, 32), base_size=(64, 100), photometric="off")
    what = split, augmentation, (0.0,) * 3, (1.0,) * 3, 0
    whole, part = TrainCrops(*what), TrainCrops(*what, fast_decode=True)
    decoded = []
    for position in range(12):
        one, other = whole[(position, 0)], part[(position, 0)]
        assert not isinstance(one, SegFormerError) and not isinstance(other, SegFormerError)
        assert (one[1] == other[1]).all()
        assert (one[0] - other[0]).abs().max() < 6
        decoded.append(split.read_reduced(split.pairs[0], (203, 317), (40, 60)).shape[:2])
    assert {*decoded} == {(51, 80)}


def test_normalised_bands_have_mean_and_deviation_taken_out() -> None:
    image = np.array([[[123.675, 116.28, 103.53], [182.07, 173.4, 160.905]]])
    bands = normalise(image, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    assert bands.shape == (3, 1, 2)
    assert bands.dtype == np.float32
    assert np.allclose(bands[:, 0, 0], 0, atol=1e-6)
    assert np.allclose(bands[:, 0, 1], 1, atol=1e-6)


def test_padding_is_the_mean_colour_and_is_ignored() -> None:
    bands, target = pad_to(np.ones((3, 2, 3), np.float32), np.ones((2, 3), np.uint8), (4, 4), IGNORE)
    assert bands.shape == (3, 4, 4)
    assert bands[:, :2, :3].min() == 1
    assert bands[:, 2:].max() == bands[:, :, 3:].max() == 0
    assert (target[2:] == IGNORE).all()
    assert (target[:, 3:] == IGNORE).all()
    assert (target[:2, :3] == 1).all()


def test_a_crop_for_training_is_normalised_before_it_is_padded(tmp_path: Path) -> None:
    for folder, value in (("images", (200, 100, 50)), ("masks", 3)):
        (tmp_path / folder).mkdir()
        shape = (40, 48, 3) if folder == "images" else (40, 48)
        Image.fromarray(np.broadcast_to(np.uint8(value), shape).copy()).save(tmp_path / folder / "a.png")
    split = open_data(str(tmp_path), "all")
    augmentation = Augmentation(crop_size=(64, 64), scale_range=(1.0, 1.0), photometric="off")
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    item = TrainCrops(split, augmentation, mean, std, seed=0)[(0, 0)]
    assert not isinstance(item, SegFormerError)
    image, target = item
    assert image.shape == (3, 64, 64)
    for band, value in enumerate((200, 100, 50)):
        expected = (value - mean[band]) / std[band]
        np.testing.assert_allclose(image[band, :40, :48], expected, rtol=1e-5)
    assert image[:, 40:].abs().max() == image[:, :, 48:].abs().max() == 0       # the mean colour, right and below
    assert (target[:40, :48] == 3).all()
    assert (target[40:] == IGNORE).all() and (target[:, 48:] == IGNORE).all()


def test_a_crop_for_training_shows_the_class_that_its_place_wants(tmp_path: Path) -> None:
    mask = np.zeros((200, 200), np.uint8)
    mask[3:6, 190:193] = 1
    for folder, array in (("images", np.zeros((200, 200, 3), np.uint8)), ("masks", mask)):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    augmentation = Augmentation(crop_size=(32, 32), scale_range=(1.0, 1.0), photometric="off")
    crops = TrainCrops(open_data(str(tmp_path), "all"), augmentation, (0.0,) * 3, (1.0,) * 3, seed=0)
    for place, expected in (((0, 0, 1), True), ((1, 0, 1), True), ((0, 0), False), ((0, 0, 0), False)):
        item = crops[place]
        assert not isinstance(item, SegFormerError)
        assert bool((item[1] == 1).any()) == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.floats(0.3, 2.5), st.integers(0, 2**32 - 1))
def test_a_part_resized_alone_is_the_part_of_the_whole_within_one_grey_level(
    height: int, width: int, ratio: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    rows, columns = max(2, round(height * ratio)), max(2, round(width * ratio))
    top, left = int(rng.integers(0, rows - 1)), int(rng.integers(0, columns - 1))
    box = slice(top, int(rng.integers(top + 1, rows + 1))), slice(left, int(rng.integers(left + 1, columns + 1)))
    whole = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)[box].astype(int)
    for cheaper in (0.0, math.inf):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transforms, "_WHOLE_IS_CHEAPER", cheaper)
            part = resized_part(image, (rows, columns), box)
        assert part.shape == whole.shape
        assert np.abs(part - whole).max() <= (1 if cheaper == 0 else 0)
