"""How far a mIoU can be trusted: intervals from resampled images, and the paired comparison of two results.

Images (or whole clusters of them) are drawn with replacement, as many as there are; the spread of the mIoU over many
such draws stands for its spread over other images of the same kind (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993; percentile intervals). What is drawn depends on the seed and the keys, not on the order of images.

N images, K classes, U units that are drawn (images or clusters), R resamples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.errors import DataError
from segformer_cli.metrics.confusion import Counts
from segformer_cli.metrics.scores import Floats, mean, means, share

LEVEL = 0.95
"""The share of all resamples that an interval holds."""

FEW_UNITS = 10
"""With fewer, percentile intervals are known to be too narrow."""

_PLURALS = {"image": "images", "group of images": "groups of images"}

_WEIGHTS = 2**21
"""Weights held at a time: 16 MB."""


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """The pixels of each class in each image; all of them count only pixels whose target is not ignored.

    `keys` name the images, `targets` are hashes of their targets; `intersection` (right), `predicted` and `true` are
    (N, K) int64: of a confusion matrix the diagonal, the sums of columns and the sums of rows.
    """

    keys: tuple[str, ...]
    targets: tuple[str, ...]
    intersection: Counts
    predicted: Counts
    true: Counts

    def __post_init__(self) -> None:
        shapes = {self.intersection.shape, self.predicted.shape, self.true.shape}
        N = len(self.keys)
        if len(self.targets) != N or len(shapes) > 1 or self.true.ndim != 2 or len(self.true) != N:
            raise ValueError(f"{N} keys, {len(self.targets)} targets and counts of {shapes} do not belong together")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def num_classes(self) -> int:
        """K."""
        return int(self.true.shape[1])

    @property
    def union(self) -> Counts:
        """(N, K)."""
        union: Counts = self.predicted + self.true - self.intersection
        return union

    @property
    def iou(self) -> Floats:
        """IoU (K,) of all images together, equal to that of their confusion matrix; NaN for a class in neither map.

        >>> right, predicted, true = np.array([[[1, 0], [1, 0]], [[1, 0], [2, 0]], [[2, 0], [2, 0]]])
        >>> ImageCounts(("a", "b"), ("", ""), right, predicted, true).iou.round(3)
        array([0.4, nan])
        """
        return share(self.intersection.sum(axis=0), self.union.sum(axis=0))

    @property
    def mious(self) -> Floats:
        """mIoU (N,) of each image by itself, over the classes in either of its maps; NaN where every pixel is ignored.

        >>> right, predicted, true = np.array([[[1, 0], [0, 0]], [[1, 0], [0, 0]], [[2, 1], [0, 0]]])
        >>> ImageCounts(("a", "b"), ("", ""), right, predicted, true).mious
        array([0.25,  nan])
        """
        return means(share(self.intersection, self.union))


@dataclass(frozen=True, eq=False)
class Interval:
    """Between which values a mIoU, or a difference of two, lies in the share `level` of all resamples.

    `low` and `high` are NaN where nothing can be resampled, see `note`. `per_class` (K, 2) are the intervals of the
    classes from the same draws; NaN for a class that fewer than two units have. `unit` is "image" or "group of images".
    """

    low: float
    high: float
    per_class: Floats
    level: float
    resamples: int
    units: int
    unit: str

    @property
    def drawn(self) -> str:
        """What each resample draws: "8 images", "1 group of images"."""
        return f"{self.units} {self.unit if self.units == 1 else _PLURALS[self.unit]}"

    @property
    def note(self) -> str | None:
        """What is wrong with the interval, None where nothing is known to be."""
        if self.units < 2:
            return f"{self.drawn}: an interval needs at least two"
        if self.units < FEW_UNITS:
            return f"an interval from only {self.drawn} is likely too narrow"
        return None


def resampled_mious(
    counts: ImageCounts, clusters: Sequence[str] | None = None, resamples: int = 1000, seed: int = 0
) -> Floats:
    """The mIoU of each resample, (R,): the mean over the classes that are in one of its maps, NaN where none is.

    A seed draws the same of the same keys whatever was counted in the images: the values of several counts, as of one
    network under several corruptions, can be put together resample by resample. Fewer than two units leave nothing to
    resample: (0,).

    Args:
        clusters: as for `miou_interval`.

    Raises:
        ValueError: `clusters` is not one label an image, or `resamples` is below 1.
    """
    return means(_resampled_ious(_units_of(counts, clusters), resamples, seed))


def bounds(values: Floats) -> tuple[float, float]:
    """The percentiles between which the share `LEVEL` of resampled values (R,) lies.

    Values that are NaN are left out; both bounds are NaN where all are.

    >>> [round(value, 3) for value in bounds(np.append(np.arange(41.0), np.nan))]
    [1.0, 39.0]
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high


