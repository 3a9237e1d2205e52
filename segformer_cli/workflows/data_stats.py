"""What `segformer data stats` means: how much of each class a split shows, its pictures' values and sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.config import StatsConfig
from segformer_cli.data.bending import Bending
from segformer_cli.data.class_statistics import ClassStatistics, count_classes
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.errors import DataError
from segformer_cli.progress import Progress, ProgressListener, ignore_progress
from segformer_cli.settings import checked
from segformer_cli.threads import cores, each_of


@dataclass(frozen=True, eq=False)
class DataStats:
    """Of one split: `classes` counts its masks; the rest is of `measured` of its pictures.

    `mean` and `std` (C,) are of the values 0 to 255 of each band, `sizes` how many pictures have each height and width.
    """

    split: Split
    classes: ClassStatistics
    measured: int
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    sizes: Counter[tuple[int, int]]

    @property
    def images_showing(self) -> NDArray[np.int64]:
        """(K,) pictures with any pixel of each class."""
        return np.asarray((self.classes.pixels > 0).sum(axis=0))

    def to_json(self) -> dict[str, object]:
        """`results` of the JSON object."""
        pixels = self.classes.pixels.sum(0, dtype=np.int64)
        return {
            "data": self.split.data,
            "split": self.split.name,
            "images": len(self.split),
            "classes": [
                {
                    "id": k,
                    "name": name,
                    "pixels": int(pixels[k]),
                    "share": float(self.classes.shares[k]),
                    "images": int(self.images_showing[k]),
                    "weight": float(self.classes.weights()[k]),
                }
                for k, name in enumerate(self.split.class_names)
            ],
            "measured_images": self.measured,
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
            "sizes": [{"size_hw": list(size), "images": count} for size, count in self.sizes.most_common()],
        }


def data_stats(config: StatsConfig, progress: ProgressListener = ignore_progress) -> DataStats:
    """The numbers of one split; its masks are all read, of its pictures `limit`.

    Raises:
        DataError: there is no such split, it has no masks, or one holds an id that means nothing.
        ImageError: a file cannot be read.
    """
    config = checked(config)
    bending = Bending.of(config)
    split = open_data(config.data, config.split, bending)
    if not split.labelled:
        raise DataError(f"{split.name} has no masks to count", where=str(split.root), hint="name another --split")
    threads = config.workers or cores()
    classes = count_classes(split, threads, progress)
    sample = split.spread(config.limit)
    sums, squares, pixels = np.zeros(3), np.zeros(3), 0
    sizes: Counter[tuple[int, int]] = Counter()
    for done, (size, mean, std) in enumerate(_measured(sample, threads), 1):
        count = size[0] * size[1]
        sums += count * mean
        squares += count * (std**2 + mean**2)
        pixels += count
        sizes[size] += 1
        progress(Progress("values", done, len(sample), "image"))
    mean = sums / pixels
    return DataStats(split, classes, len(sample), mean, np.sqrt(np.maximum(squares / pixels - mean**2, 0)), sizes)


def _measured(
    split: Split, threads: int
) -> Iterator[tuple[tuple[int, int], NDArray[np.float64], NDArray[np.float64]]]:
    """Height and width, mean and deviation of each band, of every picture."""

    def measure(pair: Pair) -> tuple[tuple[int, int], NDArray[np.float64], NDArray[np.float64]]:
        picture = split.read_image(pair)
        mean, std = cv2.meanStdDev(picture)
        return (picture.shape[0], picture.shape[1]), np.ravel(mean), np.ravel(std)

    return each_of(measure, split.pairs, threads)
