"""Two results on the same images: how much better the second is, and whether that could be chance."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from segformer_cli.config import CompareConfig
from segformer_cli.errors import DataError, UsageError
from segformer_cli.metrics.bootstrap import Comparison, Interval, compare
from segformer_cli.metrics.clusters import clusters_of, dependence_warning
from segformer_cli.settings import checked
from segformer_cli.workflows.memory import memory_told
from segformer_cli.workflows.results import RESULT, SavedResult, read_results, refuse_newer
from segformer_cli.workflows.robust_comparison import CorruptionDifference, compare_robust, refuse_unlabelled
from segformer_cli.workflows.robust_files import SavedRobustness, is_robust, read_robust
from segformer_cli.workflows.scorecard import Bounds, interval_sentence

FEWEST_UNITS = 5
"""Of four images or videos, all are better by mere chance once in 16 times: no interval of so few is to be acted on."""


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

    `score` is what `miou_a` and `miou_b` are: of robustness results the mean over corruptions, which then has a row for
    each in `per_corruption`, that of the clean pictures first, and no classes.
    `wins` is the share of draws in which B has the higher mIoU, `units` the number of images, or groups of them, that
    a draw holds.
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
    units: int
    score: str = "mIoU"
    per_corruption: tuple[CorruptionDifference, ...] = ()
    same: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def better(self) -> bool:
        """Whether the whole interval lies above zero, and is drawn from enough to be believed."""
        return self.ci95[0] > 0 and self.units >= FEWEST_UNITS

    @property
    def worse(self) -> bool:
        """Whether it lies below."""
        return self.ci95[1] < 0 and self.units >= FEWEST_UNITS

    @property
    def too_few(self) -> bool:
        """Whether there is an interval, but of too little to be believed."""
        return self.units < FEWEST_UNITS and not math.isnan(self.ci95[0])

    @property
    def why_not_better(self) -> str:
        """What keeps B from being called better."""
        low, high = (100 * bound for bound in self.ci95)
        if math.isnan(self.difference):
            which = " and ".join(name for name, miou in (("A", self.miou_a), ("B", self.miou_b)) if math.isnan(miou))
            return f"the mIoU of {which} is undefined, since not one labelled pixel was counted"
        if math.isnan(low):
            return "there is no interval, since fewer than two images or groups of images can be drawn"
        if self.units < FEWEST_UNITS:
            return f"{self.units} images, or groups of them, are too few to draw from: {FEWEST_UNITS} are needed"
        return f"B - A lies in [{low:+.2f}, {high:+.2f}] points"

    def to_json(self) -> dict[str, Any]:
        """The `results` object of `segformer compare --json`; NaN where a score is undefined, there null."""
        names = "a b score miou_a miou_b difference ci95 wins better per_class images interval"
        found = {name: getattr(self, name) for name in names.split()}
        return found | ({"per_corruption": self.per_corruption} if self.per_corruption else {})


def compare_results(config: CompareConfig) -> ResultDifference:
    """The difference of two results of `eval`, or of two of `eval-robust`, by a paired bootstrap over their images.

    Raises:
        DataError: a result cannot be read, or the two are not of the same kind, images, targets and classes, or, of
            `eval-robust`, have no cell in common.
        EnvironmentLacksError: the memory is not enough.
        UsageError: `group_images` finds nothing in some image's name.
    """
    config = checked(config, CompareConfig)
    if not config.a or not config.b:
        raise UsageError("two results are needed", hint="segformer compare A B, each a folder that eval -o wrote")
    with memory_told("fewer --resamples"):
        if is_robust(config.a) or is_robust(config.b):
            return _robust_difference(config)
        return _difference(config)


def _difference(config: CompareConfig) -> ResultDifference:
    a, b = read_results(config.a), read_results(config.b)
    _refuse_other_classes(a, b)
    _refuse_other_match(a, b)
    config, grouping = _grouped(config, a, b)
    clusters = clusters_of(a.counts.keys, config.group_images) if config.group_images else None
    found = compare(a.counts, b.counts, clusters, resamples=config.resamples, seed=config.seed)
    return ResultDifference(
        a=config.a,
        b=config.b,
        miou_a=_number(a.results["miou"]),
        miou_b=_number(b.results["miou"]),
        difference=found.difference,
        ci95=(found.interval.low, found.interval.high),
        wins=found.wins,
        per_class=_class_rows(a, b, found),
        images=len(a.counts),
        interval=_paired(found.interval, grouping),
        units=found.interval.units,
        same=a.folder.resolve() == b.folder.resolve(),
        warnings=_warnings(config, a, b, found.interval.note, grouping),
    )


def _class_rows(a: SavedResult, b: SavedResult, found: Comparison) -> tuple[ClassDifference, ...]:
    limits = found.interval.per_class.tolist()
    return tuple(
        ClassDifference(
            id=index,
            name=name,
            a=float(a.counts.iou[index]),
            b=float(b.counts.iou[index]),
            difference=float(found.per_class[index]),
            ci95=(limits[index][0], limits[index][1]),
        )
        for index, name in enumerate(a.class_names)
    )


def _robust_difference(config: CompareConfig) -> ResultDifference:
    robust, other = (config.a, config.b) if is_robust(config.a) else (config.b, config.a)
    if not is_robust(other):
        read_results(other)                          # says what is wrong with it, where it is no result at all
        raise DataError(
            f"{robust} is a result of eval-robust, {other} is not",
            hint="score both with eval-robust, or both with eval",
        )
    for path in (config.a, config.b):
        _refuse_newer(path)
    a, b = read_robust(config.a), read_robust(config.b)
    refuse_unlabelled(a, b)
    _refuse_other_classes(a, b)
    config, grouping = _grouped(config, a, b)
    found = compare_robust(a, b, config)
    left_out = ", ".join(f"{cell.corruption} {cell.severity}" for cell in found.left_out)
    notes = _warnings(config, a, b, found.interval.note, grouping)
    return ResultDifference(
        a=config.a,
        b=config.b,
        miou_a=found.mean_a,
        miou_b=found.mean_b,
        difference=found.mean_b - found.mean_a,
        ci95=found.ci95,
        wins=found.wins,
        per_class=(),
        images=len(a.counts[None]),
        interval=_paired(found.interval, grouping),
        units=found.interval.units,
        score="mean mIoU under corruptions" if len(found.rows) > 1 else "mIoU",
        per_corruption=found.rows,
        same=a.folder.resolve() == b.folder.resolve(),
        warnings=(*notes, *([f"left out, since only one of the two has it: {left_out}"] if left_out else [])),
    )


@dataclass(frozen=True)
class _Grouping:
    """Whether the images' groups are those that both results were scored with, and what keeps them from being so."""

    of_results: bool = False
    warning: str | None = None


