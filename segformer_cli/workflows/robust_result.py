"""What a robustness run found: every number of the grid, as people and as JSON read it.

C cells and the clean picture, K classes, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segformer_cli.metrics.bootstrap import ImageCounts, bounds, miou_interval, resampled_mious
from segformer_cli.metrics.calibration import calibration
from segformer_cli.metrics.scores import Floats, mean, scores
from segformer_cli.robustness.degradation import Degradation, Reference, degradation
from segformer_cli.robustness.protocols import PAPER_CORRUPTIONS, Cell, RobustProtocol
from segformer_cli.robustness.scores import NAN, ClassDrop, Robustness, class_drop, mean_without, robustness
from segformer_cli.robustness.table5 import TableRow, row_of
from segformer_cli.workflows.robust_counts import RobustCounts
from segformer_cli.workflows.robust_draws import Draws, drawn, in_clusters
from segformer_cli.workflows.scorecard import Bounds


@dataclass(frozen=True)
class CellScore:
    """One corruption at one severity.

    `agreement` is the share of pixels that keep the class they have in the clean picture, `stability_miou` the mIoU
    of the corrupted masks against the clean ones; neither needs labels.
    """

    corruption: str
    severity: int
    miou: float
    images: int
    miou_ci95: Bounds | None
    agreement: float
    stability_miou: float
    ece: float | None = None


@dataclass(frozen=True)
class ClassRobustness:
    """One class: its clean IoU, its mean over corruptions, and the corruption that is hardest for it."""

    id: int
    name: str
    clean_iou: float
    iou: float
    drop: float
    hardest: str | None


@dataclass(frozen=True)
class CleanScore:
    """A score of uncorrupted pictures: at another size, or of those under one condition.

    `difference` is `miou` minus the clean one of the run.
    """

    name: str
    images: int
    miou: float
    miou_ci95: Bounds | None
    difference: float


@dataclass(frozen=True)
class FailedPicture:
    """A picture that is in no score, and why."""

    input: str
    error: str


@dataclass(frozen=True)
class Seconds:
    """Where the time went; `corrupting` is that of all reading processes together."""

    total: float = 0.0
    corrupting: float = 0.0
    network: float = 0.0
    waiting: float = 0.0


@dataclass(frozen=True, eq=False)
class RobustResult:
    """What `eval_robust` found; fractions in 0..1, NaN where undefined.

    `found` has every mean of mIoU, `stability` those of the agreement of corrupted with clean masks. `labelled` False:
    there was nothing to score against, and stability is all that is known. `starred` says of each corruption whose
    mean cannot be set beside published ones why.
    """

    found: Robustness
    stability: Robustness
    grid: tuple[CellScore, ...]
    per_class: tuple[ClassRobustness, ...]
    images: int
    protocol: str
    labelled: bool
    cells: RobustProtocol
    clean_ci95: Bounds | None = None
    mean_ci95: Bounds | None = None
    ci95: Mapping[str, Bounds] = field(default_factory=dict)
    clean_ece: float | None = None
    against: Degradation | None = None
    resolutions: tuple[CleanScore, ...] = ()
    conditions: tuple[CleanScore, ...] = ()
    starred: Mapping[str, str] = field(default_factory=dict)
    seconds: Seconds = field(default_factory=Seconds)
    failed: tuple[FailedPicture, ...] = ()
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    device: str | None = None
    precision: str | None = None
    artifacts: tuple[str, ...] = ()

    @property
    def clean_miou(self) -> float:
        """Of the pictures as they are."""
        return self.found.clean

    @property
    def mean_miou(self) -> float:
        """The mean over corruptions."""
        return self.found.mean

    @property
    def retention(self) -> float:
        """The share of `clean_miou` that `mean_miou` is."""
        return self.found.retention

    @property
    def in_table5(self) -> bool:
        """Whether there is anything to set beside the published rows."""
        return self.labelled and any(name in PAPER_CORRUPTIONS for name in self.found.means)

    @property
    def row(self) -> TableRow:
        """As Table 5 would print it."""
        weights, data = (str(self.settings.get(name)) for name in ("weights", "data"))
        where = "" if data.startswith("cityscapes:") else f" on {data.rpartition('/')[2]}"
        return row_of(f"{weights.rstrip('/').rpartition('/')[2]}{where}", self.found, self.starred)

    def to_json(self) -> dict[str, Any]:
        """The `results` object of docs/cli.md."""
        document: dict[str, Any] = {
            "clean_miou": self.found.clean,
            "clean_miou_ci95": self.clean_ci95,
            "mean_miou": self.found.mean,
            "mean_miou_ci95": self.mean_ci95,
            "mean_miou_without_frost": mean_without(self.found.means, ["frost"]),
            "retention": self.found.retention,
            "grid": [_known(cell) for cell in self.grid],
            "per_corruption": [self._corruption(name) for name in self.cells.corruptions],
            "per_category": dict(self.found.per_category),
            "worst": None if self.found.worst is None else self.found.worst.corruption,
            "worst_cell": None if self.found.worst_cell is None else self.found.worst_cell._asdict(),
            "stability": {"agreement": self.stability.mean, "per_corruption": self.stability.means},
            "per_class": [asdict(row) for row in self.per_class],
            "images": self.images,
            "labelled": self.labelled,
            "not_comparable": dict(self.starred),
            "protocol": self.protocol,
            "settings": dict(self.settings),
            "device": self.device,
            "precision": self.precision,
            "seconds": asdict(self.seconds),
            "failed": [asdict(each) for each in self.failed],
        }
        if self.against is not None:
            beside = self.against
            document |= {"cd": dict(beside.cd), "rcd": dict(beside.rcd), "mcd": beside.mcd, "mrcd": beside.mrcd}
            document |= {
                "mcd_without_frost": mean_without(beside.cd, ["frost"]),
                "cd_reference": beside.reference,
                "cd_left_out": dict(beside.left_out),
            }
        if self.clean_ece is not None:
            document["clean_ece"] = self.clean_ece
        for name in ("resolutions", "conditions"):
            document |= {name: [asdict(row) for row in getattr(self, name)]} if getattr(self, name) else {}
        return document

    def _corruption(self, name: str) -> dict[str, Any]:
        row = next(row for row in self.found.per_corruption if row.corruption == name)
        return {
            "corruption": name, "category": row.category, "severities": list(row.severities), "miou": row.mean,
            "miou_ci95": self.ci95.get(name), "retention": row.retention, "area": row.area,
            "agreement": self.stability.means[name],
        }


def summarise(
    counts: RobustCounts, protocol: RobustProtocol, sentence: str, clusters: Mapping[str, str] | None, resamples: int
) -> RobustResult:
    """The scores of what was counted, with their intervals; pictures that failed are in none of them.

    Args:
        sentence: how the scores came about.
        clusters: of each picture's key, for pictures that are not independent.
    """
    cells = protocol.cells
    clean = scores(counts.confusion[0])
    labelled = bool(counts.confusion[0].any())
    of_cell = {cell: scores(counts.confusion[counts.place[cell]]) for cell in cells}
    found = robustness({cell: each.miou for cell, each in of_cell.items()}, clean.miou, cells)
    agreement = {cell: _agreement(counts.stability[counts.place[cell]]) for cell in cells}
    draws = Draws({}, {}, None)
    if labelled and resamples:
        draws = drawn({cell: counts.counts(cell) for cell in (None, *cells)}, clusters, resamples)
    limits = {cell: bounds(values) for cell, values in draws.cells.items()}
    drop = class_drop(clean.iou, {cell: each.iou for cell, each in of_cell.items()})
    return RobustResult(
        found=found,
        stability=robustness(agreement, 1.0 if counts.pictures else NAN, cells),
        grid=tuple(_cell_score(counts, cell, of_cell[cell].miou, limits.get(cell), agreement[cell]) for cell in cells),
        per_class=_classes(counts.split.class_names, clean.iou, drop) if labelled else (),
        images=len(counts.pictures),
        protocol=sentence,
        labelled=labelled,
        cells=protocol,
        clean_ci95=limits.get(None),
        mean_ci95=None if draws.overall is None else bounds(draws.overall),
        ci95={name: bounds(values) for name, values in draws.corruptions.items()},
        clean_ece=_ece(counts, None),
        failed=tuple(
            FailedPicture(str(counts.split.pairs[index].image), text) for index, text in sorted(counts.failed.items())
        ),
        warnings=_notes(counts, found, clusters, resamples) if labelled else (),
    )


def measured_against(result: RobustResult, reference: Reference) -> RobustResult:
    """The same result with CD and rCD."""
    beside = degradation(result.found, reference)
    notes = (beside.note,) if beside.note else ()
    return replace(result, against=beside, warnings=(*result.warnings, *notes))


def clean_score(
    name: str, counts: ImageCounts, clean: float, clusters: Mapping[str, str] | None, resamples: int
) -> CleanScore:
    """One row of a table of clean scores.

    Args:
        counts: of its pictures, not corrupted.
        clean: the mIoU of the run's own clean pictures.
        clusters: of each picture's key, for pictures that are not independent.
    """
    miou = mean(counts.iou)
    drawn = resampled_mious(counts, in_clusters(counts, clusters), resamples) if resamples and len(counts) else None
    return CleanScore(name, len(counts), miou, None if drawn is None else bounds(drawn), miou - clean)


def _notes(
    counts: RobustCounts, found: Robustness, clusters: Mapping[str, str] | None, resamples: int
) -> tuple[str, ...]:
    """What is wrong with the means and with their intervals."""
    clean = counts.counts(None)
    # One draw is enough: the note depends on how many units there are to draw from, not on what is drawn.
    interval = miou_interval(clean, in_clusters(clean, clusters), resamples=1).note if resamples else None
    return tuple(note for note in (found.note, interval) if note)


def _cell_score(
    counts: RobustCounts, cell: Cell, miou: float, limits: Bounds | None, agreement: float
) -> CellScore:
    return CellScore(
        corruption=cell.corruption,
        severity=cell.severity,
        miou=miou,
        images=len(counts.pictures),
        miou_ci95=limits,
        agreement=agreement,
        stability_miou=scores(counts.stability[counts.place[cell]]).miou,
        ece=_ece(counts, cell),
    )


def _agreement(stability: NDArray[np.int64]) -> float:
    pixels = int(stability.sum())
    return int(np.trace(stability)) / pixels if pixels else NAN


def _ece(counts: RobustCounts, cell: Cell | None) -> float | None:
    return calibration(counts.confidence[counts.place[cell]]).ece if counts.confident else None


def _classes(names: Sequence[str], clean: Floats, drop: ClassDrop) -> tuple[ClassRobustness, ...]:
    hardest = drop.hardest if drop.corruptions else (None,) * len(names)
    return tuple(
        ClassRobustness(index, name, float(clean[index]), float(drop.corrupted[index]), float(drop.drop[index]), worst)
        for index, (name, worst) in enumerate(zip(names, hardest, strict=True))
    )


def _known(cell: CellScore) -> dict[str, Any]:
    """Without what was not asked for."""
    return {name: value for name, value in asdict(cell).items() if name != "ece" or value is not None}
