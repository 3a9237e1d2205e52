"""Weather: what chance puts between the camera and the scene. Snow, fog, drops of water and mud on the lens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from cv2.typing import MatLike
from numpy.typing import NDArray

from segformer_cli.images import Picture
from segformer_cli.robustness.filters import Floats, central, correlation, enlarged, gaussian, merged, motion_kernel
from segformer_cli.robustness.source import Random, Source


class Snow(NamedTuple):
    """Flakes are where normal noise, enlarged, exceeds a threshold; of the picture a share is kept, the rest pales."""

    mean: float
    spread: float
    enlarged: float
    threshold: float
    radius: int
    sigma: float
    kept: float


class Spatter(NamedTuple):
    """Drops are where normal noise, blurred, exceeds a threshold."""

    mean: float
    spread: float
    sigma: float
    threshold: float


SNOW = (
    Snow(0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    Snow(0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    Snow(0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    Snow(0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    Snow(0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
SNOW_DEGREES = -135, -45
FOG_DENSITY_DECAY = (1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)
SPATTER = (
    Spatter(0.65, 0.3, 4, 0.69),
    Spatter(0.65, 0.3, 3, 0.68),
    Spatter(0.65, 0.3, 2, 0.68),
    Spatter(0.65, 0.3, 1, 0.65),
    Spatter(0.67, 0.4, 1, 0.65),
)
WATER_STRENGTH = 0.6, 0.6, 0.5
WATER_COLOUR = 175, 238, 238
WATER_EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)
MUD_COLOUR = 63, 42, 20
MUD_SIGMA, MUD_THRESHOLD = 1.5, 0.8


def snow(source: Source, severity: int, rng: Random) -> Picture:
    """Falling flakes, and the same turned by half a turn, before a picture that has paled.

    Source: Hendrycks and Dietterich, ICLR 2019; the way the flakes fall is that of `imagecorruptions`.
    """
    weather = SNOW[severity - 1]
    flakes = _flakes(source.size_hw, weather, rng)
    falling = cv2.add(flakes, cv2.rotate(flakes, cv2.ROTATE_180), dtype=cv2.CV_32F)
    red, green, blue = source.planes
    paled = (0.299 * red + 0.587 * green + 0.114 * blue) * 1.5 + 127.5
    return merged(
        cv2.addWeighted(plane, weather.kept, cv2.max(plane, paled), 1 - weather.kept, 0) + falling
        for plane in source.planes
    )


def fog(source: Source, severity: int, rng: Random) -> Picture:
    """Banks of fog added, and all of it darkened until nothing is brighter than the brightest pixel was.

    Source: Hendrycks and Dietterich, ICLR 2019. The banks grow with the picture, up to the next power of two.
    """
    density, decay = FOG_DENSITY_DECAY[severity - 1]
    height, width = source.size_hw
    heights = plasma(1 << (max(height, width) - 1).bit_length(), decay, rng)
    lowest, highest, _, _ = cv2.minMaxLoc(heights)
    brightest = float(source.brightest.max())
    kept = brightest / (brightest + 255 * density)
    banks = (heights[:height, :width] - lowest) * (255 * density * kept / (highest - lowest))
    return merged(cv2.scaleAdd(plane, kept, banks) for plane in source.planes)


def spatter(source: Source, severity: int, rng: Random) -> Picture:
    """Drops on the lens: water, from severity 4 on mud.

    Source: Hendrycks and Dietterich, ICLR 2019.
    """
    weather = SPATTER[severity - 1]
    liquid = gaussian(_normal(weather.mean, weather.spread, source.size_hw, rng), weather.sigma)
    if severity > len(WATER_STRENGTH):
        return _under_mud(source, np.heaviside(liquid - weather.threshold, 0))
    drops = (liquid * (liquid >= weather.threshold) * 255).astype(np.uint8)
    return _under_water(source, drops, WATER_STRENGTH[severity - 1])


def plasma(side: int, decay: float, rng: Random) -> NDArray[np.float32]:
    """Heights on a torus, (side, side), by the diamond-square algorithm: rough in the large, ever less in the small.

    Args:
        side: a power of two.
        decay: roughness falls by its square each time the resolution doubles.
    """
    heights, roughness = np.zeros((1, 1), np.float32), 100.0
    while len(heights) < side:
        heights = _finer(heights, roughness**2, rng)
        roughness /= decay
    return heights


def _finer(corners: NDArray[np.float32], roughness: float, rng: Random) -> NDArray[np.float32]:
    """Heights at twice the resolution: each new one the mean of its four neighbours, give or take `roughness`."""

    def between(*neighbours: MatLike) -> NDArray[np.float32]:
        heights = np.asarray(sum(neighbours[1:], start=neighbours[0]), np.float32)
        heights *= 0.25
        noise = _uniform(corners.shape, rng)
        noise *= 2 * roughness
        noise -= roughness
        heights += noise
        return heights

    around = cv2.copyMakeBorder(corners, 0, 1, 0, 1, cv2.BORDER_WRAP)
    centres = between(corners, around[:-1, 1:], around[1:, :-1], around[1:, 1:])
    before = cv2.copyMakeBorder(centres, 1, 0, 1, 0, cv2.BORDER_WRAP)
    on_rows = between(corners, around[:-1, 1:], centres, before[:-1, 1:])
    on_columns = between(corners, around[1:, :-1], centres, before[1:, :-1])
    rows = [cv2.merge(pair).reshape(len(corners), -1) for pair in ((corners, on_rows), (on_columns, centres))]
    return np.asarray(np.stack(rows, axis=1).reshape(2 * len(corners), -1), np.float32)


def _flakes(size_hw: tuple[int, int], weather: Snow, rng: Random) -> NDArray[np.uint8]:
    """The layer of falling flakes, (H, W) uint8."""
    height, width = size_hw
    window = central(height, weather.enlarged), central(width, weather.enlarged)
    if isinstance(rng, np.random.RandomState):      # draws all to use a part
        noise = _normal(weather.mean, weather.spread, size_hw, rng)[window]
    else:
        noise = _normal(weather.mean, weather.spread, [part.stop - part.start for part in window], rng)
    flakes = enlarged(noise, weather.enlarged).astype(np.float32, copy=False)
    flakes[flakes < weather.threshold] = 0
    np.clip(flakes, 0, 1, out=flakes)
    kernel = motion_kernel(weather.radius, weather.sigma, rng.uniform(*SNOW_DEGREES), flakes.shape)
    falling = correlation(flakes, 255 * kernel)
    return np.asarray(np.rint(falling[:height, :width]), np.uint8)


def _under_water(source: Source, drops: NDArray[np.uint8], strength: float) -> Picture:
    """The picture with pale turquoise added where drops are, most where their relief shines.

    Args:
        drops: how much liquid, (H, W).
    """
    shine = cv2.multiply(drops, _relief(drops), dtype=cv2.CV_32F)
    brightest = max(cv2.minMaxLoc(shine)[1], 1)      # without one drop the reference divides by 0
    return merged(
        cv2.scaleAdd(shine, strength * colour / brightest, plane)
        for plane, colour in zip(source.planes, WATER_COLOUR, strict=True)
    )


def _relief(drops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The outlines of the drops and what lies up to 20 pixels from them, lit from one side."""
    distance = cv2.distanceTransform(255 - cv2.Canny(drops, 50, 150), cv2.DIST_L2, 5)
    near = cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8)
    relief = cv2.filter2D(cv2.equalizeHist(near), cv2.CV_8U, WATER_EMBOSS)
    return np.asarray(cv2.blur(relief, (3, 3)), np.uint8)


