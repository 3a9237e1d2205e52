"""From what was counted to what is said: every score of an evaluation, as people and as JSON read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from segformer_cli.classes import class_set, known_set
from segformer_cli.data.pairs import Split
from segformer_cli.errors import UsageError, did_you_mean
from segformer_cli.metrics.bootstrap import Interval
from segformer_cli.metrics.boundary import boundary_iou
from segformer_cli.metrics.calibration import Calibration, calibration
from segformer_cli.metrics.confusion import Counts
from segformer_cli.metrics.dialects import DIALECTS, Reading
from segformer_cli.metrics.instances import CATEGORIES, InstanceCounts, InstanceScores, instance_scores
from segformer_cli.metrics.scores import grouped, iou, mean, scores
from segformer_cli.metrics.sizes import COCO_LIMITS, size_iou
from segformer_cli.metrics.temperature import Temperature
from segformer_cli.workflows.class_match import ClassMatch, named_groups
from segformer_cli.workflows.measurements import Measurements

NAN = float("nan")
Bounds = tuple[float, float]
SIZE_NAMES = ("small", "medium", "large")
NOTHING_COUNTED = "every pixel is ignored: no score is defined"
_CITYSCAPES = class_set("cityscapes")
_ABSENT_AS_ONE = ("smp", "paddle")
_UNDEFINED = Reading(NAN, NAN, NAN, np.zeros(0))


@dataclass(frozen=True)
class ClassScore:
    """One row of the table; NaN where the class has no such score, None where it was not asked for.

    `iou_ci95` is the 95 % interval of `iou`. `counted` is False where the pixels of the class were left out, since the
    weights do not know it: `pixels` is 0 then, however many there are.
    """

    id: int
    name: str
    iou: float
    acc: float
    pixels: int
    dice: float = NAN
    iou_ci95: Bounds | None = None
    boundary_iou: float | None = None
    trimap_iou: float | None = None
    iou_by_size: tuple[float, ...] | None = None
    iiou: float | None = None
    counted: bool | None = None


@dataclass(frozen=True)
class GroupScore:
    """Some classes scored as one: a pixel is right where any of them was predicted for any of them."""

    name: str
    classes: tuple[str, ...]
    iou: float
    acc: float
    pixels: int
    iiou: float | None = None


@dataclass(frozen=True)
class DialectReading:
    """What another tool would have made of the same matrix; NaN where not one pixel was counted."""

    name: str
    miou: float
    macc: float | None
    aacc: float | None
    iou: tuple[float, ...]
    rule: str
    not_computed: str | None


@dataclass(frozen=True)
class Means:
    """Means over the classes of what was asked for beside IoU; None for what was not."""

    boundary_iou: float | None = None
    trimap_iou: float | None = None
    boundary_width: float | None = None
    iou_by_size: tuple[float, ...] | None = None
    size_limits: tuple[int, ...] | None = None
    iiou: float | None = None
    category_iiou: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; fractions in 0..1, NaN where undefined.

    `confusion` is (K, K); `none_of_them` counts, for each true class, the pixels that were given no class of the
    data at all. `miou_ci95` is NaN twice where it cannot be known, None where it was not asked for. Without labels
    (`labelled` is False) no score is defined. `passed` is whether the mIoU is the `min_miou` that was asked for, or
    more; an undefined one is not. None where none was asked for.
    """

    miou: float
    macc: float
    aacc: float
    per_class: tuple[ClassScore, ...]
    images: int
    confusion: Counts
    protocol: str
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    fwiou: float = NAN
    mdice: float = NAN
    none_of_them: tuple[int, ...] = ()
    miou_ci95: Bounds | None = None
    interval: str | None = None
    groups: tuple[GroupScore, ...] = ()
    dialects: tuple[DialectReading, ...] = ()
    means: Means = field(default_factory=Means)
    calibration: Calibration | None = None
    temperature: Temperature | None = None
    class_match: str | None = None
    device: str | None = None
    precision: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    image_mious: tuple[tuple[str, float], ...] = ()
    labelled: bool = True
    passed: bool | None = None
    artifacts: tuple[str, ...] = ()

    @property
    def defined(self) -> bool:
        """Whether there is a score: one labelled pixel at least."""
        return bool(self.confusion.any()) or any(self.none_of_them)

    def to_json(self) -> dict[str, Any]:
        """The `results` object of docs/cli.md; NaN where a score is undefined, which JSON's writer turns into null."""
        names = "miou miou_ci95 interval macc aacc fwiou mdice images seconds protocol class_match device precision"
        found: dict[str, Any] = {name: getattr(self, name) for name in (*names.split(), "settings")}
        found["per_class"] = [_asked_for(row) for row in self.per_class]
        found["confusion_matrix"] = self.confusion.tolist()
        if any(self.none_of_them):
            found["none_of_them"] = list(self.none_of_them)
        found["groups"] = [_asked_for(row) for row in self.groups]
        found["dialects"] = [asdict(row) for row in self.dialects]
        found |= {"means": _asked_for(self.means)} if _asked_for(self.means) else {}
        for name in ("calibration", "temperature"):
            value = getattr(self, name)
            found |= {name: asdict(value)} if value is not None else {}
        found["per_image"] = [{"image": key, "miou": miou} for key, miou in self.image_mious]
        return found


