"""What `segformer data stats` means: how much of each class a split shows, its pictures' values and sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.config import StatsConfig
from segformer_cli.data.band_values import BandValues, measure_bands
from segformer_cli.data.bending import Bending
from segformer_cli.data.class_statistics import ClassStatistics, count_classes
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Split
from segformer_cli.errors import DataError
from segformer_cli.progress import ProgressListener, ignore_progress
from segformer_cli.settings import checked
from segformer_cli.threads import cores


@dataclass(frozen=True, eq=False)
class DataStats:
    """Of one split: `classes` counts its masks, `values` measures pictures."""

    split: Split
    classes: ClassStatistics
    values: BandValues

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
            "measured_images": self.values.measured,
            "bands": list(self.split.bands),
            "mean": self.values.mean.tolist(),
            "std": self.values.std.tolist(),
            "sizes": [{"size_hw": list(size), "images": count} for size, count in self.values.sizes.most_common()],
        }


def data_stats(config: StatsConfig, progress: ProgressListener = ignore_progress) -> DataStats:
    """The numbers of one split; its masks are all read, of its pictures `limit`.

    Raises:
        DataError: there is no such split, it has no masks, or one holds an id that means nothing.
        ImageError: a file cannot be read.
    """
    config = checked(config)
    split = open_data(config.data, config.split, Bending.of(config, config.bands))
    if not split.labelled:
        raise DataError(f"{split.name} has no masks to count", where=str(split.root), hint="name another --split")
    threads = config.workers or cores()
    classes = count_classes(split, threads, progress)
    return DataStats(split, classes, measure_bands(split, config.limit, threads, progress))
