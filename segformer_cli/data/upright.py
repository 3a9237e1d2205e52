"""How large a picture is stored and how EXIF turns it, as its header says."""

from __future__ import annotations

import io

from PIL import Image

_ORIENTATION = 0x0112
"""The EXIF tag that says how a picture is to be turned."""

_QUARTER_TURNS = (5, 6, 7, 8)
"""Orientations that swap height and width."""

HW = tuple[int, int]


def stored_size(data: bytes) -> tuple[HW | None, int]:
    """Height and width as a file stores them, and the orientation; of what is no picture no size."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return (image.height, image.width), int(image.getexif().get(_ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError):
        return None, 1


def is_turned(orientation: int) -> bool:
    """Whether height and width of what is seen are width and height of what is stored.

    >>> is_turned(1), is_turned(6)
    (False, True)
    """
    return orientation in _QUARTER_TURNS