def protocol_sentence(split: Split, how: str, *, by_name: bool = False) -> str:
    """How a score came about; `how` says what happened to a picture."""
    images = "1 image" if len(split) == 1 else f"{len(split)} images"
    means = "classes in neither map left out of the mean"
    text = f"{images} of {split.data} {split.name}, {how}; counted at label size, {means}"
    return f"{text}, only classes counted that weights and data both know" if by_name else text


def summarise(confusion: Counts, split: Split, protocol: str, seconds: float = 0.0) -> Evaluation:
    """The scores of a matrix, (K, K) or (K, K + 1), under the class names of its split."""
    K = len(split.class_names)
    found = scores(confusion)
    rows = tuple(
        ClassScore(
            index, name, float(found.iou[index]), float(found.acc[index]), int(found.pixels[index]),
            float(found.dice[index]),
        )
        for index, name in enumerate(split.class_names)
    )
    none = confusion[:, K] if confusion.shape[1] > K else np.zeros(K, np.int64)
    return Evaluation(
        found.miou,
        found.macc,
        found.aacc,
        rows,
        len(split),
        confusion[:, :K],
        protocol,
        seconds,
        () if confusion.sum() or not split.labelled else (NOTHING_COUNTED,),
        fwiou=found.fwiou,
        mdice=found.mdice,
        none_of_them=tuple(none.tolist()),
        labelled=split.labelled,
    )


def with_measurements(base: Evaluation, found: Measurements) -> Evaluation:
    """The same evaluation with everything else that was counted."""
    wanted, split = found.wanted, found.split
    columns: dict[str, Sequence[Any]] = {}
    means: dict[str, Any] = {}
    if wanted.boundary_width is not None:
        columns |= {"boundary_iou": boundary_iou(found.boundary).tolist(), "trimap_iou": iou(found.trimap).tolist()}
        means["boundary_width"] = wanted.boundary_width
        means |= {name: mean(np.array(values)) for name, values in columns.items()}
    if wanted.object_sizes:
        by_size = size_iou(found.sizes)
        columns["iou_by_size"] = [tuple(row) for row in by_size.tolist()]
        means |= {"iou_by_size": tuple(mean(column) for column in by_size.T), "size_limits": COCO_LIMITS}
    groups = base.groups
    if wanted.instances:
        weighted = instance_scores(InstanceCounts.joined(found.instances), found.confusion[:, : len(split.class_names)])
        columns["iiou"] = weighted.iou.tolist()
        means |= {"iiou": weighted.miou, "category_iiou": weighted.category_miou}
        groups = _with_iiou(groups, weighted)
    rows = tuple(
        replace(row, **{name: values[row.id] for name, values in columns.items()}) for row in base.per_class
    )
    sure = calibration(found.confidence) if wanted.confidence else None
    counts = found.counts
    each = tuple(zip(counts.keys, counts.mious.tolist(), strict=True))
    return replace(base, per_class=rows, means=Means(**means), groups=groups, calibration=sure, image_mious=each)


def without_uncounted(base: Evaluation, names: Sequence[str]) -> Evaluation:
    """The same evaluation, its rows saying which classes were not counted."""
    rows = tuple(replace(row, counted=False) if row.name in names else row for row in base.per_class)
    return replace(base, per_class=rows)


