"""Whether an exported file computes what the network computes, on real pictures and at sizes it has not seen."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from segformer_cli.export.exportable import HW, Network
from segformer_cli.resize import NATIVE

TIMES = 3
"""So often each network runs for its latency."""


@dataclass(frozen=True)
class Tolerance:
    """What a file may be off by and still pass.

    `error` is the largest difference of logits as a share of the largest logit, None where it says nothing;
    `agreement` the least share of positions in real pictures whose best class is the same.
    """

    error: float | None
    agreement: float


TOLERANCES: Mapping[str, Tolerance] = {
    # GELU by its tanh formula is off by 1.7e-4, another runtime's own order of sums by 1e-6.
    "fp32": Tolerance(5e-5, 0.999),
    "fp16": Tolerance(5e-3, 0.99),
    "bf16": Tolerance(5e-2, 0.98),
    # Ranges of eight bits are off everywhere by a little: what counts is the score.
    "int8": Tolerance(None, 0.90),
}

MASK_AGREEMENT = 0.9999
"""Of the ids of a full pipeline in fp32: its resizing is within a grey level at a few values in a million."""

NOISE_AGREEMENT = 0.3
"""Least share for each input that is noise: near ties abound there, but a shape frozen into a graph leaves less."""


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    `max_abs_error` and `mean_abs_error` of logits are over all inputs, None of class ids; `tolerance` is the largest
    error that passes. `argmax_agreement` is the share of positions in real pictures whose class is the same (in all
    inputs, where none is real), and must be `least_agreement`; `least_on_noise` is that of the noise it is least on.
    `latency_ms` and `reference_ms` are the medians of file and network on the largest input, taking turns. `miou` and
    `reference_miou` are theirs on labelled pictures, if there were any; the first may be lower by `max_drop`.
    `diverges_at` is the first part of the network whose maps differ, where that was asked for.
    """

    shapes: tuple[tuple[int, ...], ...]
    argmax_agreement: float
    least_agreement: float
    max_abs_error: float | None = None
    mean_abs_error: float | None = None
    tolerance: float | None = None
    latency_ms: float | None = None
    reference_ms: float | None = None
    pictures: int = 0
    miou: float | None = None
    reference_miou: float | None = None
    max_drop: float | None = None
    diverges_at: str | None = None
    least_on_noise: float = 1.0
    no_miou: str | None = None
    """Why there is no mIoU."""
    unlike: str | None = None
    """Where it fails, or gives something of another shape: there is nothing to compare then."""

    @property
    def drop(self) -> float | None:
        """How far the score fell, as a share."""
        if self.miou is None or self.reference_miou is None:
            return None
        return self.reference_miou - self.miou

    @property
    def faults(self) -> tuple[str, ...]:
        """What is not as it must be, in words."""
        if self.unlike is not None:
            return (self.unlike,)
        found = []
        if self.tolerance is not None and not (self.max_abs_error or 0.0) <= self.tolerance:      # NaN is a fault
            found.append(f"logits differ by {self.max_abs_error:.2g}, {self.tolerance:.2g} is allowed")
        if not self.argmax_agreement >= self.least_agreement:
            found.append(
                f"the class is the same at {100 * self.argmax_agreement:.4g} % of positions, "
                f"{100 * self.least_agreement:g} % are needed"
            )
        if not self.least_on_noise >= NOISE_AGREEMENT:
            found.append(f"at a size of its own, the class is the same at {100 * self.least_on_noise:.4g} %")
        if self.max_drop is not None and self.drop is not None and self.drop > self.max_drop:
            found.append(f"mIoU falls by {100 * self.drop:.2f} points, {100 * self.max_drop:g} are allowed")
        return tuple(found)

    @property
    def verdict(self) -> Literal["pass", "fail"]:
        """Whether the file may bear its name."""
        return "fail" if self.faults else "pass"


def verification_to_json(found: Verification | None) -> dict[str, Any]:
    """As docs/cli.md has it; what is not finite is null, which JSON has no word for. None: there was no comparison."""
    if found is None:
        return {"ran": False}
    values = {"ran": True, **asdict(found), "verdict": found.verdict}
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in values.items()
    }


