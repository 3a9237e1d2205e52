"""Scores of a grid: one number for each corruption at each severity, beside the clean one.

A number is the mIoU of one confusion matrix over the whole data set, a fraction; it may as well be any other share
where more is better, such as the agreement of corrupted with clean predictions (then the clean number is 1). NaN is a
number that is not known: it counts as a missing cell.

Source: spec/robustness.md 2.2. Means are plain: first over the severities of a corruption, then over corruptions, so
that a noise with three severities weighs as much as a blur with five.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.robustness.protocols import (
    CATEGORY_OF,
    PAPER_CATEGORIES,
    Cell,
    paper_severities,
    severities_of,
    severity_text,
)

Floats = NDArray[np.float64]
Grid = Mapping[Cell, float]

NAN = float("nan")


@dataclass(frozen=True)
class CorruptionScore:
    """One corruption.

    `curve` has the number of each of `severities`; `missing` are those that were asked for and are not known.
    `area` is the area under the curve that starts at severity 0 with the clean number, straight between the
    severities, over its length: it is in the unit of the numbers.
    """

    corruption: str
    category: str
    severities: tuple[int, ...]
    curve: tuple[float, ...]
    missing: tuple[int, ...]
    mean: float
    retention: float
    area: float

    @property
    def comparable(self) -> bool:
        """Whether `mean` is over the severities of SegFormer's Table 5."""
        return self.severities == paper_severities(self.corruption)


@dataclass(frozen=True)
class Robustness:
    """What a grid comes to; NaN where a number cannot be known.

    `retention` is the share of `clean` that `mean` keeps. `worst_cell` and `worst` are None where nothing is known.
    """

    clean: float
    mean: float
    retention: float
    per_corruption: tuple[CorruptionScore, ...]
    per_category: Mapping[str, float]
    worst_cell: Cell | None
    missing: tuple[Cell, ...]

    @property
    def means(self) -> dict[str, float]:
        """The mean of each corruption, in order."""
        return {row.corruption: row.mean for row in self.per_corruption}

    @property
    def worst(self) -> CorruptionScore | None:
        """The corruption with the lowest mean."""
        known = [row for row in self.per_corruption if not math.isnan(row.mean)]
        return min(known, key=lambda row: row.mean, default=None)

    @property
    def note(self) -> str | None:
        """What is wrong with the means, None where nothing is known to be."""
        if not self.missing:
            return None
        cells = len(self.missing) + sum(len(row.curve) for row in self.per_corruption)
        where = "; ".join(f"{name} at {severity_text(gone)}" for name, gone in severities_of(self.missing).items())
        return f"{len(self.missing)} of {cells} cells have no result, means are over the others: {where}"


def robustness(grid: Grid, clean: float, cells: Iterable[Cell] | None = None) -> Robustness:
    """Every score of a grid.

    Args:
        cells: those that were asked for, in order, as a protocol has them; others of the grid are left out, those
            that the grid lacks are `missing`. None: all of the grid.

    >>> fog = {Cell("fog", severity): miou for severity, miou in enumerate([0.6, 0.4, 0.2], start=1)}
    >>> found = robustness({**fog, Cell("snow", 1): 0.2}, clean=0.8)
    >>> [round(value, 4) for value in (found.mean, found.retention, *found.means.values())]
    [0.3, 0.375, 0.4, 0.2]
    >>> found.worst_cell, found.per_category
    (Cell(corruption='fog', severity=3), {'weather': 0.3...})
    """
    wanted = tuple(dict.fromkeys(grid if cells is None else cells))
    known = {cell: float(grid[cell]) for cell in wanted if not math.isnan(grid.get(cell, NAN))}
    rows = tuple(_corruption_score(name, sorted(asked), known, clean) for name, asked in severities_of(wanted).items())
    means = {row.corruption: row.mean for row in rows}
    overall = mean(means.values())
    return Robustness(
        clean=clean,
        mean=overall,
        retention=share(overall, clean),
        per_corruption=rows,
        per_category=category_means(means),
        worst_cell=min(known, key=lambda cell: known[cell], default=None),
        missing=tuple(cell for cell in wanted if cell not in known),
    )


def category_means(means: Mapping[str, float]) -> dict[str, float]:
    """The mean of each category over those of its corruptions that are there, in Table 5's order.

    >>> category_means({"snow": 0.25, "shot_noise": 0.5, "fog": 0.75})
    {'noise': 0.5, 'weather': 0.5}
    """
    members = {category: [name for name in means if CATEGORY_OF[name] == category] for category in PAPER_CATEGORIES}
    return {category: mean(means[name] for name in names) for category, names in members.items() if names}


