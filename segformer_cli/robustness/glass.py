"""Seen through frosted glass: every pixel takes the colour of one nearby, by chance."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.images import Picture
from segformer_cli.robustness.filters import smoothed
from segformer_cli.robustness.source import Random, Source

Positions = NDArray[np.intp]
"""Pixels of a picture by their number in reading order."""


class Glass(NamedTuple):
    """How a severity blurs before and after, how far a pixel may look, and how often it does."""

    sigma: float
    reach: int
    rounds: int


GLASS = Glass(0.7, 1, 2), Glass(0.9, 2, 1), Glass(1, 2, 3), Glass(1.1, 3, 2), Glass(1.5, 4, 2)


def glass_blur(source: Source, severity: int, rng: Random) -> Picture:
    """Blurred, its pixels copied about by chance, and blurred again; what is seen moves down and to the right.

    Source: Hendrycks and Dietterich, ICLR 2019. It was meant to swap pixels; on colours it copies, see `copied_from`.
    """
    glass = GLASS[severity - 1]
    blurred = smoothed(source.pixels, glass.sigma)
    origins = copied_from(source.size_hw, glass, rng)
    return smoothed(blurred.reshape(-1, 3)[origins].reshape(blurred.shape), glass.sigma)


def copied_from(size_hw: tuple[int, int], glass: Glass, rng: Random) -> Positions:
    """Whose colour each pixel has in the end, (H W,).

    In every round the reference visits the pixels, from the last to the first but for a margin, and swaps each with
    one that chance picks nearby. Its swap of two rows of a NumPy array overwrites the one before it reads it, so it is
    a copy, and what is copied from further on was overwritten before.
    """
    origins = np.arange(size_hw[0] * size_hw[1])
    for _ in range(glass.rounds):
        origins = origins[_one_round(size_hw, glass.reach, rng)]
    return origins


def _one_round(size_hw: tuple[int, int], reach: int, rng: Random) -> Positions:
    """Whose colour before the round each pixel has after it."""
    height, width = size_hw
    here: Positions = np.arange(height * width)
    picked = here.copy()
    inner = picked.reshape(size_hw)[reach + 1 : height - reach + 1, reach + 1 : width - reach + 1]
    inner += _steps(inner.shape, width, reach, rng)
    origins: Positions = picked.copy()
    leading_on = np.flatnonzero(picked > here)
    while leading_on.size:
        # A pixel further on had its turn before, so it holds what it picked itself, perhaps from further on again.
        further = origins[leading_on]
        origins[leading_on] = picked[further]
        leading_on = leading_on[picked[further] > further]
    return origins


def _steps(inner_hw: tuple[int, ...], width: int, reach: int, rng: Random) -> NDArray[np.integer]:
    """How far on, in reading order, each inner pixel looks: -`reach` to `reach` - 1 rows and as many columns."""
    choices = 2 * reach
    if isinstance(rng, np.random.RandomState):
        columns, rows = rng.randint(-reach, reach, size=(inner_hw[0] * inner_hw[1], 2))[::-1].T
        drawn: NDArray[np.int64] = rows * width + columns
        return drawn.reshape(inner_hw)
    rows, columns = np.divmod(np.arange(256), choices)
    steps = ((rows - reach) * width + columns - reach).astype(np.int32)
    return np.asarray(cv2.LUT(rng.integers(0, choices**2, size=inner_hw, dtype=np.uint8), steps), np.int32)