def group_scores(confusion: Counts, split: Split, texts: Sequence[str]) -> tuple[GroupScore, ...]:
    """The groups asked for, each by itself so that they may overlap; on Cityscapes' classes its categories before them.

    Of two of one name the one asked for is there.

    Raises:
        UsageError: a text is no group.
    """
    categories = [f"{name}={','.join(members)}" for name, members in CATEGORIES.items()] if is_cityscapes(split) else []
    found = []
    groups = named_groups(categories, split.class_names) | named_groups(texts, split.class_names)
    for name, ids in groups.items():
        one = scores(grouped(confusion, [ids]), 1)
        members = tuple(split.class_names[index] for index in ids)
        found.append(GroupScore(name, members, float(one.iou[0]), float(one.acc[0]), int(one.pixels[0])))
    return tuple(found)


def is_cityscapes(split: Split) -> bool:
    """Whether the classes are the 19 of Cityscapes."""
    return known_set(split.class_names) == _CITYSCAPES


def dialect_readings(
    confusion: Counts, names: Sequence[str], *, with_instances: bool = False
) -> tuple[DialectReading, ...]:
    """What the tools called `names` would have made of the matrix; `all` stands for every one known.

    Where not one pixel was counted all of it is undefined, although some of the tools would print 0 or 1.

    Args:
        with_instances: iIoU was counted, so that it is not among what is missing.
    """
    found = []
    for name in check_dialects(names):
        dialect = DIALECTS[name]
        read = dialect.read(confusion) if confusion.any() else _UNDEFINED
        missing = [dialect.not_computed, None if with_instances else dialect.needs_instances]
        not_computed = "; ".join(text for text in missing if text) or None
        found.append(
            DialectReading(
                name, read.miou, read.macc, read.aacc, tuple(read.iou.tolist()), dialect.rule, not_computed
            )
        )
    return tuple(found)


def check_dialects(names: Sequence[str]) -> tuple[str, ...]:
    """The names, `all` spelt out; a text may hold several with commas between.

    Raises:
        UsageError: there is no such dialect.
    """
    names = [part.strip() for name in names for part in name.split(",")]
    if "all" in names:
        return tuple(DIALECTS)
    for name in names:
        if name not in DIALECTS:
            raise UsageError(f"there is no dialect {name!r}", hint=did_you_mean(name, [*DIALECTS, "all"]))
    return tuple(dict.fromkeys(names))


def misled_dialects(names: Sequence[str], match: ClassMatch, none_of_them: Sequence[int]) -> str | None:
    """What to know of tools' readings where classes were matched by name, which takes classes out of both maps."""
    absent, said = len(match.unknown_to_weights), []
    ones = [name for name in names if name in _ABSENT_AS_ONE]
    if absent and ones:
        classes = f"each of the {absent} classes" if absent > 1 else "the one class"
        count = "count" if len(ones) > 1 else "counts"
        said.append(f"{' and '.join(ones)} {count} {classes} unknown to the weights as 1")
    if "ultralytics" in names and any(none_of_them):
        said.append("ultralytics leaves out the pixels predicted as no class of the data")
    return f"these readings flatter what was matched by name: {'; '.join(said)}" if said else None


def with_interval(base: Evaluation, found: Interval) -> Evaluation:
    """The same evaluation with the intervals of the mean and of the classes."""
    rows = tuple(
        replace(row, iou_ci95=(float(found.per_class[row.id, 0]), float(found.per_class[row.id, 1])))
        for row in base.per_class
    )
    notes = (found.note,) if found.note else ()
    return replace(
        base,
        miou_ci95=(found.low, found.high),
        per_class=rows,
        interval=interval_sentence(found) if found.resamples else None,
        warnings=(*base.warnings, *notes),
    )


def interval_sentence(found: Interval) -> str:
    """How an interval came about.

    >>> interval_sentence(Interval(0.1, 0.2, np.zeros((1, 2)), 0.95, 1000, 8, "image"))
    '95 % interval: bootstrap, 1,000 draws of 8 images'
    """
    return f"{100 * found.level:g} % interval: bootstrap, {found.resamples:,} draws of {found.drawn}"


def _with_iiou(groups: Sequence[GroupScore], weighted: InstanceScores) -> tuple[GroupScore, ...]:
    of_category: Mapping[str, float] = weighted.category_iou
    return tuple(
        replace(group, iiou=of_category[group.name])
        if set(group.classes) == set(CATEGORIES.get(group.name, ())) and group.name in of_category
        else group
        for group in groups
    )


def _asked_for(row: ClassScore | GroupScore | Means) -> dict[str, Any]:
    """The fields that were asked for."""
    return {name: value for name, value in asdict(row).items() if value is not None}
