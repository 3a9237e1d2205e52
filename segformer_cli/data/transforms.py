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


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The recipe of one training crop.

    `base_size` is the (height, width) a picture is fitted into before scaling, in either orientation;
    None is its own size. `cat_max_ratio` bounds the share of one class in a crop, tried ten times.
    """

    crop_size: tuple[int, int]
    base_size: tuple[int, int] | None = None
    scale_range: tuple[float, float] = (0.5, 2.0)
    cat_max_ratio: float = 0.75
    flip: float = 0.5
    photometric: Photometric = "full"

    def __call__(
        self, image: Picture, target: Ids, ignore_index: int, rng: np.random.Generator
    ) -> tuple[Picture, Ids]:
        """One crop of the scaled picture and its target; smaller than `crop_size` where the picture is."""
        image, target = self._scaled(image, target, rng)
        box = choose_crop(target, self.crop_size, self.cat_max_ratio, ignore_index, rng)
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
    target: Ids, crop_size: tuple[int, int], cat_max_ratio: float, ignore_index: int, rng: np.random.Generator
) -> tuple[slice, slice]:
    """Rows and columns of a crop in which no class covers `cat_max_ratio` of the labelled pixels.

    Ten boxes are tried; the last is taken if none passes. A target smaller than the crop is taken whole.
    """
    height, width = (min(side, crop) for side, crop in zip(target.shape, crop_size, strict=True))
    box = slice(0, height), slice(0, width)
    for _ in range(10):
        top = int(rng.integers(0, target.shape[0] - height + 1))
        left = int(rng.integers(0, target.shape[1] - width + 1))
        box = slice(top, top + height), slice(left, left + width)
        if cat_max_ratio >= 1.0:
            break
        counts = np.bincount(target[box].ravel(), minlength=ignore_index + 1)
        counts[ignore_index] = 0
        present = np.count_nonzero(counts)
        if present > 1 and counts.max() < cat_max_ratio * counts.sum():
            break
    return box


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
    saturation = rng.uniform(0.5, 1.5) if rng.random() < 0.5 else None
    hue = int(rng.integers(-18, 18)) if rng.random() < 0.5 else None
    if saturation is not None or hue is not None:
        image = _shift_hsv(image, saturation, hue)
    if not contrast_first and rng.random() < 0.5:
        image = _affine(image, rng.uniform(0.5, 1.5), 0.0)
    return image


def _affine(image: Picture, factor: float, offset: float) -> Picture:
    """`image * factor + offset`, clipped and truncated, by a table of the 256 values."""
    table = np.clip(np.arange(256, dtype=np.float32) * np.float32(factor) + np.float32(offset), 0, 255)
    return np.asarray(cv2.LUT(image, table.astype(np.uint8)), np.uint8)


def _shift_hsv(image: Picture, saturation: float | None, hue: int | None) -> Picture:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    if saturation is not None:
        hsv[..., 1] = _affine(np.ascontiguousarray(hsv[..., 1]), saturation, 0.0)
    if hue is not None:
        hsv[..., 0] = cv2.LUT(np.ascontiguousarray(hsv[..., 0]), ((np.arange(256) + hue) % 180).astype(np.uint8))
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
