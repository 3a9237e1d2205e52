"""The same resamples of the pictures under every corruption, so that means over cells have intervals too.

R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segformer_cli.metrics.bootstrap import ImageCounts, resampled_mious
from segformer_cli.metrics.scores import Floats, means
from segformer_cli.robustness.protocols import Cell, severities_of


@dataclass(frozen=True, eq=False)
class Draws:
    """The mIoU of each resample, (R,): of each cell, of each corruption as the mean over its severities, of their mean.

    `overall` is None where there is no corruption.
    """

    cells: Mapping[Cell | None, Floats]
    corruptions: Mapping[str, Floats]
    overall: Floats | None


def drawn(
    counts: Mapping[Cell | None, ImageCounts], clusters: Mapping[str, str] | None, resamples: int, seed: int = 0
) -> Draws:
    """The resamples of every cell; that of one number holds the same pictures in all of them.

    Args:
        counts: of each cell, None for the clean pictures; all of the same pictures.
        clusters: of each picture's key, for pictures that are not independent.
    """
    cells = {
        cell: resampled_mious(each, in_clusters(each, clusters), resamples, seed) for cell, each in counts.items()
    }
    corruptions = {
        name: means(np.stack([cells[Cell(name, severity)] for severity in severities], axis=1))
        for name, severities in severities_of(cell for cell in cells if cell is not None).items()
    }
    overall = means(np.stack(list(corruptions.values()), axis=1)) if corruptions else None
    return Draws(cells, corruptions, overall)


def in_clusters(counts: ImageCounts, clusters: Mapping[str, str] | None) -> list[str] | None:
    """The cluster of each picture of the counts; None where pictures are drawn by themselves."""
    return None if clusters is None else [clusters[key] for key in counts.keys]
