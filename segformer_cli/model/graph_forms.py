"""The fused network said in other operators, for compilers that are faster at them; the same function."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from segformer_cli.model.segformer import FusedHead, SegFormer, upsample


class ConvolutionalHead(nn.Module):
    """A `FusedHead` whose products are 1x1 convolutions, on maps whose channels come first in memory.

    OpenVINO otherwise turns every map around before and after it is upsampled; so does onnxruntime where it knows the
    size (docs/decisions/0007).
    """

    def __init__(self, head: FusedHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Sequence[Tensor]) -> Tensor:       # four of (B, C_i, H_i, W_i)
        size = features[0].shape[-2], features[0].shape[-1]
        logits: Tensor | None = None
        for *weights, bias, columns in cast(Iterable[nn.ParameterList], self.head.groups):
            x = F.conv2d(features[0], _as_kernel(weights[0]), bias)                     # (B, D / groups, H, W)
            for small, weight in zip(features[1:], weights[1:], strict=True):
                x = x + upsample(F.conv2d(small, _as_kernel(weight)), size)
            part = F.conv2d(F.relu(x), _as_kernel(columns), self.head.classify_bias if logits is None else None)
            logits = part if logits is None else logits + part
        assert logits is not None
        return logits                                              # (B, K, H, W)


def with_convolutional_head(network: SegFormer) -> SegFormer:
    """A fused network with its head so said; the parameters are shared."""
    assert isinstance(network.head, FusedHead)
    tensors = (*network.parameters(), *network.buffers())
    other = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
    assert isinstance(other.head, FusedHead)
    other.head = ConvolutionalHead(other.head)  # type: ignore[assignment]
    return other.eval()


def _as_kernel(weight: Tensor) -> Tensor:
    return weight[:, :, None, None]
