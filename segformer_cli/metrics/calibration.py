"""Whether confidences can be believed: how they agree with the share of right pixels, and the temperature that helps.

The confidence of a pixel is the softmax score of its predicted class. It is counted in steps of 2 ** -24, so that
sums are integers and no order, batch or number of processes changes them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.errors import DataError, SegFormerError
from segformer_cli.metrics.confusion import Counts

Floats = NDArray[np.float64]

STEP_BITS = 24
STEPS = 2**STEP_BITS
"""Steps in a confidence of 1: float32 itself is no finer above one half."""

ECE_BINS = 15
EQUAL_BINS = 80 * ECE_BINS
CURVE_POINTS = 100

TEMPERATURES = (1 / 32, 32.0)
"""Where a temperature is looked for. Beyond, every softmax is an argmax or even."""


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
    pixels, right, steps = (int(total) for total in counts.sum(axis=0))
    of_bin = np.add.reduceat(counts, np.arange(ECE_BINS) * (EQUAL_BINS // ECE_BINS))
    return Calibration(
        pixels=pixels,
        accuracy=_share(right, pixels),
        mean_confidence=_share(steps, pixels * STEPS),
        ece=_share(int(np.abs(of_bin[:, 1] * STEPS - of_bin[:, 2]).sum()), pixels * STEPS),
        aurc=_aurc(counts),
        bins=tuple(
            ReliabilityBin(
                low=index / ECE_BINS,
                high=(index + 1) / ECE_BINS,
                confidence=_share(total, count * STEPS),
                accuracy=_share(good, count),
                share=_share(count, pixels),
            )
            for index, (count, good, total) in enumerate(of_bin.tolist())
        ),
        risk_coverage=_risk_coverage(counts),
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


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def sampled_pixels(
    target: NDArray[np.integer], ignore_index: int, count: int, key: str, seed: int = 0
) -> NDArray[np.int64]:
    """Flat indices, rising, of `count` labelled pixels of one picture by lot; all of them where there are no more.

    The lot is the picture's own: it depends on `key` and `seed`, not on what was drawn before.

    >>> target = np.array([[255, 3, 255], [1, 255, 2]])
    >>> sampled_pixels(target, ignore_index=255, count=10, key="a").tolist()
    [1, 3, 5]
    """
    labelled = np.flatnonzero(target != ignore_index)
    if len(labelled) <= count:
        return labelled
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
    chosen = generator.choice(len(labelled), count, replace=False, shuffle=False)
    return labelled[np.sort(chosen)]


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by before the softmax, and the mean negative log-likelihood (nats) without and with it.

    `at_limit`: the best value lies beyond `TEMPERATURES`, as where every pixel is right and more confidence only
    helps; `value` is the limit itself.
    """

    value: float
    nll_before: float
    nll_after: float
    pixels: int
    at_limit: bool


def fit_temperature(logits: NDArray[np.floating], targets: NDArray[np.integer]) -> Temperature:
    """The temperature under which the true classes are most likely; the predicted classes stay as they are.

    Args:
        logits: (N, K), of labelled pixels.
        targets: (N,) their true classes.

    Raises:
        DataError: there is no pixel to fit it to.
        SegFormerError: a logit is not finite.
        ValueError: the shapes do not fit, or a target is no class.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2. The likelihood is convex in
    1 / temperature: Newton's method, kept inside a shrinking bracket.

    >>> logits = np.array([[4.0, 0.0]] * 4)
    >>> fit_temperature(logits, np.array([0, 0, 0, 1])).value  # 4 / ln 3: the softmax gives 3 / 4
    3.640...
    """
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(f"logits are {logits.shape}, targets {targets.shape}, not (N, K) and (N,)")
    if not len(targets):
        raise DataError("no labelled pixel to fit a temperature to", hint="fit it on data that have labels")
    if not 0 <= int(targets.min()) <= int(targets.max()) < logits.shape[1]:
        raise ValueError(f"targets are {targets.min()} to {targets.max()}, classes are 0 to {logits.shape[1] - 1}")
    if not np.isfinite(logits).all():
        row = int(np.argmin(np.isfinite(logits).all(axis=1)))
        raise SegFormerError(
            "a temperature needs finite logits",
            where=f"logits of sampled pixel {row}: {logits[row].tolist()}",
            hint="run in fp32, and check the weights: segformer weights info",
        )
    inverse, at_limit = _minimum(logits, targets)
    return Temperature(
        value=1 / inverse,
        nll_before=_likelihood(logits, targets, 1.0)[0],
        nll_after=_likelihood(logits, targets, inverse)[0],
        pixels=len(targets),
        at_limit=at_limit,
    )


def _minimum(logits: NDArray[np.floating], targets: NDArray[np.integer]) -> tuple[float, bool]:
    """The inverse temperature with the highest likelihood, and whether it is a limit of the bracket."""
    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    slopes = [_likelihood(logits, targets, limit)[1] for limit in (low, high)]
    if slopes[0] > 0:
        return low, True
    if slopes[0] < 0 and slopes[1] <= 0:
        return high, True
    inverse = 1.0
    for _ in range(200):
        _, slope, curvature = _likelihood(logits, targets, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        new = inverse - slope / curvature if curvature > 0 else inverse
        if abs(new - inverse) < 1e-9 * inverse:
            break
        inverse = new if low < new < high else (low * high) ** 0.5
    return inverse, False


def _likelihood(
    logits: NDArray[np.floating], targets: NDArray[np.integer], inverse: float
) -> tuple[float, float, float]:
    """Mean negative log-likelihood at an inverse temperature, with its first and second derivative by it."""
    total = np.zeros(3)
    rows = max(1, 2**20 // logits.shape[1])
    for start in range(0, len(targets), rows):
        part = logits[start : start + rows].astype(np.float64)
        part -= part.max(axis=1, keepdims=True)
        true = part[np.arange(len(part)), targets[start : start + rows]]
        scores = np.exp(inverse * part)
        normaliser = scores.sum(axis=1)
        mean = (scores * part).sum(axis=1) / normaliser
        square = (scores * part**2).sum(axis=1) / normaliser
        total += [(np.log(normaliser) - inverse * true).sum(), (mean - true).sum(), (square - mean**2).sum()]
    value, slope, curvature = (total / len(targets)).tolist()
    return value, slope, curvature
