"""Mean and deviation of each band over pictures, and the pictures' sizes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.data.pairs import Pair, Split
from segformer_cli.errors import DataError
from segformer_cli.images import Pixels
from segformer_cli.progress import Progress, ProgressListener, ignore_progress
from segformer_cli.threads import each_of

MEASURED = 500
"""Pictures of a split, evenly spaced, unless something else is asked for."""

_OF_OPENCV = 4
"""Bands that it measures at once."""

Sums = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Of each band: how many values, their sum, that of their squares."""


@dataclass(frozen=True, eq=False)
class BandValues:
    """Of `measured` pictures: `mean` and `std` (C,) of their values, and how many have each height and width.

    Values that are no numbers, as holes in maps are, are not counted.
    """

    measured: int
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    sizes: Counter[tuple[int, int]]


def measure_bands(
    split: Split, limit: int | None = MEASURED, threads: int = 1, progress: ProgressListener = ignore_progress
) -> BandValues:
    """The values of `limit` pictures, evenly spaced over the split; None measures all.

    Raises:
        ImageError: a picture cannot be read.
        DataError: a band has one value everywhere, or none.
    """
    sample = split.spread(limit)

    def measure(pair: Pair) -> tuple[tuple[int, int], Sums]:
        pixels = sample.read_image(pair)
        return (pixels.shape[0], pixels.shape[1]), _sums(pixels)

    C = len(split.bands) or 3
    count, total, squares = np.zeros(C), np.zeros(C), np.zeros(C)
    sizes: Counter[tuple[int, int]] = Counter()
    for done, (size, sums) in enumerate(each_of(measure, sample.pairs, threads), 1):
        count, total, squares = count + sums[0], total + sums[1], squares + sums[2]
        sizes[size] += 1
        progress(Progress("values", done, len(sample), "image"))
    mean = total / np.maximum(count, 1)
    std = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0))
    if split.bands and not std.all():
        band = split.bands[int(np.argmin(std))]
        raise DataError(
            f"band {band} has the value {mean[int(np.argmin(std))]:g} everywhere",
            where=f"{len(sample)} pictures of split {split.name!r} of {split.root}",
            hint="leave it out of --bands: a network learns nothing from it",
        )
    return BandValues(len(sample), mean, std, sizes)


def _sums(pixels: Pixels) -> Sums:
    if pixels.dtype.kind != "f" and pixels.shape[2] <= _OF_OPENCV:
        mean, std = (np.ravel(each) for each in cv2.meanStdDev(pixels))
        count = np.full(pixels.shape[2], float(pixels.shape[0] * pixels.shape[1]))
        return count, count * mean, count * (std**2 + mean**2)
    values = pixels.reshape(-1, pixels.shape[2]).astype(np.float64)
    known = np.isfinite(values)
    values[~known] = 0
    return known.sum(0).astype(np.float64), values.sum(0), (values**2).sum(0)
