"""How many multiply-adds a network takes for one picture: as drawn in the paper, as computed here, as published.

Products alone are counted: convolutions, linear layers and the two products of attention. Biases, norms, GELU,
softmax and bilinear upsampling are small beside them and left out, but for what the paper's own counter adds.
Letters as in `segformer.py`. Sizes are those that the network sees, after `SizePolicy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segformer_cli.model.header import ModelConfig
from segformer_cli.model.variants import get_variant

_MLP_RATIO = 4
_STAGES = ((7, 4, 8), (3, 2, 4), (3, 2, 2), (3, 2, 1))
"""Kernel and stride of the patches, and sr ratio R, of each stage."""


@dataclass(frozen=True)
class MultiplyAdds:
    """Multiply-adds of one picture; each is two floating-point operations."""

    encoder: int
    """Convolutions and linear layers of the encoder."""
    attention: int
    """Query by key and weight by value, in all blocks."""
    head: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.encoder + self.attention + self.head


def textbook(config: ModelConfig, size_hw: tuple[int, int]) -> MultiplyAdds:
    """The graph as the paper draws it: each stage projected to D, then 4D channels fused to D at stride 4.

    >>> names, colours = ("road", "sky"), ((128, 64, 128), (70, 130, 180))
    >>> config = ModelConfig(variant="b0", class_names=names, palette=colours)
    >>> textbook(config, (512, 512))
    MultiplyAdds(encoder=2163474432, attention=1040187392, head=4563402752)

    Raises:
        ValueError: a side has less than 29 pixels, which the network refuses.
        UsageError: there is no such variant.
    """
    D, stages = _head_width(config), list(_stages(config, size_hw))
    project = sum(stage.tokens * stage.channels * D for stage in stages)
    fuse = stages[0].tokens * 4 * D * D
    return _with_encoder(stages, project + fuse + stages[0].tokens * D * config.num_classes)


def folded(config: ModelConfig, size_hw: tuple[int, int]) -> MultiplyAdds:
    """The graph of `SegFormer.fused()`: each stage goes to D once, by the product of its two matrices.

    Raises:
        ValueError, UsageError: as `textbook`.
    """
    D, stages = _head_width(config), list(_stages(config, size_hw))
    project = sum(stage.tokens * stage.channels * D for stage in stages)
    return _with_encoder(stages, project + stages[0].tokens * D * config.num_classes)


def published(config: ModelConfig, size_hw: tuple[int, int]) -> MultiplyAdds:
    """What the paper calls FLOPs: the textbook graph, and what mmcv's counter adds to its products.

    It adds one for each value that gets a convolution's bias (but not a linear layer's) or goes through ReLU.
    Table 1 has 512 x 512 for ADE20K (B5: 640 x 640) and 1024 x 2048 for Cityscapes, all with 150 classes. The
    released script rounds the grids of attention down: it agrees where sides are multiples of 32.

    Raises:
        ValueError, UsageError: as `textbook`.
    """
    products, stages = textbook(config, size_hw), list(_stages(config, size_hw))
    encoder = products.encoder + sum(stage.convolution_biases() for stage in stages)
    relu_and_classes = stages[0].tokens * (_head_width(config) + config.num_classes)
    return MultiplyAdds(encoder, products.attention, products.head + relu_and_classes)


@dataclass(frozen=True)
class _Stage:
    """The sizes of one stage, from which all its products follow."""

    kernel: int
    ratio: int
    in_channels: int
    channels: int
    depth: int
    tokens: int       # H W
    reduced: int      # h w

    def encoder(self) -> int:
        """Multiply-adds of its convolutions and linear layers."""
        C, HW, hw, hidden = self.channels, self.tokens, self.reduced, self.channels * _MLP_RATIO
        embed = HW * self.kernel**2 * self.in_channels * C
        query = proj = HW * C * C
        reduction = hw * self.ratio**2 * C * C if self.ratio > 1 else 0
        key_value = hw * C * 2 * C
        expand = shrink = HW * C * hidden
        depthwise = HW * 9 * hidden
        return embed + self.depth * (query + reduction + key_value + proj + expand + depthwise + shrink)

    def convolution_biases(self) -> int:
        """Values that get the bias of a convolution: patches, spatial reductions, depthwise convolutions."""
        reduced = self.reduced if self.ratio > 1 else 0
        return self.channels * (self.tokens + self.depth * (reduced + self.tokens * _MLP_RATIO))

    def attention(self) -> int:
        """Those of query by key and weight by value; the number of heads does not change them."""
        return self.depth * 2 * self.tokens * self.reduced * self.channels


def _stages(config: ModelConfig, size_hw: tuple[int, int]) -> Iterator[_Stage]:
    variant = get_variant(config.variant)
    H, W = size_hw
    in_channels = config.in_channels
    for (kernel, stride, R), channels, depth in zip(_STAGES, variant.widths, variant.depths, strict=True):
        H, W = -(-H // stride), -(-W // stride)
        if min(H, W) < R:
            raise ValueError(f"an image of {size_hw[0]} x {size_hw[1]} is too small for the network")
        yield _Stage(kernel, R, in_channels, channels, depth, H * W, (H // R) * (W // R))
        in_channels = channels


def _head_width(config: ModelConfig) -> int:
    return config.head_width or get_variant(config.variant).head_width


def _with_encoder(stages: list[_Stage], head: int) -> MultiplyAdds:
    return MultiplyAdds(sum(stage.encoder() for stage in stages), sum(stage.attention() for stage in stages), head)
