"""Pictures, masks and maps of errors as small pictures inside the file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from segformer_cli.classes import Colour
from segformer_cli.images import Ids, Picture
from segformer_cli.overlay import colour_mask
from segformer_cli.reports.parts import Legend, Swatch, Thumbnail

LONG_SIDE = 400
"""Pixels of a thumbnail's longer side, unless it has fewer."""

MOST_BYTES = 100_000
"""Most that a thumbnail weighs in the file, however noisy: the 32 of an evaluation's report stay below 5 MB."""

CONTACT_SIDE = 300
"""The same on a contact sheet, which has many."""

CONTACT_BYTES = 24_000
"""Most that a thumbnail of a contact sheet weighs in the file: all 95 pairs of 19 corruptions stay below 5 MB."""

SMALLEST = 48
"""Pixels below which a thumbnail is not made smaller, whatever it weighs."""

PICTURE_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 78]

# Colour is kept almost as it is, or an error of a few pixels would drown in the grey around it.
ERROR_QUALITY = [
    *(cv2.IMWRITE_JPEG_LUMA_QUALITY, 75),
    *(cv2.IMWRITE_JPEG_CHROMA_QUALITY, 95),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
]

CORRECT: Colour = (150, 150, 150)
WRONG: Colour = (214, 40, 40)
IGNORED: Colour = (0, 0, 0)
ERROR_LEGEND = Legend("errors", (Swatch("correct", CORRECT), Swatch("wrong", WRONG), Swatch("ignored", IGNORED)))
"""What the colours of `error_map` mean."""

_DARKEST, _BRIGHTEST = 90, 200
"""Correct pixels keep the picture between these greys, so that nothing but ignored pixels is black."""


def error_map(image: Picture, target: Ids, mask: Ids, ignore_index: int) -> Picture:
    """(H, W, 3): the picture in dim grey where the mask is right, red where it is wrong, black where ignored.

    Raises:
        ValueError: image, target and mask are not of one size.
    """
    if not image.shape[:2] == target.shape == mask.shape:
        raise ValueError(f"image is {image.shape[:2]}, target is {target.shape}, mask is {mask.shape}")
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    dim = (_DARKEST + grey * ((_BRIGHTEST - _DARKEST) / 255)).astype(np.uint8)
    errors = np.repeat(dim[..., None], 3, axis=2)
    errors[target != mask] = WRONG
    errors[target == ignore_index] = IGNORED
    return errors


def picture_thumbnail(
    label: str, picture: Picture, long_side: int = LONG_SIDE, most_bytes: int = MOST_BYTES
) -> Thumbnail:
    """A JPEG of a picture, as much smaller as it takes to weigh no more than `most_bytes`, noise being heavy."""
    return _light(
        lambda side: _encoded(label, "jpeg", _shrunk(picture, side, cv2.INTER_AREA), PICTURE_QUALITY),
        long_side,
        most_bytes,
    )


def error_thumbnail(
    label: str, errors: Picture, long_side: int = LONG_SIDE, most_bytes: int = MOST_BYTES
) -> Thumbnail:
    """A JPEG of an `error_map`, averaged and in full colour, so that an error of a few pixels leaves a red trace."""
    return _light(
        lambda side: _encoded(label, "jpeg", _shrunk(errors, side, cv2.INTER_AREA), ERROR_QUALITY),
        long_side,
        most_bytes,
    )


def mask_thumbnail(
    label: str,
    mask: Ids,
    palette: Sequence[Colour],
    ignore_index: int,
    long_side: int = LONG_SIDE,
    most_bytes: int = MOST_BYTES,
) -> Thumbnail:
    """A PNG of a mask or target in its classes' colours, none of them mixed; ignored pixels are black.

    It is as much smaller as it takes to weigh no more than `most_bytes`.
    """

    def encode(side: int) -> Thumbnail:
        small = _shrunk(mask, side, cv2.INTER_NEAREST)
        return _encoded(label, "png", colour_mask(small, palette, ignore_index), [cv2.IMWRITE_PNG_COMPRESSION, 9])

    return _light(encode, long_side, most_bytes)


def _light(encode: Callable[[int], Thumbnail], side: int, most_bytes: int) -> Thumbnail:
    """The first of ever smaller thumbnails that weighs no more, or the smallest."""
    thumbnail = encode(side)
    while len(thumbnail.uri) > most_bytes and side > SMALLEST:
        side = max(SMALLEST, side * 4 // 5)
        thumbnail = encode(side)
    return thumbnail


def _shrunk(pixels: Picture | Ids, long_side: int, interpolation: int) -> Picture:
    height, width = pixels.shape[:2]
    scale = min(1.0, long_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation))


def _encoded(label: str, kind: str, picture: Picture, options: list[int]) -> Thumbnail:
    data = cv2.imencode(f".{kind}", picture[..., ::-1], options)[1].tobytes()
    return Thumbnail(label, f"data:image/{kind};base64,{base64.b64encode(data).decode()}")