def random_pictures(bands: int, *, any_side: bool = True, size_hw: HW | None = None) -> dict[str, Tensor]:
    """Inputs (B, C, H, W) no export has seen: odd sizes, where a frozen branch on a shape breaks, and a batch.

    Args:
        bands: C.
        any_side: False: sides are multiples of 32.
        size_hw: the one size that the file takes, one picture at a time.
    """
    generator = torch.Generator().manual_seed(0)
    sizes = {"odd": (1, 97, 131), "small": (1, 29, 29), "batch": (3, 64, 160)}
    if size_hw:
        sizes = {"noise": (1, *size_hw)}
    elif not any_side:
        sizes = {name: (batch, *NATIVE.aligned((high, wide))) for name, (batch, high, wide) in sizes.items()}
    return {
        name: torch.randn(batch, bands, height, width, generator=generator)
        for name, (batch, height, width) in sizes.items()
    }


def verify(
    reference: Network,
    exported: Network,
    *,
    noise: Mapping[str, Tensor],
    real: Mapping[str, Tensor],
    tolerance: Tolerance,
) -> Verification:
    """What both give for every input, compared: logits (B, K, h, w) or class ids (B, H, W).

    Args:
        reference: the network as it is evaluated here.
        noise, real: inputs by name, at least one in all.
    """
    shapes = tuple(tuple(each.shape) for each in (*noise.values(), *real.values()))
    judged, least, least_on_noise, errors = _Share(), tolerance.agreement, 1.0, _Errors()
    for name, images in {**noise, **real}.items():
        expected = reference(images)
        try:
            found = exported(images)
        except Exception as error:      # each runtime has its own kinds; all of them mean that the file does not work
            return Verification(shapes, 0.0, least, unlike=f"it fails for {tuple(images.shape)}: {_first_line(error)}")
        if expected.shape != found.shape:
            given, wanted, seen = (tuple(each.shape) for each in (found, expected, images))
            return Verification(
                shapes, 0.0, least, unlike=f"it gives {given} where the network gives {wanted}, for {seen}"
            )
        if expected.is_floating_point():
            errors.add(expected, found)
        alike = classes_of(expected) == classes_of(found)
        if name in real or not real:
            judged.add(alike)
        if name in noise:
            least_on_noise = min(least_on_noise, float(alike.float().mean()))
    big = max((*noise.values(), *real.values()), key=lambda each: each.numel())
    ours, theirs = _in_turns(reference, exported, big)
    found_so_far = Verification(
        shapes, judged.value, least, latency_ms=theirs, reference_ms=ours, least_on_noise=least_on_noise
    )
    if not errors.count:
        return found_so_far
    allowed = None if tolerance.error is None else tolerance.error * errors.scale
    return replace(found_so_far, max_abs_error=errors.worst, mean_abs_error=errors.mean, tolerance=allowed)


def classes_of(found: Tensor) -> Tensor:
    """Class ids of logits (B, K, h, w); ids are themselves. One channel is a sigmoid: above 0 is the class."""
    if not found.is_floating_point():
        return found
    return found.argmax(1) if found.shape[1] > 1 else (found > 0)[:, 0]


class _Share:
    """Of the positions that are alike."""

    def __init__(self) -> None:
        self.alike, self.count = 0, 0

    def add(self, alike: Tensor) -> None:
        self.alike, self.count = self.alike + int(alike.sum()), self.count + alike.numel()

    @property
    def value(self) -> float:
        return self.alike / max(self.count, 1)


class _Errors:
    """Differences of logits over several inputs, in float64; the scale is the largest logit of the reference."""

    def __init__(self) -> None:
        self.worst, self.scale, self.total, self.count = 0.0, 0.0, 0.0, 0

    def add(self, expected: Tensor, found: Tensor) -> None:
        error = (expected.double() - found.double()).abs()
        self.worst = float(torch.tensor([self.worst, float(error.max())]).max())       # NaN stays
        self.scale = max(self.scale, float(expected.abs().max()))
        self.total, self.count = self.total + float(error.sum()), self.count + error.numel()

    @property
    def mean(self) -> float:
        return self.total / self.count


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]


def _in_turns(reference: Network, exported: Network, images: Tensor) -> tuple[float, float]:
    """Median milliseconds of both; one after the other, so that a busy machine slows both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TIMES):
        for network, found in zip((reference, exported), times, strict=True):
            began = time.perf_counter()
            network(images)
            found.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[0]), statistics.median(times[1])
