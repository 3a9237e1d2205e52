"""What training does to a picture and its target: scale, crop, flip, colour; one geometry for both.

Source: the released training pipeline (spec 3.3). All randomness comes from the generator handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.images import Ids, Picture
from segformer_cli.resize import SizePolicy

Photometric = Literal["full", "mild", "off"]

TRIES = 10
"""Boxes that a crop is chosen from."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The recipe of one training crop.

    `base_size` is the (height, width) a picture is fitted into before scaling, in either orientation;
    None is its own size. `cat_max_ratio` bounds the share of one class in a crop, see `choose_crop`.
    """

    crop_size: tuple[int, int]
    base_size: tuple[int, int] | None = None
    scale_range: tuple[float, float] = (0.5, 2.0)
    cat_max_ratio: float = 0.75
    flip: float = 0.5
    photometric: Photometric = "full"

    def __call__(
        self, image: Picture, target: Ids, ignore_index: int, rng: np.random.Generator, wanted: int | None = None
    ) -> tuple[Picture, Ids]:
        """One crop of the scaled picture and its target; smaller than `crop_size` where the picture is.

        Args:
            wanted: a class that is to be in it, see `choose_crop`.
        """
        image, target = self._scaled(image, target, rng)
        box = choose_crop(target, self.crop_size, self.cat_max_ratio, ignore_index, rng, wanted)
        image, target = image[box], target[box]
        if rng.random() < self.flip:
            image, target = image[:, ::-1], target[:, ::-1]
        if self.photometric != "off":
            image = distort_colours(np.ascontiguousarray(image), rng, full=self.photometric == "full")
        return image, target

    def _scaled(self, image: Picture, target: Ids, rng: np.random.Generator) -> tuple[Picture, Ids]:
        ratio = rng.uniform(*self.scale_range)
        height, width = self.base_size or image.shape[:2]
        bounds = int(height * ratio), int(width * ratio)
        new_h, new_w = SizePolicy(short=min(bounds), long=max(bounds)).fitted(image.shape[:2])
        image = np.asarray(cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR), np.uint8)
        scaled: Ids = cv2.resize(target, (new_w, new_h), interpolation=cv2.INTER_NEAREST)  # type: ignore[assignment]
        return image, scaled


def choose_crop(
    target: Ids,
    crop_size: tuple[int, int],
    cat_max_ratio: float,
    ignore_index: int,
    rng: np.random.Generator,
    wanted: int | None = None,
) -> tuple[slice, slice]:
    """Rows and columns of a crop of two classes or more, none of which covers `cat_max_ratio` of the labelled pixels.

    Ten boxes are tried; an eleventh is taken, whatever it shows, if none passes. A target smaller than the crop is
    taken whole.

    Args:
        wanted: a class whose pixels, where there are any, the boxes are drawn around: one of them lies in the middle
            half of each, as far as the border allows.
    """
    size_hw = min(target.shape[0], crop_size[0]), min(target.shape[1], crop_size[1])
    around = None if wanted is None else np.flatnonzero(target == wanted)
    box = _random_box(target, size_hw, around, rng)
    for _ in range(TRIES if cat_max_ratio < 1.0 else 0):
        counts = np.bincount(target[box].ravel(), minlength=ignore_index + 1)
        counts[ignore_index] = 0
        if np.count_nonzero(counts) > 1 and counts.max() / counts.sum() < cat_max_ratio:
            break
        box = _random_box(target, size_hw, around, rng)
    return box


def _random_box(
    target: Ids, size_hw: tuple[int, int], around: NDArray[np.int64] | None, rng: np.random.Generator
) -> tuple[slice, slice]:
    """A box anywhere in the target, or about one of the pixels `around`, counted row by row."""
    (rows, columns), (height, width) = target.shape, size_hw
    if around is None or not len(around):
        top = int(rng.integers(0, rows - height + 1))
        left = int(rng.integers(0, columns - width + 1))
    else:
        row, column = divmod(int(around[rng.integers(0, len(around))]), columns)
        # Not in the very middle: the network would learn that there is where such things are.
        top = row - height // 2 + int(rng.integers(-(height // 4), height // 4 + 1))
        left = column - width // 2 + int(rng.integers(-(width // 4), width // 4 + 1))
        top, left = min(max(top, 0), rows - height), min(max(left, 0), columns - width)
    return slice(top, top + height), slice(left, left + width)


def distort_colours(image: Picture, rng: np.random.Generator, *, full: bool = True) -> Picture:
    """The picture with random brightness and, if `full`, contrast, saturation and hue; each with chance 1/2.

    Every step clips and truncates to uint8. Contrast comes before saturation and hue or after, with
    equal chance; the hue shift is an integer in [-18, 17] on OpenCV's scale of 180.
    """
    if rng.random() < 0.5:
        image = _affine(image, 1.0, rng.uniform(-32, 32))
    if not full:
        return image
    contrast_first = rng.random() < 0.5
    if contrast_first and rng.random() < 0.5:
        image = _affine(image, rng.uniform(0.5, 1.5), 0.0)
    if rng.random() < 0.5:
        image = _changed_band(image, 1, _affine_table(rng.uniform(0.5, 1.5), 0.0))
    if rng.random() < 0.5:
        shift = int(rng.integers(-18, 18))
        image = _changed_band(image, 0, ((np.arange(256) + shift) % 180).astype(np.uint8))
    if not contrast_first and rng.random() < 0.5:
        image = _affine(image, rng.uniform(0.5, 1.5), 0.0)
    return image


def _affine(image: Picture, factor: float, offset: float) -> Picture:
    return np.asarray(cv2.LUT(image, _affine_table(factor, offset)), np.uint8)


def _affine_table(factor: float, offset: float) -> NDArray[np.uint8]:
    """(256,) `value * factor + offset`, clipped and truncated."""
    table = np.clip(np.arange(256, dtype=np.float32) * np.float32(factor) + np.float32(offset), 0, 255)
    return np.asarray(table, np.uint8)


def _changed_band(image: Picture, band: int, table: NDArray[np.uint8]) -> Picture:
    """The picture with hue (0), saturation (1) or value (2) looked up in a table.

    Back in RGB after each, as the released code does: what that rounds off is part of the distortion.
    """
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., band] = cv2.LUT(np.ascontiguousarray(hsv[..., band]), table)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def normalise(image: NDArray[np.generic], mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """(H, W, C) values of 0..255 as (C, H, W) float32 with the given mean and deviation taken out of each band."""
    scale = (1.0 / np.asarray(std, np.float64)).astype(np.float32)
    offset = (-np.asarray(mean, np.float64) / np.asarray(std, np.float64)).astype(np.float32)
    bands = np.empty((image.shape[2], *image.shape[:2]), np.float32)
    for band in range(image.shape[2]):
        np.multiply(image[..., band], scale[band], out=bands[band], dtype=np.float32)
        bands[band] += offset[band]
    return bands


def pad_to(
    image: NDArray[np.float32], target: Ids, size_hw: tuple[int, int], ignore_index: int
) -> tuple[NDArray[np.float32], Ids]:
    """A normalised (C, h, w) picture and its target filled up to `size_hw` at the right and the bottom.

    The picture gets 0, which after normalisation is the mean colour; the target gets `ignore_index`.
    """
    rows, columns = size_hw[0] - target.shape[0], size_hw[1] - target.shape[1]
    if rows <= 0 and columns <= 0:
        return image, target
    padded: Ids = np.pad(target, ((0, rows), (0, columns)), constant_values=ignore_index)  # type: ignore[assignment]
    return np.pad(image, ((0, 0), (0, rows), (0, columns))), padded
