"""BatchNorm over the batches of all processes, on any device: torch's own refuses CPUs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


class SharedBatchNorm(nn.BatchNorm2d):
    """BatchNorm2d whose mean and variance in training are those of all processes' batches together."""

    def forward(self, x: Tensor) -> Tensor:                        # (B, C, H, W)
        if not self.training:
            return super().forward(x)
        own = x.to(torch.promote_types(x.dtype, torch.float32))
        count = own.new_full((1,), own.numel() / own.shape[1])
        summed = _summed(torch.cat([own.sum((0, 2, 3)), count]))
        mean, total = summed[:-1] / summed[-1], summed[-1]
        # The squares of distances from the common mean: a difference of large sums would lose digits.
        centred = own - mean[:, None, None]
        squares = _summed(centred.square().sum((0, 2, 3)))
        variance = squares / total
        self._remember(mean.detach(), (squares / (total - 1)).detach())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1


def shared(norm: nn.BatchNorm2d) -> SharedBatchNorm:
    """The same layer, its parameters and statistics the very tensors, with a memory of all processes' batches."""
    other = SharedBatchNorm(norm.num_features, norm.eps, norm.momentum)
    other.weight, other.bias = norm.weight, norm.bias
    other.running_mean, other.running_var = norm.running_mean, norm.running_var
    other.num_batches_tracked = norm.num_batches_tracked
    return other.train(norm.training)


class _Sum(torch.autograd.Function):
    """The sum over all processes; each part's gradient is the sum of all processes' gradients of it."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        total = own.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> Tensor:
        total = above[0].clone()
        distributed.all_reduce(total)
        return total


def _summed(own: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(own)  # type: ignore[no-untyped-call]
    return total
