"""The elastic transform: a picture on a sheet of rubber, pushed about at random."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from segformer_cli.images import Picture
from segformer_cli.robustness.filters import merged
from segformer_cli.robustness.source import Random, Source

STRETCH = 12.5, 16.25, 21.25, 25.0, 30.0
PUSH = 0.005
"""The largest push of a point, as a share of the height."""
STIFFNESS = 0.01
"""Spread of the blur that makes neighbours move together, as a share of height and width."""


def elastic_transform(source: Source, severity: int, rng: Random) -> Picture:
    """Every point moved along a smooth random field. The content moves, the target does not: not for segmentation.

    Source: `imagecorruptions`, which scales the field with the picture; ImageNet-C's own code is another transform.
    """
    height, width = source.size_hw
    across, down = (_smooth_field(source.size_hw, STRETCH[severity - 1], rng) for _ in range(2))
    # grid_sample's -1 and 1 are the outer edges of the picture, half a pixel beyond the middle of its outer pixels.
    x = (across + np.arange(width) + 0.5) * (2 / width) - 1
    y = (down + np.arange(height)[:, None] + 0.5) * (2 / height) - 1
    grid = torch.from_numpy(np.stack([x, y], axis=-1))[None]            # (1, H, W, 2)
    planes = torch.from_numpy(source.planes)[None].double()             # (1, 3, H, W)
    moved = F.grid_sample(planes, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    # What float64 left just below a level, float32 rounds back to it: flat areas stay as they are.
    return merged(moved[0].float().numpy())


def _smooth_field(size_hw: tuple[int, int], stretch: float, rng: Random) -> NDArray[np.float32]:
    """Pixels that each point moves along one axis, (H, W)."""
    height, width = size_hw
    if isinstance(rng, np.random.RandomState):
        pushes = rng.uniform(-PUSH * height, PUSH * height, size_hw).astype(np.float32)
    else:
        pushes = (rng.random(size_hw, np.float32) * 2 - 1) * np.float32(PUSH * height)
    along_row, along_column = (_cut_gaussian(STIFFNESS * side) for side in (width, height))
    field = cv2.sepFilter2D(pushes, cv2.CV_32F, along_row, along_column, borderType=cv2.BORDER_REFLECT)
    moves: NDArray[np.float32] = field * np.float32(stretch)
    return moves


def _cut_gaussian(spread: float) -> NDArray[np.floating]:
    """The weights of a Gaussian, cut at three times its spread."""
    return np.asarray(cv2.getGaussianKernel(2 * int(3 * spread + 0.5) + 1, spread, cv2.CV_64F))
