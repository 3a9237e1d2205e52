"""Whether confidences can be believed: how they agree with the share of right pixels.

The confidence of a pixel is the softmax score of its predicted class. It is counted in steps of 2 ** -24, so that
sums are integers and no order, batch or number of processes changes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.metrics.confusion import Counts
from segformer_cli.metrics.scores import share

STEP_BITS = 24
STEPS = 2**STEP_BITS
"""Steps in a confidence of 1: float32 itself is no finer above one half."""

ECE_BINS = 15
EQUAL_BINS = 80 * ECE_BINS
CURVE_POINTS = 100


def _split_of_last_bin() -> NDArray[np.int64]:
    """For each distance below a confidence of 1, in steps: which part of the last equal bin; 0 from its lower end on.

    Most pixels of a trained network lie in that bin. Eight parts for each halving of the distance tell them apart,
    which the risk-coverage curve needs.
    """
    distance = np.arange(STEPS // EQUAL_BINS + 1)
    octaves = np.floor(8 * np.log2(np.maximum(distance, 0.5)))
    parts = np.unique(-octaves, return_inverse=True)[1]
    return np.asarray(parts, np.int64)


_PART = _split_of_last_bin()
_LOWEST = np.concatenate(
    [
        np.arange(EQUAL_BINS - 1) * STEPS // EQUAL_BINS + 1,
        STEPS - np.array([np.flatnonzero(part == _PART)[-1] for part in range(_PART[0] + 1)]),
    ]
)
"""The lowest confidence of each bin, in steps."""

BINS = len(_LOWEST)
"""Bins of `confidence_counts`: 1,200 equal ones, closed above, of which the last is split further."""


def confidence_counts(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> Counts:
    """Pixels of each range of confidence, (BINS, 3): pixels, those that are right, sum of confidences in `STEPS`.

    Args:
        confidence: (N,) softmax score of each labelled pixel's predicted class, 0..1.
        correct: (N,) whether that class is the true one.

    Raises:
        ValueError: the shapes differ, or a confidence is NaN or not in 0..1 (a rounding above 1 is cut).

    >>> counts = confidence_counts(np.array([0.75, 0.75, 0.5], np.float32), np.array([True, False, True]))
    >>> counts[counts[:, 0] > 0].tolist() == [[1, 1, STEPS // 2], [2, 1, 2 * STEPS * 3 // 4]]
    True
    """
    if confidence.shape != correct.shape:
        raise ValueError(f"confidence is {confidence.shape}, correct is {correct.shape}")
    if confidence.size and not 0 <= float(confidence.min()) <= float(confidence.max()) <= 1.001:
        raise ValueError(f"confidences are {confidence.min()} to {confidence.max()}, they must lie in 0..1")
    steps = np.minimum(np.rint(confidence * np.float32(STEPS)), STEPS).astype(np.int64).ravel()
    bins = np.maximum(steps * EQUAL_BINS - 1, 0) >> STEP_BITS
    bins += _PART[np.minimum(STEPS - steps, len(_PART) - 1)]
    wrong_right = np.bincount(2 * bins + correct.ravel(), minlength=2 * BINS).reshape(BINS, 2)
    # float64 adds integers exactly below 2 ** 53: half a billion pixels.
    total = np.bincount(bins, weights=steps, minlength=BINS).astype(np.int64)
    return np.stack([wrong_right.sum(axis=1), wrong_right[:, 1], total], axis=1)


@dataclass(frozen=True)
class ReliabilityBin:
    """One bar of the reliability diagram: confidences in (low, high]; NaN where no pixel has one."""

    low: float
    high: float
    confidence: float
    accuracy: float
    share: float


@dataclass(frozen=True)
class RiskPoint:
    """Keeping only pixels at least this confident keeps the share `coverage`; of those the share `risk` is wrong."""

    coverage: float
    risk: float
    confidence: float


@dataclass(frozen=True)
class Calibration:
    """What is read off summed `confidence_counts`; fractions in 0..1, NaN where there is no pixel.

    `ece`: expected calibration error over 15 equal bins (Guo et al., ICML 2017).
    `aurc`: area under the risk-coverage curve, the mean risk over all coverages (Geifman et al., ICLR 2019);
    pixels of one bin are taken as equally confident.
    """

    pixels: int
    accuracy: float
    mean_confidence: float
    ece: float
    aurc: float
    bins: tuple[ReliabilityBin, ...]
    risk_coverage: tuple[RiskPoint, ...]


def calibration(counts: Counts) -> Calibration:
    """The calibration of summed `confidence_counts`.

    >>> sure = calibration(confidence_counts(np.full(4, 0.9), np.array([True, True, True, False])))
    >>> round(sure.ece, 3), sure.accuracy, sure.aurc
    (0.15, 0.75, 0.25)
    """
    pixels, right, steps = counts.sum(axis=0)
    of_bin = np.add.reduceat(counts, np.arange(ECE_BINS) * (EQUAL_BINS // ECE_BINS))
    return Calibration(
        pixels=int(pixels),
        accuracy=float(share(right, pixels)),
        mean_confidence=float(share(steps, pixels * STEPS)),
        ece=float(share(np.abs(of_bin[:, 1] * STEPS - of_bin[:, 2]).sum(), pixels * STEPS)),
        aurc=_aurc(counts),
        bins=_reliability(of_bin),
        risk_coverage=_risk_coverage(counts),
    )


def _reliability(of_bin: Counts) -> tuple[ReliabilityBin, ...]:
    pixels, right, steps = of_bin.T
    bars = share(steps, pixels * STEPS), share(right, pixels), share(pixels, np.full_like(pixels, pixels.sum()))
    return tuple(
        ReliabilityBin(index / ECE_BINS, (index + 1) / ECE_BINS, *bar)
        for index, bar in enumerate(np.stack(bars, axis=1).tolist())
    )


def _risk_coverage(counts: Counts) -> tuple[RiskPoint, ...]:
    """The curve from the most confident pixels on: at each percent of coverage the first point that reaches it."""
    used = np.flatnonzero(counts[:, 0])[::-1]
    kept = np.cumsum(counts[used, 0])
    if not len(kept):
        return ()
    wrong = kept - np.cumsum(counts[used, 1])
    wanted = np.unique(np.searchsorted(kept * CURVE_POINTS, np.arange(1, CURVE_POINTS + 1) * kept[-1]))
    return tuple(
        RiskPoint(int(kept[at]) / int(kept[-1]), int(wrong[at]) / int(kept[at]), int(_LOWEST[used[at]]) / STEPS)
        for at in wanted
    )


def _aurc(counts: Counts) -> float:
    """The mean risk over coverages 0..1, where the errors of a bin are spread evenly over its pixels."""
    used = counts[counts[:, 0] > 0][::-1].astype(np.float64)
    if not len(used):
        return float("nan")
    pixels, wrong = used[:, 0], used[:, 0] - used[:, 1]
    before, wrong_before = np.cumsum(pixels) - pixels, np.cumsum(wrong) - wrong
    rate = wrong / pixels
    # The integral of (wrong_before + rate t) / (before + t) for t in 0..pixels; the first bin has no logarithm.
    growth = np.log1p(np.divide(pixels, before, out=np.zeros_like(pixels), where=before > 0))
    area = rate * pixels + (wrong_before - rate * before) * growth
    return float(area.sum() / pixels.sum())
