"""The temperature that mends a network's confidences, and by lot the pixels that it is fitted to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.errors import DataError, SegFormerError

TEMPERATURES = (1 / 32, 32.0)
"""Where a temperature is looked for. Beyond, every softmax is an argmax or even."""


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
