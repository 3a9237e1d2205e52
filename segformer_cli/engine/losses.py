"""The training loss: cross-entropy at label size."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from segformer_cli.model.segformer import upsample


def segmentation_loss(
    logits: Tensor, targets: Tensor, ignore_index: int, mean: Literal["all", "valid"] = "all"
) -> Tensor:
    """Cross-entropy of logits upsampled to the targets' size.

    Args:
        logits: (B, K, h, w).
        targets: (B, H, W) class ids.
        mean: divide by all pixels, ignored ones counting 0 (the released code), or by the labelled ones.
    """
    logits = upsample(logits.float(), (targets.shape[-2], targets.shape[-1]))
    # One row a pixel: the network's logits are channels last in memory, so nothing is copied, and the
    # softmax runs over neighbours.
    rows = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
    total = F.cross_entropy(rows, targets.flatten().long(), ignore_index=ignore_index, reduction="sum")
    pixels = targets.numel() if mean == "all" else (targets != ignore_index).sum().clamp(min=1)
    return total / pixels
