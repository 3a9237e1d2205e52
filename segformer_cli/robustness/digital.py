"""Digital corruptions: what a camera's settings and compression do to colours and detail."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segformer_cli.errors import ImageError
from segformer_cli.images import Picture
from segformer_cli.robustness.colours import Planes, in_strips, through_hsv
from segformer_cli.robustness.elastic import elastic_transform as elastic_transform
from segformer_cli.robustness.source import Random, Source, truncated

BRIGHTNESS_SHIFT = 0.1, 0.2, 0.3, 0.4, 0.5
CONTRAST_FACTOR = 0.4, 0.3, 0.2, 0.1, 0.05
SATURATION_FACTOR_SHIFT = (0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)
JPEG_QUALITY = 25, 18, 15, 10, 7
PIXELATE_SHARE = 0.6, 0.5, 0.4, 0.3, 0.25

SHARES = np.arange(256) / 255.0
"""The levels in 0..1."""


def brightness(source: Source, severity: int, rng: Random) -> Picture:
    """V of HSV raised by a share of its range, hue and saturation kept.

    In fast mode all channels are scaled as V is: the same but for rounding on the way through HSV, which moves a value
    by one level at most.

    Source: Hendrycks and Dietterich, ICLR 2019.
    """
    shift = BRIGHTNESS_SHIFT[severity - 1]
    if isinstance(rng, np.random.RandomState):
        return through_hsv(source.pixels, lambda hsv: hsv._replace(value=np.clip(hsv.value + shift, 0, 1)))
    table = _brightness_table(shift)

    def scaled(planes: Planes) -> Planes:
        rows = np.maximum.reduce(planes).astype(np.uint16) << 8
        return [table[rows | plane] for plane in planes]

    return in_strips(source.pixels, scaled)


@cache
def _brightness_table(shift: float) -> NDArray[np.uint8]:
    """What a level becomes, (256, 256) flat: row V, column the level, as the reference reckons the smallest channel."""
    value = SHARES[:, None]
    saturation = np.divide(value - SHARES, value, out=np.zeros((256, 256)), where=value > 0)
    return truncated(np.clip(value + shift, 0, 1) * (1 - saturation) * 255).ravel()


def contrast(source: Source, severity: int, rng: Random) -> Picture:
    """Every channel drawn towards its mean over the picture.

    In fast mode the same but where a value comes out whole: rounding decides, by one level at most.

    Source: Hendrycks and Dietterich, ICLR 2019.
    """
    factor = CONTRAST_FACTOR[severity - 1]
    if isinstance(rng, np.random.RandomState):
        means = (source.pixels / 255.0).mean((0, 1))
        table = truncated(((SHARES[:, None] - means) * factor + means) * 255)
        return np.asarray(cv2.LUT(source.pixels, table[:, None]), np.uint8)
    # Factors are whole twentieths, so all levels land at one place within a twentieth; its middle truncates alike and
    # is far from whole, whatever float32 makes of it. Less a half, rounding is truncating.
    twentieths = np.floor(20 * (1 - factor) * np.array(cv2.mean(source.pixels)[:3]))
    offsets = ((twentieths + 0.5) / 20 - 0.5).tolist()

    def flatter(planes: Planes) -> Planes:
        pairs = zip(planes, offsets, strict=True)
        return [np.asarray(cv2.convertScaleAbs(plane, alpha=factor, beta=offset), np.uint8) for plane, offset in pairs]

    return in_strips(source.pixels, flatter)


def saturate(source: Source, severity: int, rng: Random) -> Picture:
    """S of HSV multiplied and raised; where it is raised, grey turns reddish, as HSV gives it the hue of red.

    In fast mode every channel's distance from the largest is scaled as S is: the same but for rounding on the way
    through HSV, which moves a value by one level at most.

    Source: Hendrycks and Dietterich, ICLR 2019.
    """
    factor, shift = SATURATION_FACTOR_SHIFT[severity - 1]
    if isinstance(rng, np.random.RandomState):
        return through_hsv(
            source.pixels, lambda hsv: hsv._replace(saturation=np.clip(hsv.saturation * factor + shift, 0, 1))
        )
    return in_strips(source.pixels, lambda planes: _saturated(planes, factor, shift))


def _saturated(planes: Planes, factor: float, shift: float) -> Planes:
    value = np.maximum.reduce(planes)
    chroma = value - np.minimum.reduce(planes)
    # The largest growth is to S = 1, by 1 / S. Grey has no distance from the largest channel that could grow.
    largest = np.divide(value, np.maximum(chroma, 1), dtype=np.float32)
    growth = np.minimum(largest * np.float32(shift) + np.float32(factor), largest)
    red, green, blue = ((value - (value - plane) * growth).astype(np.uint8) for plane in planes)
    if shift:
        pale = truncated(SHARES * (1 - shift) * 255)[value]
        for channel in (green, blue):
            np.copyto(channel, pale, where=chroma == 0)
    return red, green, blue


def jpeg_compression(source: Source, severity: int, rng: Random) -> Picture:
    """Encoded as baseline JPEG, its colours at half the resolution, and decoded.

    Raises:
        ImageError: a side is longer than JPEG allows.

    Source: Hendrycks and Dietterich, ICLR 2019, by Pillow; OpenCV carries the same codec, libjpeg-turbo, and uses it
    alike.
    """
    quality = cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY[severity - 1]
    fits, data = cv2.imencode(".jpg", cv2.cvtColor(source.pixels, cv2.COLOR_RGB2BGR), quality)
    if not fits:
        height, width = source.size_hw
        raise ImageError(f"JPEG cannot hold {width} x {height} pixels", hint="its sides end at 65500")
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def pixelate(source: Source, severity: int, rng: Random) -> Picture:
    """Fewer and larger pixels: the mean of a box, all over the box.

    Source: `imagecorruptions`, which takes the nearest pixel on the way back; ImageNet-C's own code takes boxes again.
    """
    (height, width), share = source.size_hw, PIXELATE_SHARE[severity - 1]
    small = Image.fromarray(source.pixels).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    return np.array(small.resize((width, height), Image.Resampling.NEAREST))
