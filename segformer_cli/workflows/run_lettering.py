"""What the pictures of a run are drawn and lettered in."""

from __future__ import annotations

from functools import cache

from PIL import ImageFont

PAPER, INK, GREY = (255, 255, 255), (40, 40, 40), (110, 110, 110)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The letters that come with Pillow, so many pixels high."""
    return ImageFont.load_default(size)