def _grouped(
    config: CompareConfig, a: SavedResult | SavedRobustness, b: SavedResult | SavedRobustness
) -> tuple[CompareConfig, _Grouping]:
    """The config with the groups that both results were scored with, where it names none."""
    if config.group_images:
        return config, _Grouping()
    ours, theirs = (saved.results.get("settings", {}).get("group_images") for saved in (a, b))
    if ours == theirs:
        return replace(config, group_images=ours), _Grouping(of_results=ours is not None)
    said = (f"with --group-images '{pattern}'" if pattern else "without groups" for pattern in (ours, theirs))
    text = "A was scored {}, B {}: images are drawn one by one; --group-images says which to draw as one".format(*said)
    return config, _Grouping(warning=text)


def _paired(interval: Interval, grouping: _Grouping) -> str:
    """How an interval of a difference came about."""
    groups = ", grouped as both were scored" if grouping.of_results else ""
    return f"{interval_sentence(interval)}, paired{groups}" if interval.resamples else "no interval"


def _refuse_newer(path: str) -> None:
    place = Path(path).expanduser()
    folder = place.parent if place.suffix in (".json", ".npz") else place
    refuse_newer(json.loads((folder / RESULT).read_text(encoding="utf-8")), folder)


def _refuse_other_match(a: SavedResult, b: SavedResult) -> None:
    """An error where classes that were matched by name leave other pixels uncounted, so that the targets differ."""
    matches = [saved.results.get("class_match") for saved in (a, b)]
    targets = [dict(zip(saved.counts.keys, saved.counts.targets, strict=True)) for saved in (a, b)]
    other = any(targets[1].get(key, target) != target for key, target in targets[0].items())
    if other and matches[0] != matches[1]:
        said = (f"{name}: {match or 'every class counted'}" for name, match in zip("AB", matches, strict=True))
        raise DataError(
            "A and B do not count the same classes: their weights' were matched with the data's by other names",
            where="; ".join(said),
            hint="score both with the same --by-name and --alias, or both without",
        )


def _refuse_other_classes(a: SavedResult | SavedRobustness, b: SavedResult | SavedRobustness) -> None:
    if a.class_names != b.class_names:
        pairs = zip(a.class_names, b.class_names, strict=False)
        first = next((f"{ours!r} in A, {theirs!r} in B" for ours, theirs in pairs if ours != theirs), "their number")
        raise DataError(
            f"the results are of other classes ({len(a.class_names)} in A, {len(b.class_names)} in B)",
            where=f"{a.folder} and {b.folder}: {first}",
            hint="score both on the same data",
        )


def _warnings(
    config: CompareConfig,
    a: SavedResult | SavedRobustness,
    b: SavedResult | SavedRobustness,
    note: str | None,
    grouping: _Grouping,
) -> tuple[str, ...]:
    found = [text for text in (note, grouping.warning) if text]
    if a.folder.resolve() == b.folder.resolve():
        found.append(f"A and B are the same result, {a.folder}")
    for name in ("protocol", "class_match", "device", "precision"):
        said = [saved.results.get(name) for saved in (a, b)]
        if said[0] != said[1] and None not in said:
            ours, theirs = _what_differs(str(said[0]), str(said[1]))
            found.append(f"A and B differ in {name.replace('_', ' ')}: {ours} and {theirs}")
    if not (config.group_images or grouping.warning) and (dependence := dependence_warning(_keys(a))):
        found.append(dependence)
    return tuple(found)


def _what_differs(a: str, b: str) -> tuple[str, str]:
    """Two sentences, quoted, without the parts between commas that they begin and end with alike.

    >>> _what_differs("2 images, whole, at 512; counted", "2 images, in windows, at 512; counted")
    ("'whole'", "'in windows'")
    """
    parts = [re.split("[,;] ", text) for text in (a, b)]
    begin = _alike(*parts)
    ends = [part[begin:][::-1] for part in parts]
    end = _alike(*ends)
    ours, theirs = (", ".join(part[end:][::-1]) for part in ends)
    return repr(ours) if ours else "nothing", repr(theirs) if theirs else "nothing"


def _alike(a: Sequence[str], b: Sequence[str]) -> int:
    """How many parts two lists begin with alike."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))))


def _keys(saved: SavedResult | SavedRobustness) -> tuple[str, ...]:
    return saved.counts.keys if isinstance(saved, SavedResult) else saved.counts[None].keys


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
