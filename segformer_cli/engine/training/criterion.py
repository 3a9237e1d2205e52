"""From logits at a quarter of the size to one number and its gradient, a few rows of pixels at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from segformer_cli.engine.training.losses import CrossEntropy, Dice, Focal, HardPixels, Loss, Lovasz, Strip
from segformer_cli.errors import UsageError, did_you_mean
from segformer_cli.model.segformer import upsample

STRIP_VALUES = 1 << 22
"""Logits at label size at a time; on a CPU, what its caches hold."""

STRIP_VALUES_ON_GPU = 1 << 26
"""On a GPU, what keeps it busy."""


@dataclass(frozen=True, eq=False)
class Criterion:
    """A weighted sum of losses of logits upsampled to the targets' size.

    Args:
        terms: losses, each with its weight.
        mean: sums over pixels are divided by all pixels, ignored ones counting 0 (the released code), or by the
            labelled ones, each counting as much as its class weighs.
        weights: (K,) of the classes; None is 1 for each.
    """

    terms: tuple[tuple[float, Loss], ...]
    ignore_index: int
    mean: Literal["all", "valid"] = "all"
    weights: Tensor | None = None

    def pixels(self, targets: Tensor) -> Tensor:
        """What sums over these pixels are divided by; those of several batches add up."""
        if self.mean == "all":
            return torch.tensor(float(targets.numel()), dtype=torch.float64)
        labelled = targets[targets != self.ignore_index].long()
        if self.weights is None:
            return torch.tensor(float(labelled.numel()), dtype=torch.float64)
        return self.weights.double().to(labelled.device)[labelled].sum().cpu()

    def __call__(
        self, logits: Tensor, targets: Tensor, pixels: Tensor | None = None, part: float = 1.0
    ) -> Tensor:
        """The loss of a micro-batch, a scalar in at least float32; its gradient is exact.

        Args:
            logits: (B, K, h, w); one class (K = 1) is a sigmoid's, and stands beside a background of 0.
            targets: (B, H, W) class ids.
            pixels: `pixels` of the whole step; default: of these targets.
            part: the share of this micro-batch in the step.
        """
        if logits.shape[1] == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], 1)
        pixels = self.pixels(targets) if pixels is None else pixels
        # Nothing labelled gives 0, not 0 / 0.
        divisor = float(pixels.clamp(min=1e-12))
        loss: Tensor = _InStrips.apply(logits, targets, self.terms, divisor, part)  # type: ignore[no-untyped-call]
        return loss


def parsed_terms(
    text: str,
    *,
    ignore_index: int,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
    gamma: float = 2.0,
    threshold: float = 0.7,
    keep: float = 1 / 16,
) -> tuple[tuple[float, Loss], ...]:
    """The losses that a text names, each with its factor: `ce + 0.5*dice`.

    Raises:
        UsageError: it names a loss that is not known, or is no such sum.
    """
    pixels: dict[str, Any] = {"ignore_index": ignore_index, "weights": weights}
    known: dict[str, Loss] = {
        "ce": CrossEntropy(**pixels, smoothing=smoothing),
        "bce": CrossEntropy(**pixels, smoothing=smoothing),
        "focal": Focal(**pixels, gamma=gamma),
        "ohem": HardPixels(**pixels, threshold=threshold, keep=keep),
        "dice": Dice(ignore_index=ignore_index),
        "lovasz": Lovasz(ignore_index=ignore_index),
    }
    terms = []
    for part in text.split("+"):
        *factors, name = (word.strip() for word in part.split("*"))
        if name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(f"there is no loss {name!r}", where=f"loss {text!r}", hint=hint)
        terms.append((_factor(factors, text), known[name]))
    return tuple(terms)


def _factor(factors: Sequence[str], text: str) -> float:
    try:
        found = float(factors[0]) if factors else 1.0
    except ValueError:
        found = math.nan
    if len(factors) > 1 or not 0 < found < math.inf:
        raise UsageError(f"loss is {text!r}", hint="write a sum such as `ce + 0.5*dice`, each factor above 0")
    return found


class _InStrips(torch.autograd.Function):
    """The loss and, while each strip is at hand, its gradient: what is kept is as small as the logits."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, terms: Sequence[tuple[float, Loss]], pixels: float, part: float
    ) -> Tensor:
        logits = logits.detach()
        dtype = torch.promote_types(logits.dtype, torch.float32)
        places = list(_places(logits, targets))

        def strips() -> Iterator[Strip]:
            return (place.strip(logits[place.source].to(dtype), targets) for place in places)

        divisor = torch.tensor(pixels, dtype=dtype, device=logits.device)
        found = [(weight, term.linearised(strips, divisor, part)) for weight, term in terms]
        total = torch.zeros_like(divisor)
        for weight, each in found:
            total += weight * each.constant
        gradient = torch.zeros_like(logits, dtype=dtype)
        for place in places:
            source = logits[place.source].to(dtype).requires_grad_()
            with torch.enable_grad():
                strip = place.strip(source, targets)
                value = torch.stack([weight * each.of_strip(strip) for weight, each in found]).sum()
                (slope,) = torch.autograd.grad(value, source)
            total += value.detach()
            gradient[place.source] += slope
        # In full: of half precision's numbers most are 0 before the scaler's factor, which comes in `backward`.
        ctx.save_for_backward(gradient)
        ctx.dtype = logits.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *above: Any) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return (gradient * above[0]).to(ctx.dtype), None, None, None, None


@dataclass(frozen=True)
class _Place:
    """Some rows of the targets of one sample, and the rows of its logits that they are made of.

    `enlarged` is the height that these come to, of which `offset` rows lie above the first of the targets'.
    """

    sample: int
    rows: slice
    source_rows: slice
    enlarged: int
    offset: int

    @property
    def source(self) -> tuple[slice, slice, slice]:
        """Of the logits (B, K, h, w)."""
        return slice(self.sample, self.sample + 1), slice(None), self.source_rows

    def strip(self, source: Tensor, targets: Tensor) -> Strip:
        """The pixels of these rows; `source` is that part of the logits."""
        H, W = targets.shape[-2:]
        large = upsample(source, (self.enlarged, W))[0].permute(1, 2, 0)               # (enlarged, W, K)
        logits = large[self.offset : self.offset + self.rows.stop - self.rows.start].flatten(0, 1)
        place = slice((self.sample * H + self.rows.start) * W, (self.sample * H + self.rows.stop) * W)
        return Strip(logits, targets[self.sample, self.rows].flatten().long(), place)


def _places(logits: Tensor, targets: Tensor) -> Iterator[_Place]:
    """Strips of a fixed size where the enlargement is a whole number; elsewhere each sample as a whole.

    A row takes part of the next row of logits on either side, so that one more is read there.
    """
    (B, K, h, _), (H, W) = logits.shape, targets.shape[-2:]
    factor, rest = divmod(H, h)
    values = STRIP_VALUES if logits.device.type == "cpu" else STRIP_VALUES_ON_GPU
    step = max(1, values // (K * W * factor)) if not rest else h
    for sample in range(B):
        for first in range(0, h, step):
            last = min(first + step, h)
            if rest:
                yield _Place(sample, slice(0, H), slice(0, h), H, 0)
                continue
            above, below = max(first - 1, 0), min(last + 1, h)
            rows = slice(first * factor, last * factor)
            yield _Place(sample, rows, slice(above, below), (below - above) * factor, (first - above) * factor)