def _under_mud(source: Source, drops: Floats) -> Picture:
    """The picture with brown laid over it in the middle of drops, 1 in (H, W) where they are and 0 elsewhere."""
    cover = gaussian(drops, MUD_SIGMA).astype(np.float32, copy=False)
    cover[cover < MUD_THRESHOLD] = 0
    return merged(plane + cover * (colour - plane) for plane, colour in zip(source.planes, MUD_COLOUR, strict=True))


def _normal(mean: float, spread: float, size_hw: Sequence[int], rng: Random) -> Floats:
    """Normal noise; in fast mode one of 65,536 equally likely numbers, up to 4.3 spreads from the mean."""
    if isinstance(rng, np.random.RandomState):
        return rng.normal(mean, spread, size_hw)
    numbers = _quantiles() * np.float32(spread) + np.float32(mean)
    drawn: NDArray[np.float32] = numbers[rng.integers(0, len(numbers), size_hw, np.uint16)]
    return drawn


@cache
def _quantiles() -> NDArray[np.float32]:
    """Of the normal distribution, in the middle of each of 65,536 equal shares."""
    shares = (torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16
    quantiles: NDArray[np.float32] = torch.special.ndtri(shares).float().numpy()
    return quantiles


def _uniform(size_hw: Sequence[int], rng: Random) -> Floats:
    """Uniform noise in 0..1."""
    if isinstance(rng, np.random.RandomState):
        return rng.random_sample(size_hw)
    return rng.random(size_hw, np.float32)
