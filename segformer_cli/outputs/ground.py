"""Where a picture lies on the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.errors import UsageError


@dataclass(frozen=True)
class Ground:
    """How columns and rows of a picture become places on a map.

    Attributes:
        transform: six numbers a, b, c, d, e, f, in the order of rasterio's `Affine`: the corner of pixel (column, row)
            lies at (a column + b row + c, d column + e row + f).
        crs: the map's name, as `EPSG:25832`.
        metres: in one unit of the map; None where it measures in degrees.

    Raises:
        UsageError: the transform is no such six numbers, or brings all of the picture onto a line.

    Pixels of half a metre, north up:

    >>> Ground((0.5, 0, 500_000, 0, -0.5, 5_400_000), "EPSG:25832", metres=1).square_metres(100)
    25.0
    """

    transform: tuple[float, float, float, float, float, float]
    crs: str | None = None
    metres: float | None = None

    def __post_init__(self) -> None:
        if len(self.transform) != 6 or not all(map(math.isfinite, self.transform)) or not self.determinant:
            numbers = ", ".join(f"{number:g}" for number in self.transform)
            raise UsageError(
                f"({numbers}) places no picture on a map",
                hint="six numbers, as rasterio's Affine: width of a pixel, 0, left, 0, minus its height, top",
            )
        if self.metres is not None and not (math.isfinite(self.metres) and self.metres > 0):
            raise UsageError(f"a unit of {self.metres} metres is none", hint="1 of maps in metres, 0.3048 in feet")

    @property
    def determinant(self) -> float:
        """The size of a pixel in square units of the map; below 0 where rows run against its second axis."""
        a, b, _, d, e, _ = self.transform
        return a * e - b * d

    def square_metres(self, pixels: int) -> float | None:
        """How large that many pixels are; None of a map in degrees."""
        return None if self.metres is None else pixels * abs(self.determinant) * self.metres**2

    def places(self, points: NDArray[np.integer]) -> NDArray[np.float64]:
        """Points on the map, (N, 2), of vertices between pixels, x before y."""
        a, b, c, d, e, f = self.transform
        x, y = points.T.astype(np.float64)
        return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)
