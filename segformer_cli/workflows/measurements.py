"""What is counted of every picture of a score: whole numbers only, so that no order or number of processes matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segformer_cli.data.pairs import Split
from segformer_cli.engine.scoring import Judged, values_at
from segformer_cli.images import Ids, read_mask
from segformer_cli.metrics.bootstrap import ImageCounts
from segformer_cli.metrics.boundary import band_width, boundary_counts, trimap_matrix
from segformer_cli.metrics.calibration import BINS, confidence_counts, sampled_pixels
from segformer_cli.metrics.confusion import Counts
from segformer_cli.metrics.instances import InstanceCounts, instance_counts
from segformer_cli.metrics.sizes import COCO_LIMITS, size_counts

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


@dataclass(frozen=True, eq=False)
class _Image:
    """The pixels of each class in one picture, (K,): right ones, predicted ones, true ones."""

    key: str
    target_hash: str
    intersection: NDArray[np.int64]
    predicted: NDArray[np.int64]
    true: NDArray[np.int64]


class Measurements:
    """The sums over the pictures added so far; `joined` puts those of several processes together."""

    def __init__(self, split: Split, wanted: Wanted) -> None:
        K = len(split.class_names)
        self.split, self.wanted = split, wanted
        self.confusion: Counts = np.zeros((K, K + 1), np.int64)
        self.boundary: Counts = np.zeros((K, 2), np.int64)
        self.trimap: Counts = np.zeros((K, K + 1), np.int64)
        self.sizes: Counts = np.zeros((K, len(COCO_LIMITS) + 1, 3), np.int64)
        self.confidence: NDArray[np.int64] = np.zeros((BINS, 3), np.int64)
        self.instances = InstanceCounts()
        self.images: dict[int, _Image] = {}
        self.samples: dict[int, tuple[NDArray[np.float32], Ids]] = {}

    def add(self, each: Judged) -> None:
        """One picture more."""
        K = len(self.split.class_names)
        confusion = np.zeros((K, K + 1), np.int64)
        confusion[:, : each.confusion.shape[1]] = each.confusion
        self.confusion += confusion
        self.images[each.index] = _Image(
            each.pair.key, each.target_hash, np.diag(confusion).copy(), confusion.sum(0)[:K], confusion.sum(1)
        )
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
            self.instances = self.instances + instance_counts(read_mask(path), mask)
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
        images = [self.images[index] for index in sorted(self.images)]
        K = len(self.split.class_names)
        return ImageCounts(
            tuple(image.key for image in images),
            tuple(image.target_hash for image in images),
            np.array([image.intersection for image in images], np.int64).reshape(-1, K),
            np.array([image.predicted for image in images], np.int64).reshape(-1, K),
            np.array([image.true for image in images], np.int64).reshape(-1, K),
        )

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
        for name in ("confusion", "boundary", "trimap", "sizes", "confidence"):
            sums = getattr(total, name)
            sums += getattr(part, name)
        total.instances = total.instances + part.instances
        total.images |= part.images
        total.samples |= part.samples
    return total


def instance_file(mask: Path | None) -> Path | None:
    """The file of instances beside a mask of Cityscapes; None where there is none."""
    if mask is None or "_gtFine_label" not in mask.name:
        return None
    path = mask.with_name(mask.name.partition("_gtFine_label")[0] + "_gtFine_instanceIds.png")
    return path if path.is_file() else None
