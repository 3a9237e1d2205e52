"""Every corruption of one picture at a glance: a row for each, a column for each severity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segformer_cli.images import Picture
from segformer_cli.robustness.protocols import Cell, severities_of

WIDTH = 240
"""Of a small picture."""

GAP = 6
MARGIN = 150
"""Left of the pictures, for the names of the corruptions."""

HEAD = 26
PAPER, INK = (255, 255, 255), (40, 40, 40)


def contact_sheet(image: Picture, cells: Sequence[Cell], variant: Callable[[Cell], Picture]) -> Picture:
    """(H, W, 3) uint8 RGB: the picture as it is above all its cells, each as `variant` gives it but made small."""
    rows = severities_of(cells)
    severities = sorted({severity for found in rows.values() for severity in found})
    small_hw = max(1, round(WIDTH * image.shape[0] / image.shape[1])), WIDTH
    tall, wide = small_hw[0] + GAP, WIDTH + GAP
    sheet = np.full((HEAD + tall * (len(rows) + 1), MARGIN + wide * max(1, len(severities)), 3), PAPER, np.uint8)
    _put(sheet, small(image, small_hw), 0, 0, tall, wide)
    for row, (name, found) in enumerate(rows.items(), start=1):
        for severity in found:
            corrupted = small(variant(Cell(name, severity)), small_hw)
            _put(sheet, corrupted, row, severities.index(severity), tall, wide)
    return _labelled(sheet, ["clean", *rows], severities, tall, wide)


def small(image: Picture, size_hw: tuple[int, int]) -> Picture:
    """The picture at another size, each of its pixels the mean of those it stands for."""
    enlarged = size_hw[0] > image.shape[0]
    how = cv2.INTER_LINEAR if enlarged else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size_hw[::-1], interpolation=how), np.uint8)


def _put(sheet: Picture, picture: Picture, row: int, column: int, tall: int, wide: int) -> None:
    top, left = HEAD + row * tall, MARGIN + column * wide
    sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture


def _labelled(sheet: Picture, names: Sequence[str], severities: Sequence[int], tall: int, wide: int) -> Picture:
    canvas = Image.fromarray(sheet)
    draw = ImageDraw.Draw(canvas)
    for column, severity in enumerate(severities):
        centre = MARGIN + column * wide + WIDTH // 2
        draw.text((centre, HEAD // 2), f"severity {severity}", fill=INK, font=_font(), anchor="mm")
    for row, name in enumerate(names):
        middle = HEAD + row * tall + (tall - GAP) // 2
        draw.text((8, middle), name.replace("_", " "), fill=INK, font=_font(), anchor="lm")
    return np.asarray(canvas, np.uint8)


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(14)
