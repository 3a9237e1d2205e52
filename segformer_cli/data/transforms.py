"""What training does to a picture and its target: scale, crop, flip, colour; one geometry for both.

Source: the released training pipeline (spec 3.3). All randomness comes from the generator handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.data.pairs import histogram
from segformer_cli.images import Ids, Picture, Pixels
from segformer_cli.resize import SizePolicy, resized

Photometric = Literal["full", "mild", "off"]

_WARPS_EXACTLY = int(cv2.__version__.partition(".")[0]) >= 5
"""Before, OpenCV rounded places to 1/32 of a pixel: several grey levels at edges. It still does of 2 or 5 bands."""

_WHOLE_IS_CHEAPER = 3.0
"""Up to so many times the part's area: to resize takes a third of the time per pixel."""

GREY_SPREAD = 57.63
"""The mean of ImageNet's deviations, on the scale of 0..255."""

TRIES = 10
"""Boxes that a crop is chosen from."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The recipe of one training crop.

    `base_size` is the (height, width) a picture is fitted into before scaling, in either orientation;
    None is its own size. `cat_max_ratio` bounds the share of one class in a crop, see `choose_crop`. `spread` is the
    deviation of each band of pictures that are no 8-bit RGB; with it colours are distorted by `distort_bands`.
    """

    crop_size: tuple[int, int]
    base_size: tuple[int, int] | None = None
    scale_range: tuple[float, float] = (0.5, 2.0)
    cat_max_ratio: float = 0.75
    flip: float = 0.5
    photometric: Photometric = "full"
    spread: tuple[float, ...] | None = None

    def __call__(
        self, image: Pixels, target: Ids, ignore_index: int, rng: np.random.Generator, wanted: int | None = None
    ) -> tuple[Pixels, Ids]:
        """One crop of the scaled picture and its target; smaller than `crop_size` where the picture is.

        Args:
            wanted: a class that is to be in it, see `choose_crop`.
        """
        return self.crop(image, target, self.scaled(target.shape, rng), ignore_index, rng, wanted)

    def crop(
        self,
        image: Pixels,
        target: Ids,
        size_hw: tuple[int, int],
        ignore_index: int,
        rng: np.random.Generator,
        wanted: int | None = None,
    ) -> tuple[Pixels, Ids]:
        """The same at a size that `scaled` gave; the picture may be of another size than its target."""
        new_h, new_w = size_hw
        scaled: Ids = cv2.resize(target, (new_w, new_h), interpolation=cv2.INTER_NEAREST)  # type: ignore[assignment]
        box = choose_crop(scaled, self.crop_size, self.cat_max_ratio, ignore_index, rng, wanted)
        image, target = resized_part(image, (new_h, new_w), box), scaled[box]
        if rng.random() < self.flip:
            image, target = np.ascontiguousarray(image[:, ::-1]), cv2.flip(target, 1)  # type: ignore[assignment]
        if self.photometric != "off":
            image = self._distorted(image, rng)
        return image, target

    def _distorted(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        full = self.photometric == "full"
        if self.spread is None:
            return distort_colours(np.asarray(image, np.uint8), rng, full=full)
        return distort_bands(image, self.spread, rng, full=full)

    def scaled(self, size_hw: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
        """The size that a picture of `size_hw` is scaled to."""
        ratio = rng.uniform(*self.scale_range)
        height, width = self.base_size or size_hw
        bounds = int(height * ratio), int(width * ratio)
        return SizePolicy(short=min(bounds), long=max(bounds)).fitted(size_hw)


def resized_part(image: Pixels, size_hw: tuple[int, int], box: tuple[slice, slice]) -> Pixels:
    """The rows and columns `box` of the picture resized to `size_hw`, bilinear.

    Where they are a small part of it they are computed alone, within one grey level of the part of the whole.
    """
    (height, width), (rows, columns) = size_hw, box
    part_h, part_w = rows.stop - rows.start, columns.stop - columns.start
    exact = _WARPS_EXACTLY and image.shape[2] in (1, 3, 4)
    if not exact or height * width < _WHOLE_IS_CHEAPER * part_h * part_w:
        whole = resized(image, (height, width))
        return np.ascontiguousarray(whole[box])
    # Pixel centres lie at halves: x of the part is pixel (x + 1/2 + left) * step - 1/2 of the source.
    step_y, step_x = image.shape[0] / height, image.shape[1] / width
    to_source = np.array(
        [[step_x, 0, (columns.start + 0.5) * step_x - 0.5], [0, step_y, (rows.start + 0.5) * step_y - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(image, to_source, (part_w, part_h), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return part.reshape(part_h, part_w, -1)  # type: ignore[return-value]


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
        counts = histogram(target[box])
        counts[ignore_index:] = 0
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


def distort_bands(
    image: Pixels, spread: tuple[float, ...], rng: np.random.Generator, *, full: bool = True
) -> Pixels:
    """The picture with random brightness and, if `full`, contrast, each with chance 1/2, alike in all bands.

    The ranges are those of `distort_colours`, where a band's deviation stands for ImageNet's: what hue and saturation
    of other bands are, nobody knows.
    """
    values = image.astype(np.float32)
    if rng.random() < 0.5:
        values += np.float32(rng.uniform(-32, 32) / GREY_SPREAD) * np.asarray(spread, np.float32)
    if full and rng.random() < 0.5:
        values *= np.float32(rng.uniform(0.5, 1.5))
    if image.dtype == np.uint8:
        return np.clip(values, 0, 255).astype(np.uint8)
    return np.clip(values, 0, 65535).astype(np.uint16) if image.dtype == np.uint16 else values


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
    tables = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    tables[:, band] = table
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), tables[None])
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def normalise(image: NDArray[np.generic], mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """(H, W, C) values as (C, H, W) float32 with the given mean and deviation taken out of each band.

    Of floating-point pictures what is no number, as holes in maps are, becomes 0, the mean.
    """
    scale = (1.0 / np.asarray(std, np.float64)).astype(np.float32)
    offset = (-np.asarray(mean, np.float64) / np.asarray(std, np.float64)).astype(np.float32)
    bands = np.empty((image.shape[2], *image.shape[:2]), np.float32)
    for band in range(image.shape[2]):
        np.multiply(image[..., band], scale[band], out=bands[band], dtype=np.float32)
        bands[band] += offset[band]
    return np.nan_to_num(bands, copy=False, nan=0, posinf=0, neginf=0) if image.dtype.kind == "f" else bands


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
