"""Two robustness results on the same pictures: how much better the second is under each corruption, and on average."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segformer_cli.config import CompareConfig
from segformer_cli.errors import DataError
from segformer_cli.metrics.bootstrap import Interval, bounds, compare
from segformer_cli.metrics.clusters import clusters_of
from segformer_cli.metrics.scores import Floats, mean
from segformer_cli.robustness.protocols import Cell, severities_of
from segformer_cli.robustness.scores import NAN, robustness
from segformer_cli.workflows.robust_draws import Draws, drawn, in_clusters
from segformer_cli.workflows.robust_files import SavedRobustness
from segformer_cli.workflows.scorecard import Bounds


@dataclass(frozen=True)
class CorruptionDifference:
    """One corruption, or the clean pictures: its mIoU in both results, and B - A with its 95 % interval."""

    corruption: str
    a: float
    b: float
    difference: float
    ci95: Bounds


@dataclass(frozen=True)
class RobustDifference:
    """What two results come to over the cells that both have; fractions, NaN where undefined.

    `rows` are the clean pictures and each corruption. `mean_a` and `mean_b` are means over corruptions, or the clean
    scores where there is none; `ci95` is the interval of B - A of these, `wins` the share of draws in which B has the
    higher one. `interval` is that of the clean scores, and says what was drawn. `left_out` are cells of one alone.
    """

    rows: tuple[CorruptionDifference, ...]
    mean_a: float
    mean_b: float
    ci95: Bounds
    wins: float
    interval: Interval
    left_out: tuple[Cell, ...]


def refuse_unlabelled(a: SavedRobustness, b: SavedRobustness) -> None:
    """Nothing where both results have scores.

    Raises:
        DataError: one was made without labels.
    """
    for each in (a, b):
        if not each.results.get("labelled", True):
            text = f"{each.folder} was made without labels: there is nothing to compare"
            raise DataError(text, where=str(each.folder.absolute()))


def compare_robust(a: SavedRobustness, b: SavedRobustness, config: CompareConfig) -> RobustDifference:
    """B minus A, paired: each resample holds the same pictures of both, under every corruption.

    Raises:
        DataError: the two are not of the same pictures and targets, or have no cell in common.
        UsageError: `group_images` finds nothing in some picture's name.
    """
    cells = _common_cells(a, b)
    keys = a.counts[None].keys
    clusters = dict(zip(keys, clusters_of(keys, config.group_images), strict=True)) if config.group_images else None
    # It refuses other pictures and other targets.
    clean = compare(
        a.counts[None], b.counts[None], in_clusters(a.counts[None], clusters), config.resamples, config.seed
    )
    draws_a, draws_b = (_draws(each, cells, clusters, config) for each in (a, b))
    (clean_a, means_a), (clean_b, means_b) = (_means(each, cells) for each in (a, b))
    rows = [_row("clean", clean_a, clean_b, draws_b.cells[None] - draws_a.cells[None])]
    rows += [
        _row(name, means_a[name], means_b[name], draws_b.corruptions[name] - draws_a.corruptions[name])
        for name in severities_of(cells)
    ]
    if draws_a.overall is None or draws_b.overall is None:
        gains, mean_a, mean_b = draws_b.cells[None] - draws_a.cells[None], clean_a, clean_b
    else:
        gains = draws_b.overall - draws_a.overall
        mean_a, mean_b = (mean(np.array(list(each.values()))) for each in (means_a, means_b))
    known = gains[~np.isnan(gains)]
    return RobustDifference(
        rows=tuple(rows),
        mean_a=mean_a,
        mean_b=mean_b,
        ci95=bounds(gains),
        wins=float(np.mean(known > 0)) if len(known) else NAN,
        interval=clean.interval,
        left_out=tuple(cell for cell in dict.fromkeys((*a.cells, *b.cells)) if cell not in cells),
    )


def _common_cells(a: SavedRobustness, b: SavedRobustness) -> tuple[Cell, ...]:
    cells = tuple(cell for cell in a.cells if cell in b.counts)
    if not cells and (a.cells or b.cells):
        raise DataError(
            "the two results have no corruption at the same severity in common",
            where=f"{a.folder} and {b.folder}",
            hint="score both with the same --protocol",
        )
    return cells


def _draws(
    saved: SavedRobustness, cells: tuple[Cell, ...], clusters: Mapping[str, str] | None, config: CompareConfig
) -> Draws:
    counts = {cell: saved.counts[cell] for cell in (None, *cells)}
    return drawn(counts, clusters, config.resamples, config.seed)


def _means(saved: SavedRobustness, cells: tuple[Cell, ...]) -> tuple[float, dict[str, float]]:
    clean = mean(saved.counts[None].iou)
    found = robustness({cell: mean(saved.counts[cell].iou) for cell in cells}, clean, cells)
    return clean, found.means


def _row(name: str, a: float, b: float, gains: Floats) -> CorruptionDifference:
    return CorruptionDifference(name, a, b, b - a, bounds(gains))
