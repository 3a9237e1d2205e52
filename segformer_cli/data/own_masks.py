"""Masks of someone's own data: pictures whose pixels are ids, or arrays of ids in .npy files."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segformer_cli.errors import ImageError
from segformer_cli.images import MASK_SUFFIXES, Ids, read_mask
from segformer_cli.places import Place

ARRAY_SUFFIX = ".npy"
OWN_MASK_SUFFIXES = (*MASK_SUFFIXES, ARRAY_SUFFIX)


def read_own_mask(place: Place) -> Ids:
    """The ids (H, W) as stored, uint8 or uint16.

    Raises:
        ImageError: the file cannot be read, or holds something else than ids of one channel.
    """
    return _read_array(place) if place.suffix.lower() == ARRAY_SUFFIX else read_mask(place)


def in_colours(place: Place) -> bool:
    """Whether a mask is a picture of three channels or more; of a palette PNG the indices are the ids."""
    if place.suffix.lower() == ARRAY_SUFFIX:
        return False
    try:
        with Image.open(io.BytesIO(place.read_bytes())) as image:
            return image.mode in ("RGB", "RGBA", "CMYK", "YCbCr")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False                            # reading it says what is wrong with it


def _read_array(place: Place) -> Ids:
    try:
        array = np.load(io.BytesIO(place.read_bytes()), allow_pickle=False)
    except FileNotFoundError:
        raise ImageError(f"there is no file {place.name}", where=str(place)) from None
    except Exception as error:                  # of any kind: numpy parses the header as it would Python
        raise ImageError(f"{place.name} is no array that can be read: {error}", where=str(place)) from error
    ids: NDArray[np.generic] = array
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[-1]):
        ids = array[0] if array.shape[0] == 1 else array[..., 0]
    if ids.ndim != 2:
        shape = " x ".join(map(str, array.shape))
        hint = "of scores or one-hot channels, store the argmax" if ids.ndim == 3 else None
        raise ImageError(f"{place.name} is {shape}, a mask is height x width", where=str(place), hint=hint)
    if ids.dtype.kind not in "biu":
        raise ImageError(
            f"{place.name} holds {ids.dtype}, ids of classes are whole numbers",
            where=str(place),
            hint="store it with astype(numpy.uint8), or uint16 for more than 255 classes",
        )
    low, high = int(ids.min(initial=0)), int(ids.max(initial=0))
    if low < 0 or high > 65535:
        raise ImageError(
            f"{place.name} holds the values {low} to {high}, ids of classes lie in 0 to 65535",
            where=str(place),
            hint="write 255 where pixels are to be ignored",
        )
    return ids.astype(np.uint8) if high < 256 else ids.astype(np.uint16)
