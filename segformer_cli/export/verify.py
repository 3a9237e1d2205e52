"""Whether an exported file computes what the network computes, on real pictures and at sizes it has not seen."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

FP32_TOLERANCE = 5e-5
"""Of the largest logit. GELU by its tanh formula is off by 1.7e-4, another runtime's own order of sums by 1e-6."""

TIMES = 3
"""So often each network runs for its latency."""

NAN = float("nan")

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Verification:
    """What a comparison of logits found.

    `max_abs_error` and `mean_abs_error` are over all inputs, `argmax_agreement` is the share of positions whose best
    class is the same, `tolerance` the largest error that passes. `latency_ms` and `reference_ms` are the medians of
    both on the largest input, taking turns.
    """

    ran: bool
    max_abs_error: float
    mean_abs_error: float
    argmax_agreement: float
    shapes: tuple[tuple[int, ...], ...]
    tolerance: float
    latency_ms: float
    reference_ms: float

    @property
    def verdict(self) -> Literal["pass", "fail"]:
        """NaN fails."""
        return "pass" if self.max_abs_error <= self.tolerance else "fail"


def random_pictures(bands: int) -> dict[str, Tensor]:
    """Inputs (B, C, H, W) no export has seen: odd sizes, where a frozen branch on a shape breaks, and a batch.

    Args:
        bands: C.
    """
    generator = torch.Generator().manual_seed(0)
    sizes = {"odd": (1, 97, 131), "small": (1, 29, 29), "batch": (3, 64, 160)}
    return {
        name: torch.randn(batch, bands, height, width, generator=generator)
        for name, (batch, height, width) in sizes.items()
    }


def verify(
    reference: Network, exported: Network, inputs: Mapping[str, Tensor], tolerance: float = FP32_TOLERANCE
) -> Verification:
    """The logits of both for every input (B, C, H, W), compared.

    Args:
        reference: the network as it is evaluated here, from pictures (B, C, H, W) to logits (B, K, h, w).
        inputs: at least one, by name.
        tolerance: as a share of the reference's largest logit.
    """
    worst, total, largest = 0.0, 0.0, 0.0
    values, alike, positions = 0, 0, 0
    shapes = tuple(tuple(each.shape) for each in inputs.values())
    for images in inputs.values():
        expected, found = reference(images), exported(images)
        if expected.shape != found.shape:
            return Verification(True, NAN, NAN, 0.0, shapes, 0.0, NAN, NAN)     # there is nothing to compare
        error = (expected - found).abs()
        worst = max(worst, float(error.max())) if error.isfinite().all() else NAN
        total, values = total + float(error.sum(dtype=torch.float64)), values + error.numel()
        alike += int((expected.argmax(1) == found.argmax(1)).sum())
        positions += expected.shape[0] * expected.shape[2] * expected.shape[3]
        largest = max(largest, float(expected.abs().max()))
        if math.isnan(worst):
            break
    big = max(inputs.values(), key=lambda each: each.numel())
    ours, theirs = _in_turns(reference, exported, big)
    return Verification(
        ran=True,
        max_abs_error=worst,
        mean_abs_error=total / values,
        argmax_agreement=alike / positions,
        shapes=shapes,
        tolerance=tolerance * largest,
        latency_ms=theirs,
        reference_ms=ours,
    )


def _in_turns(reference: Network, exported: Network, images: Tensor) -> tuple[float, float]:
    """Median milliseconds of both; one after the other, so that a busy machine slows both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TIMES):
        for network, found in zip((reference, exported), times, strict=True):
            began = time.perf_counter()
            network(images)
            found.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[0]), statistics.median(times[1])
