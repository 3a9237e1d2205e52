"""A picture that is to be corrupted in several ways: what these have in common is made once."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.images import Picture

Random = np.random.Generator | np.random.RandomState
"""Where chance comes from: a `Generator` is fast, a `RandomState` draws as the reference package does, in its order."""

SMALLEST = 32
"""Pixels of a side below which the reference refuses a picture."""

MARGIN = 10
"""Pixels that the widest blur by way of Fourier transforms reaches."""


class Source:
    """A picture (H, W, 3) uint8 RGB, contiguous, and what corruptions make of it on the way."""

    def __init__(self, pixels: Picture) -> None:
        self.pixels = np.ascontiguousarray(pixels)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @cached_property
    def reversed(self) -> Source:
        """The same with its channels in reverse order, BGR."""
        return Source(self.pixels[..., ::-1])

    @cached_property
    def levels(self) -> NDArray[np.float32]:
        """The pixels as float32, still 0..255."""
        return self.pixels.astype(np.float32)

    @cached_property
    def planes(self) -> NDArray[np.float32]:
        """The channels as float32 one after the other, (3, H, W), still 0..255."""
        return np.stack(cv2.split(self.pixels)).astype(np.float32)

    @cached_property
    def spectra(self) -> list[NDArray[np.float32]]:
        """The Fourier transform of each plane, mirrored `MARGIN` pixels beyond its edge, as `cv2.dft` packs it."""
        height, width = self.size_hw
        rows, columns = (cv2.getOptimalDFTSize(side + 2 * MARGIN) for side in self.size_hw)
        margins = MARGIN, rows - height - MARGIN, MARGIN, columns - width - MARGIN
        mirrored = (cv2.copyMakeBorder(plane, *margins, cv2.BORDER_REFLECT_101) for plane in self.planes)
        return [np.asarray(cv2.dft(plane), np.float32) for plane in mirrored]

    @cached_property
    def brightest(self) -> NDArray[np.uint8]:
        """The largest channel of each pixel, (H, W): V of HSV."""
        red, green, blue = cv2.split(self.pixels)
        return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)

    @cached_property
    def darkest(self) -> NDArray[np.uint8]:
        """The smallest channel of each pixel, (H, W)."""
        red, green, blue = cv2.split(self.pixels)
        return np.asarray(cv2.min(cv2.min(red, green), blue), np.uint8)


def truncated(values: NDArray[np.floating]) -> Picture:
    """Levels 0..255 cut to uint8 as the reference does: clipped, then towards zero, not rounded."""
    cut: Picture = np.clip(values, 0, 255).astype(np.uint8)
    return cut
