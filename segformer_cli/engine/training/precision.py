"""Whether a network can be trained in half precision on a device: tried on real crops before the first step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from segformer_cli.engine.training.criterion import Criterion
from segformer_cli.model.segformer import SegFormer

CLOSE = 0.05
"""The most that the loss may change, as a share of itself: half precision alone changes it by far less."""


@torch.no_grad()
def fault_of(
    dtype: torch.dtype, model: SegFormer, criterion: Criterion, images: Tensor, targets: Tensor, device: torch.device
) -> str | None:
    """What speaks against `dtype`, judged by the loss of a few crops beside float32; None where nothing does.

    Args:
        images: (B, C, H, W), normalised.
        targets: (B, H, W) class ids.
    """
    was_training = model.training
    model.eval()
    exact, rounded = (_loss(each, model, criterion, images, targets, device) for each in (torch.float32, dtype))
    model.train(was_training)
    name = str(dtype).removeprefix("torch.")
    if not math.isfinite(rounded):
        return f"in {name} the loss of the first crops is {rounded}, in float32 {exact:.4g}"
    if abs(rounded - exact) > CLOSE * abs(exact):
        return f"in {name} the loss of the first crops is {rounded:.4g}, in float32 {exact:.4g}"
    return None


def _loss(
    dtype: torch.dtype, model: SegFormer, criterion: Criterion, images: Tensor, targets: Tensor, device: torch.device
) -> float:
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        logits = model(images.to(device))
    return criterion(logits, targets.to(device)).item()
