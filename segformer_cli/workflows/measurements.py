"""What is counted of every picture of a score: whole numbers, so that no order or number of processes matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.data.pairs import Split
from segformer_cli.engine.scoring import Judged, values_at
from segformer_cli.errors import DataError
from segformer_cli.images import Ids, read_mask
from segformer_cli.metrics.bootstrap import ImageCounts
from segformer_cli.metrics.boundary import band_width, boundary_counts, trimap_matrix
from segformer_cli.metrics.calibration import BINS, confidence_counts
from segformer_cli.metrics.confusion import Counts
from segformer_cli.metrics.instances import InstanceCounts, instance_counts
from segformer_cli.metrics.sizes import COCO_LIMITS, size_counts
from segformer_cli.metrics.temperature import sampled_pixels
from segformer_cli.places import Place

PIXELS_FOR_TEMPERATURE = 200_000


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be counted beside the confusion matrix and its share of each picture.

    `boundary_width` is a share of the diagonal, None for no boundaries; `sampled` is the number of pixels a
    picture that go into the fit of a temperature.
    """

    boundary_width: float | None = None
    object_sizes: bool = False
    confidence: bool = False
    instances: bool = False
    sampled: int = 0


class Measurements:
    """The sums over the pictures added so far; `joined` puts those of several processes together.

    `pixels` (N, 3, K) are the right, predicted and true pixels of each class in each picture of the split. It is made
    at its full size: small arrays that came one by one would keep the freed memory between them from being used.
    """

    def __init__(self, split: Split, wanted: Wanted) -> None:
        K = len(split.class_names)
        self.split, self.wanted = split, wanted
        self.confusion: Counts = np.zeros((K, K + 1), np.int64)
        self.boundary: Counts = np.zeros((K, 2), np.int64)
        self.trimap: Counts = np.zeros((K, K + 1), np.int64)
        self.sizes: Counts = np.zeros((K, len(COCO_LIMITS) + 1, 3), np.int64)
        self.confidence: NDArray[np.int64] = np.zeros((BINS, 3), np.int64)
        self.instances: list[InstanceCounts] = []
        self.pixels: NDArray[np.int64] = np.zeros((len(split), 3, K), np.int64)
        self.hashes: NDArray[np.bytes_] = np.zeros(len(split), "S64")
        self.samples: dict[int, tuple[NDArray[np.float32], Ids]] = {}

    def add(self, each: Judged) -> None:
        """One picture more."""
        K = len(self.split.class_names)
        confusion = np.zeros((K, K + 1), np.int64)
        confusion[:, : each.confusion.shape[1]] = each.confusion
        self.confusion += confusion
        self.pixels[each.index] = np.diag(confusion), confusion.sum(0)[:K], confusion.sum(1)
        self.hashes[each.index] = each.target_hash
        ignore = self.split.ignore_index
        # An id that is no class of the data is one class more here.
        mask = np.minimum(each.mask, K)
        if self.wanted.boundary_width is not None:
            width = band_width((mask.shape[0], mask.shape[1]), self.wanted.boundary_width)
            self.boundary += boundary_counts(each.target, mask, K + 1, ignore, width)[:K]
            self.trimap += trimap_matrix(each.target, mask, K + 1, ignore, width)[:K]
        if self.wanted.object_sizes:
            self.sizes += size_counts(each.target, mask, K + 1, ignore)[:K]
        if self.wanted.confidence:
            assert each.confidence is not None
            counted = each.target != ignore
            self.confidence += confidence_counts(each.confidence[counted], (each.target == mask)[counted])
        if self.wanted.instances and (path := instance_file(each.pair.mask)) is not None:
            self.instances.append(_instances(path, each.target != ignore, mask))
        if self.wanted.sampled:
            self._sample(each)

    def _sample(self, each: Judged) -> None:
        """Logits of a few pixels, the same ones whatever the order."""
        places = sampled_pixels(each.target, self.split.ignore_index, self.wanted.sampled, each.pair.key, seed=0)
        source_hw = each.target.shape[0], each.target.shape[1]
        self.samples[each.index] = values_at(each.maps, source_hw, places), each.target.ravel()[places]

    @property
    def counts(self) -> ImageCounts:
        """Of each image, in the order of the split."""
        keys = tuple(pair.key for pair in self.split.pairs)
        return ImageCounts(keys, tuple(self.hashes.astype(str)), *self.pixels.transpose(1, 0, 2))

    @property
    def sampled(self) -> tuple[NDArray[np.float32], Ids]:
        """Logits (n, K) and targets (n,) of the sampled pixels of all pictures, in the order of the split."""
        order = sorted(self.samples)
        logits = np.concatenate([self.samples[index][0] for index in order])
        return logits, np.concatenate([self.samples[index][1] for index in order])


def joined(parts: Sequence[Measurements]) -> Measurements:
    """The measurements of several processes as those of one."""
    total = Measurements(parts[0].split, parts[0].wanted)
    for part in parts:
        for name in ("confusion", "boundary", "trimap", "sizes", "confidence", "pixels"):
            sums = getattr(total, name)
            sums += getattr(part, name)
        total.instances += part.instances
        total.hashes = np.where(part.hashes == b"", total.hashes, part.hashes)
        total.samples |= part.samples
    return total


def _instances(path: Place, counted: NDArray[np.bool_], mask: Ids) -> InstanceCounts:
    """The instances of one picture; those of pixels that are not counted are left out."""
    try:
        instances = read_mask(path)
        if instances.shape != mask.shape:
            raise DataError(
                f"{path.name} is {instances.shape[0]} x {instances.shape[1]}, its picture {mask.shape[0]} x "
                f"{mask.shape[1]} (height x width)"
            )
        return instance_counts(np.where(counted, instances, 0), mask)
    except DataError as error:
        error.where = str(path)
        raise


def instance_file(mask: Place | None) -> Place | None:
    """The file of instances beside a mask of Cityscapes; None where there is none."""
    if mask is None or "_gtFine_label" not in mask.name:
        return None
    path = mask.with_name(mask.name.partition("_gtFine_label")[0] + "_gtFine_instanceIds.png")
    return path if path.is_file() else None
