"""Blur: out of focus, moved, smoothed, zoomed while the shutter was open."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.images import Picture
from segformer_cli.robustness.filters import central, correlation, enlarged, merged, motion_kernel, smoothed
from segformer_cli.robustness.source import MARGIN, Random, Source

DEFOCUS_RADIUS_SIGMA = (3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)
MOTION_RADIUS_SIGMA = (10, 3), (15, 5), (15, 8), (15, 12), (20, 15)
MOTION_DEGREES = -45, 45
GAUSSIAN_SIGMA = 1, 2, 3, 4, 6
ZOOM_END_STEP = (1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)


def defocus_blur(source: Source, severity: int, rng: Random) -> Picture:
    """Every point spread over a disk, as a lens out of focus does.

    Source: Hendrycks and Dietterich, ICLR 2019. By way of Fourier transforms, as `cv2.filter2D` does it in float64.
    """
    disk = _disk(*DEFOCUS_RADIUS_SIGMA[severity - 1])
    canvas = np.zeros(source.spectra[0].shape, np.float32)
    canvas[: len(disk), : len(disk)] = disk
    spectrum = cv2.dft(canvas)
    (height, width), first = source.size_hw, MARGIN + len(disk) // 2
    spread = (
        cv2.idft(cv2.mulSpectrums(plane, spectrum, 0), flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
        for plane in source.spectra
    )
    return merged(plane[first : first + height, first : first + width] for plane in spread)


def motion_blur(source: Source, severity: int, rng: Random) -> Picture:
    """Smeared to one side only, within 45 degrees of a row; so what is seen moves, by 2 to 11 pixels on average.

    Source: `imagecorruptions`, which replaced the ImageMagick of Hendrycks and Dietterich, ICLR 2019.
    """
    radius, sigma = MOTION_RADIUS_SIGMA[severity - 1]
    kernel = motion_kernel(radius, sigma, rng.uniform(*MOTION_DEGREES), source.size_hw)
    return merged(correlation(plane, kernel) for plane in source.planes)


def gaussian_blur(source: Source, severity: int, rng: Random) -> Picture:
    """Smoothed by a Gaussian.

    Source: Hendrycks and Dietterich, ICLR 2019.
    """
    return smoothed(source.pixels, GAUSSIAN_SIGMA[severity - 1])


def zoom_blur(source: Source, severity: int, rng: Random) -> Picture:
    """The mean of the picture, which counts twice, and its enlargements, as when the camera moves ahead.

    Source: Hendrycks and Dietterich, ICLR 2019; `imagecorruptions` keeps the top left of what is larger than the
    picture, not its centre.
    """
    height, width = source.size_hw
    # np.arange by fractions can end beyond its end: severity 1 has twelve factors, the last of them 1.11.
    factors = np.arange(1, *ZOOM_END_STEP[severity - 1]).tolist()
    totals = 2 * source.planes
    for plane, total in zip(source.planes, totals, strict=True):
        for factor in factors[1:]:
            part = plane[central(height, factor), central(width, factor)]
            total += enlarged(part, factor)[:height, :width]
        total /= len(factors) + 1
    return merged(totals)


@cache
def _disk(radius: int, sigma: float) -> NDArray[np.float32]:
    """A disk of weights with a soft edge. From a radius of 8 on they sum to more than 1, and the picture brightens.

    There the disk reaches the edge of its square, where the softening finds it mirrored, and so adds weight.

    >>> [round(float(_disk(*parameters).sum()), 4) for parameters in DEFOCUS_RADIUS_SIGMA]
    [1.0, 1.0, 1.0, 1.013, 1.0108]
    """
    reach = max(radius, 8)
    offsets = np.arange(-reach, reach + 1)
    disk = (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.float32)
    side = 3 if radius <= 8 else 5
    disk = cv2.GaussianBlur(disk / disk.sum(), (side, side), sigma)
    return np.asarray(disk, np.float32)
