"""Changes of colour, pixel by pixel: a few rows at a time, and through HSV as exactly as the reference goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.images import Picture
from segformer_cli.robustness.source import truncated

Planes = Sequence[NDArray[np.uint8]]
"""Red, green and blue, each (H, W)."""
Shares = NDArray[np.float64]

STRIP = 2**17
"""Pixels at a time: what is made of them on the way stays in the core's cache, which saves half the time and more."""


class Hsv(NamedTuple):
    """Hue, saturation and value in 0..1; the hue of grey and the saturation of black are 0."""

    hue: Shares
    saturation: Shares
    value: Shares


def in_strips(pixels: Picture, change: Callable[[Planes], Planes]) -> Picture:
    """The picture after a change that looks at each pixel alone."""
    changed = np.empty_like(pixels)
    rows = max(1, STRIP // pixels.shape[1])
    for start in range(0, len(pixels), rows):
        strip = slice(start, start + rows)
        planes = [np.asarray(plane, np.uint8) for plane in cv2.split(pixels[strip])]
        changed[strip] = cv2.merge(change(planes))
    return changed


def through_hsv(pixels: Picture, change: Callable[[Hsv], Hsv]) -> Picture:
    """The picture after a change to its colours in HSV, every step in float64 and rounded as in the reference."""

    def changed(planes: Planes) -> Planes:
        hsv = change(_to_hsv(np.stack(planes) / 255.0))
        return [truncated(shares * 255) for shares in _to_rgb(hsv)]

    return in_strips(pixels, changed)


def _to_hsv(planes: Shares) -> Hsv:
    """HSV of RGB in 0..1, (3, H, W); where two channels are largest, the later one gives the hue."""
    red, green, blue = planes
    value, chroma = planes.max(0), np.ptp(planes, 0)
    coloured = chroma > 0
    hue, saturation = np.zeros_like(value), np.zeros_like(value)
    np.divide(chroma, value, out=saturation, where=coloured)
    for largest, offset, difference in ((red, 0.0, green - blue), (green, 2.0, blue - red), (blue, 4.0, red - green)):
        here = coloured & (largest == value)
        hue[here] = offset + difference[here] / chroma[here]
    return Hsv((hue / 6.0) % 1.0, saturation, value)


def _to_rgb(hsv: Hsv) -> tuple[Shares, Shares, Shares]:
    """Red, green and blue in 0..1: in each sixth of the circle one channel is largest, one smallest, one in between."""
    hue, saturation, value = hsv
    sector = np.floor(hue * 6)
    along = hue * 6 - sector
    smallest = value * (1 - saturation)
    falling = value * (1 - along * saturation)
    rising = value * (1 - (1 - along) * saturation)
    sixth = sector.astype(np.uint8) % 6
    red = np.choose(sixth, [value, falling, smallest, smallest, rising, value])
    green = np.choose(sixth, [rising, value, value, falling, smallest, smallest])
    blue = np.choose(sixth, [smallest, smallest, rising, value, value, falling])
    return red, green, blue
