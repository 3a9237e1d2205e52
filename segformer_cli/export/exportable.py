"""What is exported: a network in evaluation, a picture it takes, and what of that picture may vary."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

HW = tuple[int, int]

Network = Callable[[Tensor], Tensor]
"""A file in its own runtime, or the network it came from: a batch of pictures to logits, or to class ids."""

NOT_OURS = "it may be cut off: copy it again; files that other tools exported do not say what their numbers mean"
"""The way out where a file has no metadata of ours."""

_SEEN_HW = 64, 96
"""Of the picture that a graph for any size is made with; no size is frozen in it (tested)."""


@dataclass(frozen=True, eq=False)
class Exportable:
    """A module as a compiler sees it.

    `example` is a batch the module takes; the dimensions of it in `free` may vary and bear these names. `input` and
    `output` are the names of what goes in and comes out, `out_dims` those of the dimensions of what comes out.
    `precision` is one of `PRECISIONS`; `calibration` are real batches, of which int8 takes its ranges.
    """

    module: nn.Module
    example: Tensor
    free: Mapping[int, str]
    input: str
    output: str
    out_dims: Mapping[int, str]
    precision: str = "fp32"
    calibration: Sequence[Tensor] = field(default=())


def logits_of(network: nn.Module, bands: int, size_hw: HW | None = None, precision: str = "fp32") -> Exportable:
    """Pictures (B, C, H, W), normalised, to logits (B, K, ceil(H / 4), ceil(W / 4)), both float32.

    Args:
        network: in evaluation, fused.
        bands: of the pictures, C.
        size_hw: the one size that it takes, one picture at a time; None: any batch, height and width.
        precision: fp16 computes in half precision inside.
    """
    module = HalfInside(network) if precision == "fp16" else network
    free = {} if size_hw else {0: "batch", 2: "height", 3: "width"}
    out_dims = {} if size_hw else {0: "batch", 2: "ceil(height / 4)", 3: "ceil(width / 4)"}
    # Two pictures where the batch is free: of one, it would be taken for fixed.
    example = torch.zeros(1 if size_hw else 2, bands, *(size_hw or _SEEN_HW))
    return Exportable(module, example, free, "images", "logits", out_dims, precision)


def masks_of(pipeline: nn.Module, bands: int, size_hw: HW | None = None, precision: str = "fp32") -> Exportable:
    """Pictures (B, H, W, C) uint8 to class ids (B, H, W) at their own size.

    Args:
        pipeline: a `FullPipeline` in evaluation.
        size_hw: as for `logits_of`.
    """
    free = {} if size_hw else {0: "batch", 1: "height", 2: "width"}
    example = torch.zeros(1 if size_hw else 2, *(size_hw or _SEEN_HW), bands, dtype=torch.uint8)
    return Exportable(pipeline, example, free, "pictures", "mask", free, precision)


def without_gradients(graph: Callable[[Tensor], Tensor]) -> Network:
    """A graph of torch's, to be run and nothing else."""

    @torch.inference_mode()
    def run(images: Tensor) -> Tensor:
        return graph(images)

    return run


class HalfInside(nn.Module):
    """A network whose weights and sums are in half precision; pictures and logits stay float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).half()    # the original shares its parameters with others

    def forward(self, images: Tensor) -> Tensor:                   # (B, C, H, W)
        logits: Tensor = self.network(images.half()).float()
        return logits