def miou_interval(
    counts: ImageCounts,
    clusters: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """The interval of the mIoU, as of `resampled_mious`, and of each class's IoU.

    Args:
        clusters: the cluster of each image, where images are not independent (frames of one video): whole
            clusters are drawn. None: each image is drawn by itself.

    Raises:
        ValueError: `clusters` is not one label an image, or `resamples` is below 1.

    >>> ones = np.ones((2, 1), np.int64)
    >>> interval = miou_interval(ImageCounts(("a", "b"), ("", ""), ones * [[0], [4]], ones * 4, ones * 4))
    >>> interval.low, interval.high, interval.note
    (0.0, 1.0, 'an interval from only 2 images is likely too narrow')
    """
    units = _units_of(counts, clusters)
    present = (units[:, counts.num_classes :] > 0).sum(axis=0)
    ious = _resampled_ious(units, resamples, seed)
    return _interval(means(ious), ious, present, len(units), clustered=clusters is not None)


@dataclass(frozen=True, eq=False)
class Comparison:
    """How much better B is than A on the same images.

    `difference` is the mIoU of B minus that of A, `interval` its interval and those of the classes, `per_class` (K,)
    the differences of their IoU, `wins` the share of resamples in which B has the higher mIoU; NaN where undefined.
    """

    difference: float
    per_class: Floats
    interval: Interval
    wins: float


def compare(
    a: ImageCounts,
    b: ImageCounts,
    clusters: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """B minus A, paired: each resample holds the same images of both, so what is hard for both cancels out.

    Args:
        a, b: matched by key, in any order.
        clusters: as for `miou_interval`, one for each key of `a`.

    Raises:
        DataError: the images, their targets or the number of classes differ, or a key occurs twice.
        ValueError: as for `miou_interval`.
    """
    place = _matched(a, b)
    K = a.num_classes
    parts = [a.intersection, b.intersection[place], a.union, b.union[place]]
    units = _units(a.keys, np.hstack(parts), clusters)
    present = ((units[:, 2 * K : 3 * K] > 0) & (units[:, 3 * K :] > 0)).sum(axis=0)
    sums = _resampled(units, resamples, seed)
    of_a, of_b = (share(sums[:, at : at + K], sums[:, at + 2 * K : at + 3 * K]) for at in (0, K))
    gains = means(of_b) - means(of_a)
    defined = gains[~np.isnan(gains)]
    return Comparison(
        difference=mean(b.iou) - mean(a.iou),
        per_class=b.iou - a.iou,
        interval=_interval(gains, of_b - of_a, present, len(units), clustered=clusters is not None),
        wins=float(share(np.count_nonzero(defined > 0), len(defined))),
    )


def _matched(a: ImageCounts, b: ImageCounts) -> NDArray[np.int64]:
    """Where each key of `a` is in `b`."""
    for name, counts in (("A", a), ("B", b)):
        if len(set(counts.keys)) < len(counts):
            key, times = Counter(counts.keys).most_common(1)[0]
            raise DataError(f"result {name} holds {times} images named {key}", hint="score the data again")
    if a.num_classes != b.num_classes:
        raise DataError(
            f"result A has {a.num_classes} classes, result B has {b.num_classes}",
            hint="only scores of the same classes can be compared",
        )
    only = {name: sorted({*x.keys} - {*y.keys}) for name, x, y in (("A", a, b), ("B", b, a))}
    if any(only.values()):
        found = (f"{len(keys)} only in result {name} (first: {keys[0]})" for name, keys in only.items() if keys)
        raise DataError(
            f"the results are not of the same images: {', '.join(found)}",
            where=f"{len(a)} images in A, {len(b)} in B",
            hint="score both on the same split, with the same --limit",
        )
    at = {key: index for index, key in enumerate(b.keys)}
    place = np.array([at[key] for key in a.keys], np.int64)
    different = [key for key, target, index in zip(a.keys, a.targets, place, strict=True) if b.targets[index] != target]
    if different:
        raise DataError(
            f"{len(different)} of {len(a)} images have other targets in result B than in result A",
            where=f"first: {min(different)}",
            hint="score both on the same labels, at the same size",
        )
    return place


def _units_of(counts: ImageCounts, clusters: Sequence[str] | None) -> Floats:
    """Intersection and union of each class in each unit, (U, 2 K)."""
    return _units(counts.keys, np.hstack([counts.intersection, counts.union]), clusters)


def _units(keys: Sequence[str], values: Counts, clusters: Sequence[str] | None) -> Floats:
    """Values summed over each image or cluster, in the order of their names, (U, columns).

    Whole numbers in float64, so that a matrix product adds them exactly below 2 ** 53.
    """
    if clusters is None:
        return values[np.argsort(np.array(keys, dtype=object), kind="stable")].astype(np.float64)
    if len(clusters) != len(keys):
        raise ValueError(f"{len(clusters)} cluster labels for {len(keys)} images")
    names, members = np.unique(np.array(clusters, dtype=object), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]), np.int64)
    np.add.at(sums, members, values)
    return sums.astype(np.float64)


def _resampled_ious(units: Floats, resamples: int, seed: int) -> Floats:
    """IoU (R, K) of each resample of what `_units_of` gives."""
    intersection, union = np.split(_resampled(units, resamples, seed), 2, axis=1)
    return share(intersection, union)


def _resampled(units: Floats, resamples: int, seed: int) -> Floats:
    """The sums of each resample, (R, columns); none where fewer than two units leave nothing to resample."""
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}, at least 1 is needed")
    U = len(units)
    if U < 2:
        return np.empty((0, units.shape[1]))
    generator = np.random.Generator(np.random.PCG64(seed))
    sums = np.empty((resamples, units.shape[1]))
    step = max(1, _WEIGHTS // U)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = generator.integers(0, U, (rows, U)) + np.arange(rows)[:, None] * U
        times = np.bincount(drawn.ravel(), minlength=rows * U).reshape(rows, U)
        sums[start : start + rows] = times.astype(np.float64) @ units
    return sums


def _interval(
    values: Floats, of_classes: Floats, present: NDArray[np.int64], units: int, *, clustered: bool
) -> Interval:
    """The interval of resampled values: of means (R,), and of classes (R, K) that are `present` in so many units."""
    low, high = bounds(values)
    of_several = np.where(present > 1, of_classes, np.nan)
    per_class = np.array([bounds(column) for column in of_several.T]).reshape(-1, 2)
    return Interval(low, high, per_class, LEVEL, len(values), units, "group of images" if clustered else "image")
