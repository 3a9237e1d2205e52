"""Two results on the same images: how much better the second is, and whether that could be chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from segformer_cli.config import CompareConfig
from segformer_cli.errors import DataError, UsageError
from segformer_cli.metrics.bootstrap import compare
from segformer_cli.metrics.clusters import clusters_of, dependence_warning
from segformer_cli.settings import check_ranges
from segformer_cli.workflows.results import SavedResult, read_results
from segformer_cli.workflows.scorecard import Bounds, interval_sentence


@dataclass(frozen=True)
class ClassDifference:
    """One class: its IoU in both results, and B - A with its 95 % interval; NaN where undefined."""

    id: int
    name: str
    a: float
    b: float
    difference: float
    ci95: Bounds


@dataclass(frozen=True)
class ResultDifference:
    """What `compare_results` found: mIoU of B minus that of A; fractions, NaN where undefined.

    `wins` is the share of draws in which B has the higher mIoU.
    """

    a: str
    b: str
    miou_a: float
    miou_b: float
    difference: float
    ci95: Bounds
    wins: float
    per_class: tuple[ClassDifference, ...]
    images: int
    interval: str
    warnings: tuple[str, ...] = ()

    @property
    def better(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.ci95[0] > 0

    def to_json(self) -> dict[str, Any]:
        """The `results` object of `segformer compare --json`."""
        names = "a b miou_a miou_b difference ci95 wins better per_class images interval"
        return {name: getattr(self, name) for name in names.split()}


def compare_results(config: CompareConfig) -> ResultDifference:
    """The difference of two results that `segformer eval -o` wrote, by a paired bootstrap over their images.

    Raises:
        DataError: a result cannot be read, or the two are not of the same images, targets and classes.
        UsageError: `group_images` finds nothing in some image's name.
    """
    check_ranges(config)
    if not config.a or not config.b:
        raise UsageError("two results are needed", hint="segformer compare A B, each a folder that eval -o wrote")
    a, b = read_results(config.a), read_results(config.b)
    _refuse_other_classes(a, b)
    clusters = clusters_of(a.counts.keys, config.group_images) if config.group_images else None
    found = compare(a.counts, b.counts, clusters, resamples=config.resamples, seed=config.seed)
    rows = tuple(
        ClassDifference(
            index,
            name,
            float(a.counts.iou[index]),
            float(b.counts.iou[index]),
            float(found.per_class[index]),
            (float(found.interval.per_class[index, 0]), float(found.interval.per_class[index, 1])),
        )
        for index, name in enumerate(a.class_names)
    )
    return ResultDifference(
        a=config.a,
        b=config.b,
        miou_a=_number(a.results["miou"]),
        miou_b=_number(b.results["miou"]),
        difference=found.difference,
        ci95=(found.interval.low, found.interval.high),
        wins=found.wins,
        per_class=rows,
        images=len(a.counts),
        interval=interval_sentence(found.interval),
        warnings=_warnings(config, a, b, found.interval.note),
    )


def _refuse_other_classes(a: SavedResult, b: SavedResult) -> None:
    if a.class_names != b.class_names:
        pairs = zip(a.class_names, b.class_names, strict=False)
        first = next((f"{ours!r} in A, {theirs!r} in B" for ours, theirs in pairs if ours != theirs), "their number")
        raise DataError(
            f"the results are of other classes ({len(a.class_names)} in A, {len(b.class_names)} in B)",
            where=f"{a.folder} and {b.folder}: {first}",
            hint="score both on the same data",
        )


def _warnings(config: CompareConfig, a: SavedResult, b: SavedResult, note: str | None) -> tuple[str, ...]:
    found = [note] if note else []
    for name in ("protocol", "class_match", "device", "precision"):
        said = [saved.results.get(name) for saved in (a, b)]
        if said[0] != said[1] and None not in said:
            found.append(f"A and B differ in {name.replace('_', ' ')}: {said[0]!r} and {said[1]!r}")
    if not config.group_images and (dependence := dependence_warning(a.counts.keys)):
        found.append(dependence)
    return tuple(found)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
