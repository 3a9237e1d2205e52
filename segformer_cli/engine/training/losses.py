"""The losses that training descends: of single pixels and of regions.

Near any logits, each is a sum over pixels plus a constant. A loss first looks at the pixels, strip by strip, as often
as it must, and then gives that sum; so its exact gradient is found in strips too, and no map of all classes at
label size ever exists (`criterion.py`).

Letters: N pixels of a strip, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Strip:
    """Some pixels: logits (N, K) at label size, targets (N,) int64, and their place in the order of all."""

    logits: Tensor
    targets: Tensor
    place: slice


@dataclass(frozen=True, eq=False)
class Linearised:
    """A loss near the logits it was made at: the sum of `of_strip` over all strips, plus `constant`."""

    of_strip: Callable[[Strip], Tensor]
    constant: Tensor | float = 0.0


Strips = Callable[[], Iterable[Strip]]
"""Goes once more over all pixels, without gradients."""


class Loss(Protocol):
    """One kind of loss.

    Args:
        strips: of a micro-batch.
        pixels: what sums over pixels are divided by, for the whole step.
        part: the share of this micro-batch in the step, for losses that are not of single pixels.
    """

    def linearised(self, strips: Strips, pixels: Tensor, part: float) -> Linearised:
        """The loss near these logits."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CrossEntropy:
    """Minus the logarithm of the true class's probability.

    Args:
        weights: (K,) of the classes; None is 1 for each.
        smoothing: of the truth, this much is spread evenly over all classes.
    """

    ignore_index: int
    weights: Tensor | None = None
    smoothing: float = 0.0

    def linearised(self, strips: Strips, pixels: Tensor, part: float) -> Linearised:
        """Summed over the labelled pixels, divided by `pixels`."""
        return Linearised(lambda strip: self._sum(strip) / pixels)

    def _sum(self, strip: Strip) -> Tensor:
        weights = None if self.weights is None else self.weights.to(strip.logits)
        return F.cross_entropy(
            strip.logits, strip.targets, weights, ignore_index=self.ignore_index, reduction="sum",
            label_smoothing=self.smoothing,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Focal:
    """Cross-entropy times (1 - p) ** gamma, p the true class's probability (Lin et al., ICCV 2017)."""

    ignore_index: int
    weights: Tensor | None = None
    gamma: float = 2.0

    def linearised(self, strips: Strips, pixels: Tensor, part: float) -> Linearised:
        """Summed over the labelled pixels, divided by `pixels`."""
        return Linearised(lambda strip: self._sum(strip) / pixels)

    def _sum(self, strip: Strip) -> Tensor:
        surprise = _surprise(strip, self.ignore_index)
        # Where a pixel is sure, a power below 1 has no slope.
        doubt = (-torch.expm1(-surprise)).clamp_min(torch.finfo(surprise.dtype).eps)
        modulated = doubt**self.gamma * surprise
        return (modulated * _weight_of(strip, self.weights)).sum()


@dataclass(frozen=True, eq=False, kw_only=True)
class HardPixels:
    """Cross-entropy over the hardest pixels alone (OHEM; Shrivastava et al., CVPR 2016).

    Args:
        threshold: a pixel is hard where its true class has less than this probability.
        keep: of the labelled pixels, this share is kept at least, the hardest first.
    """

    ignore_index: int
    weights: Tensor | None = None
    threshold: float = 0.7
    keep: float = 1 / 16

    def linearised(self, strips: Strips, pixels: Tensor, part: float) -> Linearised:
        """The mean over the kept pixels of the micro-batch."""
        surprises = torch.cat(
            [_surprise(strip, self.ignore_index)[strip.targets != self.ignore_index] for strip in strips()]
        )
        if not len(surprises):
            return Linearised(lambda strip: strip.logits.sum() * 0.0)
        fewest = max(1, round(self.keep * len(surprises)))
        limit = torch.minimum(
            surprises.kthvalue(len(surprises) - fewest + 1).values,
            -torch.log(surprises.new_tensor(self.threshold)),
        )
        kept = (surprises >= limit).sum()

        def of_strip(strip: Strip) -> Tensor:
            surprise = _surprise(strip, self.ignore_index)
            hard = (surprise.detach() >= limit) & (strip.targets != self.ignore_index)
            return part * (surprise * hard * _weight_of(strip, self.weights)).sum() / kept

        return Linearised(of_strip)


@dataclass(frozen=True, eq=False, kw_only=True)
class Dice:
    """1 minus the soft Dice score, the mean over the classes that the targets show (Milletari et al., 3DV 2016)."""

    ignore_index: int

    def linearised(self, strips: Strips, pixels: Tensor, part: float) -> Linearised:
        """Of all pixels of the micro-batch together."""
        sums = torch.stack([self._sums(strip) for strip in strips()]).sum(0).requires_grad_()
        with torch.enable_grad():
            value = part * self._value(sums)
            (slope,) = torch.autograd.grad(value, sums)
        constant = (value - (slope * sums).sum()).detach()
        return Linearised(lambda strip: (slope * self._sums(strip)).sum(), constant)

    def _sums(self, strip: Strip) -> Tensor:
        """(3, K): what the probabilities share with the truth, the probabilities, the truth."""
        valid = (strip.targets != self.ignore_index)[:, None]
        probabilities = strip.logits.softmax(1) * valid
        truth = _one_hot(strip, self.ignore_index)
        return torch.stack([(probabilities * truth).sum(0), probabilities.sum(0), truth.sum(0)])

    @staticmethod
    def _value(sums: Tensor) -> Tensor:
        shared, predicted, true = sums
        present = true > 0
        dice = 2 * shared / (predicted + true).clamp(min=1e-12)
        mean: Tensor = ((1 - dice) * present).sum() / present.sum().clamp(min=1)
        return mean


@dataclass(frozen=True, eq=False, kw_only=True)
class Lovasz:
    """The Lovasz extension of 1 - IoU, the mean over the classes that the targets show (Berman et al., CVPR 2018).

    It sorts the errors of all pixels, class by class, so it holds a number for each pixel and class of the whole
    micro-batch; the others hold those of a strip.
    """

    ignore_index: int

    def linearised(self, strips: Strips, pixels: Tensor, part: float) -> Linearised:
        """Of all pixels of the micro-batch together; errors weighted by what each adds to 1 - IoU, in order."""
        errors, truth, valid = [], [], []
        for strip in strips():
            errors.append(self._errors(strip))
            truth.append(_one_hot(strip, self.ignore_index).bool())
            valid.append(strip.targets != self.ignore_index)
        slopes = _lovasz_slopes(torch.cat(errors), torch.cat(truth), torch.cat(valid)) * part
        return Linearised(lambda strip: (slopes[strip.place] * self._errors(strip)).sum())

    def _errors(self, strip: Strip) -> Tensor:
        return (_one_hot(strip, self.ignore_index) - strip.logits.softmax(1)).abs()


def _lovasz_slopes(errors: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """(N, K): the weight of each error in the mean over the classes present."""
    present = truth.any(0).nonzero().flatten().tolist()
    slopes = torch.zeros_like(errors)
    for index in present:
        # Ignored pixels come last, with errors below any other's: they add nothing.
        order = torch.where(valid, errors[:, index], -1.0).argsort(descending=True)
        true = truth[order, index].to(errors.dtype)
        counted = valid[order].to(errors.dtype)
        intersection = true.sum() - true.cumsum(0)
        union = true.sum() + (counted - true).cumsum(0)
        lost = 1 - intersection / union
        slopes[order, index] = torch.diff(lost, prepend=lost.new_zeros(1)) * counted / len(present)
    return slopes


def _surprise(strip: Strip, ignore_index: int) -> Tensor:
    """(N,): minus the logarithm of the true class's probability; 0 at ignored pixels."""
    return F.cross_entropy(strip.logits, strip.targets, ignore_index=ignore_index, reduction="none")


def _weight_of(strip: Strip, weights: Tensor | None) -> Tensor | float:
    """(N,): what each pixel's class weighs."""
    return 1.0 if weights is None else weights.to(strip.logits)[strip.targets.clamp(max=len(weights) - 1)]


def _one_hot(strip: Strip, ignore_index: int) -> Tensor:
    """(N, K): 1 at the true class, a row of 0 at ignored pixels."""
    K = strip.logits.shape[1]
    valid = strip.targets != ignore_index
    shown = torch.zeros_like(strip.logits)
    return shown.scatter_(1, strip.targets.clamp(max=K - 1)[:, None], valid[:, None].to(shown.dtype))
