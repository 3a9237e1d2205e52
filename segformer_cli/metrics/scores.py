"""Scores of a confusion matrix. A class in neither map has no score: NaN, left out of every mean."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.metrics.confusion import Counts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """What is read off a confusion matrix; fractions in 0..1, NaN where undefined."""

    miou: float
    macc: float
    aacc: float
    iou: Floats
    acc: Floats
    pixels: NDArray[np.int64]


def iou(confusion: Counts) -> Floats:
    """Intersection over union of each class; NaN for a class in neither map.

    >>> iou(np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]]))
    array([0.5, 0. , nan])
    """
    intersection = np.diag(confusion)
    return _share(intersection, confusion.sum(0) + confusion.sum(1) - intersection)


def accuracy(confusion: Counts) -> Floats:
    """The share of each class's true pixels that were found; NaN for a class without true pixels."""
    return _share(np.diag(confusion), confusion.sum(1))


def scores(confusion: Counts) -> Scores:
    """Every score of a confusion matrix.

    Source: spec 3.5; means are over the classes that have the score, as in the released evaluation.
    """
    per_iou, per_acc = iou(confusion), accuracy(confusion)
    total = int(confusion.sum())
    return Scores(
        miou=_mean(per_iou),
        macc=_mean(per_acc),
        aacc=int(np.trace(confusion)) / total if total else float("nan"),
        iou=per_iou,
        acc=per_acc,
        pixels=confusion.sum(1),
    )


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Floats:
    shares: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return shares


def _mean(values: Floats) -> float:
    with warnings.catch_warnings():
        # All NaN is a fact here (nothing was labelled), not a mistake to warn of.
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(np.nanmean(values))