def mean(values: Iterable[float]) -> float:
    """The mean of the values that are known; NaN where none is.

    >>> mean([0.25, NAN, 0.75]), mean([])
    (0.5, nan)
    """
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else NAN


def mean_without(means: Mapping[str, float], left_out: Collection[str]) -> float:
    """The mean over all corruptions but some, such as frost, whose textures nobody may redistribute.

    >>> mean_without({"fog": 0.5, "frost": 0.25}, ["frost"])
    0.5
    """
    return mean(value for name, value in means.items() if name not in left_out)


def share(part: float, whole: float) -> float:
    """`part` over `whole`; NaN where `whole` is 0 or either is not known.

    >>> share(0.5, 0.8), share(0.5, 0.0)
    (0.625, nan)
    """
    return part / whole if whole else NAN


def _corruption_score(
    corruption: str, asked: Sequence[int], known: Mapping[Cell, float], clean: float
) -> CorruptionScore:
    severities = tuple(severity for severity in asked if Cell(corruption, severity) in known)
    curve = tuple(known[Cell(corruption, severity)] for severity in severities)
    average = mean(curve)
    return CorruptionScore(
        corruption=corruption,
        category=CATEGORY_OF[corruption],
        severities=severities,
        curve=curve,
        missing=tuple(severity for severity in asked if severity not in severities),
        mean=average,
        retention=share(average, clean),
        area=_area((0, *severities), (clean, *curve)),
    )


def _area(severities: Sequence[int], curve: Sequence[float]) -> float:
    """The trapezoids under a curve over its length; NaN for a single point."""
    steps = [after - before for before, after in itertools.pairwise(severities)]
    heights = [(left + right) / 2 for left, right in itertools.pairwise(curve)]
    return share(math.fsum(step * height for step, height in zip(steps, heights, strict=True)), sum(steps))


@dataclass(frozen=True, eq=False)
class ClassDrop:
    """What corruptions cost each class; NaN for a class without a score.

    `per_corruption` (C, K) is the IoU of each class under each of `corruptions`, a mean over severities; `corrupted`
    (K,) is the mean of its rows, `drop` (K,) the clean IoU minus that.
    """

    corruptions: tuple[str, ...]
    per_corruption: Floats
    corrupted: Floats
    drop: Floats

    @property
    def hardest(self) -> tuple[str | None, ...]:
        """For each class the corruption under which its IoU is lowest, None for a class without a score."""
        columns = self.per_corruption.T
        return tuple(None if np.isnan(ious).all() else self.corruptions[np.nanargmin(ious)] for ious in columns)


def class_drop(clean: Floats, grid: Mapping[Cell, Floats]) -> ClassDrop:
    """The drop of each class from its clean IoU (K,) to its mean over the grid of such vectors.

    Severities are averaged first, then corruptions, as the headline is; a vector without a score for a class is left
    out of that class's mean.

    Raises:
        ValueError: a vector is not as long as the clean one.

    >>> found = class_drop(np.array([0.75, 0.5]), {Cell("fog", 1): np.array([0.5, NAN]), Cell("fog", 2): np.zeros(2)})
    >>> found.corrupted, found.drop
    (array([0.25, 0. ]), array([0.5, 0.5]))
    """
    K = len(clean)
    if any(ious.shape != (K,) for ious in grid.values()):
        raise ValueError(f"{K} classes, but vectors of {sorted({ious.shape for ious in grid.values()})}")
    by_corruption = severities_of(grid)
    per_corruption = np.full((len(by_corruption), K), NAN)
    for row, (name, severities) in enumerate(by_corruption.items()):
        per_corruption[row] = _column_means(np.stack([grid[Cell(name, severity)] for severity in severities]))
    corrupted = _column_means(per_corruption)
    return ClassDrop(tuple(by_corruption), per_corruption, corrupted, clean - corrupted)


def _column_means(values: Floats) -> Floats:
    """(K,) of (N, K): the mean of what is known in each column."""
    known = ~np.isnan(values)
    means: Floats = np.full(values.shape[1], NAN)
    np.divide(np.where(known, values, 0).sum(axis=0), known.sum(axis=0), out=means, where=known.any(axis=0))
    return means
