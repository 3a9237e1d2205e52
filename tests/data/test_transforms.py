"""What training does to a picture and its target."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
import pytest

from segformer_cli.data.transforms import Augmentation, choose_crop, distort_colours, normalise, pad_to

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


class CountingGenerator:
    """Counts how often a place was drawn."""

    def __init__(self) -> None:
        self.calls = 0
        self.rng = np.random.default_rng(0)

    def integers(self, low: int, high: int) -> int:
        self.calls += 1
        return int(self.rng.integers(low, high))


def boxes_tried(target: np.ndarray) -> int:
    draws = CountingGenerator()
    choose_crop(target, (64, 64), 0.75, IGNORE, draws)  # type: ignore[arg-type]
    return draws.calls // 2


def test_ignored_pixels_do_not_count_towards_the_share_of_a_class() -> None:
    target = np.full((80, 80), IGNORE, np.uint8)
    target[30:34, ::2], target[30:34, 1::2] = 0, 1
    assert boxes_tried(target) == 1


def test_a_crop_of_one_class_is_tried_ten_times_and_then_taken() -> None:
    target = np.zeros((80, 80), np.uint8)
    assert boxes_tried(target) == 10
    target[:, ::8] = 1
    assert boxes_tried(target) == 10    # 7 of 8 columns are one class: more than 75 %
    target[:, ::3] = 1
    assert boxes_tried(target) == 1


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


def test_hue_moves_by_at_most_18_of_180_and_saturation_by_half() -> None:
    image = np.full((1, 1, 3), (200, 100, 60), np.uint8)
    hue0, saturation0, _ = colorsys.rgb_to_hsv(200 / 255, 100 / 255, 60 / 255)
    hues, saturations = [], []
    for seed in range(600):
        red, green, blue = distort_colours(image, np.random.default_rng(seed))[0, 0].tolist()
        hue, saturation, _ = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
        hues.append(((hue - hue0 + 0.5) % 1 - 0.5) * 180)
        saturations.append(saturation / saturation0)
    assert -22 < min(hues) < -14
    assert 13 < max(hues) < 22
    assert max(saturations) > 1.2
    assert min(saturations) < 0.7


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
