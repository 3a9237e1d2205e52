"""SegFormer (Xie et al., NeurIPS 2021), the whole network: MixTransformer encoder and All-MLP decode head.

Source: the paper, section 3, and the behaviour of the released code and weights where the paper is silent.

Letters
    B batch, K classes, H x W the grid of a stage (stride 4, 8, 16, 32; odd sizes round up)
    C channels of a stage, D channels of the decode head, N heads of attention
    R = sr_ratio, the spatial reduction per side of keys and values; h x w = H//R x W//R

Tokens live as (B, H, W, C), which in memory is a channels-last image: a convolution sees it as
(B, C, H, W) and nothing is copied between attention, depthwise convolution and head.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

HEADS = (1, 2, 5, 8)
SR_RATIOS = (8, 4, 2, 1)
MLP_RATIO = 4
HEAD_GROUPS = 4
MIN_SIDE = 29
"""Below 29 pixels the stride-4 grid is narrower than the first stage's reduction of 8."""


class OverlapPatchEmbed(nn.Module):
    """Overlapping patches as tokens: a strided convolution and a LayerNorm (paper, section 3.1)."""

    def __init__(self, in_channels: int, channels: int, *, kernel: int, stride: int, eps: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2)
        self.norm = nn.LayerNorm(channels, eps)

    def forward(self, x: Tensor) -> Tensor:                        # (B, C_in, H_in, W_in)
        return self.norm(self.conv(x).permute(0, 2, 3, 1))         # (B, H, W, C)


class SpatialReduction(nn.Module):
    """R x R tokens merged into one: a convolution whose kernel is its stride, then a LayerNorm.

    It runs as one matrix product. Rows and columns beyond the last whole patch are dropped, always by
    the same slice, so that no branch on a shape is frozen into an exported graph.
    """

    def __init__(self, channels: int, ratio: int, eps: float) -> None:
        super().__init__()
        self.ratio = ratio
        self.conv = nn.Conv2d(channels, channels, ratio, ratio)
        self.norm = nn.LayerNorm(channels, eps)

    def forward(self, x: Tensor) -> Tensor:                        # (B, H, W, C)
        B, H, W, C = x.shape
        R, h, w = self.ratio, H // self.ratio, W // self.ratio
        patches = x[:, : h * R, : w * R].reshape(B, h, R, w, R, C).transpose(2, 3)   # (B, h, w, R, R, C)
        weight = self.conv.weight.permute(0, 2, 3, 1).reshape(C, R * R * C)
        return self.norm(F.linear(patches.reshape(B, h, w, R * R * C), weight, self.conv.bias))


class EfficientSelfAttention(nn.Module):
    """Self-attention whose keys and values come from a spatially reduced map (paper, eq. 1 and 2)."""

    def __init__(self, channels: int, heads: int, sr_ratio: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.reduction = SpatialReduction(channels, sr_ratio, eps) if sr_ratio > 1 else None
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:                        # (B, H, W, C)
        B, H, W, C = x.shape
        N = self.heads
        source = x if self.reduction is None else self.reduction(x)                  # (B, h, w, C)
        query = self.query(x).reshape(B, H * W, N, C // N).transpose(1, 2)           # (B, N, HW, C/N)
        key, value = self.key_value(source).reshape(B, -1, 2, N, C // N).permute(2, 0, 3, 1, 4).unbind(0)
        out = F.scaled_dot_product_attention(query, key, value)                      # (B, N, HW, C/N)
        return self.proj(out.transpose(1, 2).reshape(B, H, W, C))                    # (B, H, W, C)


class MixFFN(nn.Module):
    """Feed-forward layer with a 3x3 depthwise convolution in place of position codes (paper, eq. 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels * MLP_RATIO
        self.expand = nn.Linear(channels, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.activation = nn.GELU()
        self.shrink = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:                        # (B, H, W, C)
        x = self.expand(x).permute(0, 3, 1, 2)                     # (B, 4C, H, W), channels last in memory
        x = self.depthwise(x).permute(0, 2, 3, 1)                  # (B, H, W, 4C)
        return self.shrink(self.activation(x))                     # (B, H, W, C)


class DropPath(nn.Module):
    """The input with whole samples of the batch set to zero at random in training, the rest scaled up."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:                        # (B, H, W, C)
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        return x * x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep).div_(keep)

    def extra_repr(self) -> str:
        return f"rate={self.rate:.4g}"


class Block(nn.Module):
    """One pre-norm transformer block: attention, then Mix-FFN, each on a residual branch."""

    def __init__(self, channels: int, heads: int, sr_ratio: int, rate: float, eps: float, block_eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, block_eps)
        self.attention = EfficientSelfAttention(channels, heads, sr_ratio, eps)
        self.norm2 = nn.LayerNorm(channels, block_eps)
        self.ffn = MixFFN(channels)
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:                        # (B, H, W, C)
        x = x + self.drop_path(self.attention(self.norm1(x)))
        return x + self.drop_path(self.ffn(self.norm2(x)))


class Stage(nn.Module):
    """One level of the pyramid: patches, blocks, and a norm whose output feeds head and next stage."""

    checkpointed = False  # in training, blocks keep nothing but their inputs, and run again for the backward pass

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        first: bool,
        heads: int,
        sr_ratio: int,
        drop_paths: Sequence[float],
        eps: float,
        block_eps: float,
    ) -> None:
        super().__init__()
        kernel, stride = (7, 4) if first else (3, 2)
        self.embed = OverlapPatchEmbed(in_channels, channels, kernel=kernel, stride=stride, eps=eps)
        self.blocks = nn.ModuleList(Block(channels, heads, sr_ratio, rate, eps, block_eps) for rate in drop_paths)
        self.norm = nn.LayerNorm(channels, block_eps)

    def forward(self, x: Tensor) -> Tensor:                        # (B, C_in, H_in, W_in)
        x = self.embed(x)                                          # (B, H, W, C)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.training and self.checkpointed else block(x)
        return self.norm(x).permute(0, 3, 1, 2)                    # (B, C, H, W), channels last in memory


class MixTransformer(nn.Module):
    """MiT, the hierarchical encoder without position codes: an image becomes four feature maps.

    Args:
        widths: channels of the four stages.
        depths: blocks of the four stages.
        in_channels: bands of the image.
        drop_path_rate: rate of the last block; it rises from 0 linearly over all blocks.
        eps: of the LayerNorms after patches and spatial reductions.
        block_eps: of the LayerNorms in blocks and after stages.
    """

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        *,
        in_channels: int = 3,
        drop_path_rate: float = 0.1,
        eps: float = 1e-5,
        block_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        last = max(sum(depths) - 1, 1)
        rates = [drop_path_rate * block / last for block in range(sum(depths))]
        ends = [sum(depths[: stage + 1]) for stage in range(len(depths))]
        self.stages = nn.ModuleList(
            Stage(
                in_channels if stage == 0 else widths[stage - 1],
                widths[stage],
                first=stage == 0,
                heads=HEADS[stage],
                sr_ratio=SR_RATIOS[stage],
                drop_paths=rates[ends[stage] - depths[stage] : ends[stage]],
                eps=eps,
                block_eps=block_eps,
            )
            for stage in range(len(depths))
        )
        self.apply(_initialise)

    def forward(self, images: Tensor) -> list[Tensor]:             # (B, C_in, H_in, W_in)
        _refuse_small(images)
        x = images.contiguous(memory_format=torch.channels_last)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)                                     # (B, C_i, H_i, W_i)
        return features


class AllMLPHead(nn.Module):
    """The All-MLP decode head (paper, eq. 4), folded: logits at stride 4 from the four stages.

    The paper projects each stage to D channels, upsamples, concatenates and fuses by a 1x1 convolution.
    Bilinear upsampling commutes with a 1x1 convolution, so each stage is projected once, at its own
    resolution, by the product of its two weights, then upsampled and summed: the same function, without
    the 4D-channel map. The parameters keep the paper's shapes. `fuse` holds its blocks deepest first.
    """

    def __init__(self, widths: Sequence[int], channels: int, num_classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(width, channels) for width in widths)
        self.fuse = nn.Conv2d(channels * len(widths), channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(channels, num_classes, 1)
        nn.init.kaiming_normal_(self.fuse.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: Sequence[Tensor]) -> Tensor:       # four of (B, C_i, H_i, W_i)
        if not self.training:
            weights, bias = self.folded()
            groups = _groups(weights, bias, self.classify.weight.flatten(1))
            return _folded_logits(features, groups, self.classify.bias)
        x = F.relu(self.norm(_project_and_sum(features, *self.products())), inplace=True)
        # Dropping a channel of a sample drops a column of its classifier: no other map need be made.
        kept = self.dropout(x.new_ones(*x.shape[:2], 1, 1)).flatten(2)                # (B, D, 1)
        weight = self.classify.weight.flatten(1).T * kept                             # (B, D, K)
        logits = x.permute(0, 2, 3, 1).flatten(1, 2) @ weight + self.classify.bias    # (B, HW, K)
        return logits.reshape(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2)  # (B, K, H, W), channels last in memory

    def products(self) -> tuple[list[Tensor], Tensor]:
        """Four (D, C_i) matrices `fuse_i @ linear_i` and the (D,) bias they share, in full precision.

        Autocast is held off: these products of parameters are small, and rounding them to half
        precision would round the network itself.
        """
        with torch.autocast(self.fuse.weight.device.type, enabled=False):
            blocks = reversed(self.fuse.weight.flatten(1).chunk(len(self.linears), dim=1))
            weights, bias = [], torch.zeros_like(self.norm.bias)
            for block, linear in zip(blocks, self.linears, strict=True):
                weights.append(block @ cast(Tensor, linear.weight))
                bias = bias + block @ cast(Tensor, linear.bias)
            return weights, bias

    def folded(self) -> tuple[list[Tensor], Tensor]:
        """The products with the running statistics of BatchNorm folded in, as evaluation uses them."""
        weights, bias = self.products()
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        return [weight * scale[:, None] for weight in weights], (bias - norm.running_mean) * scale + norm.bias


class FusedHead(nn.Module):
    """An `AllMLPHead` with its products and BatchNorm baked in, cut into its groups; for inference only."""

    def __init__(self, head: AllMLPHead) -> None:
        super().__init__()
        groups = _groups(*head.folded(), head.classify.weight.flatten(1))
        self.groups = nn.ModuleList(nn.ParameterList(each.detach().clone() for each in group) for group in groups)
        self.classify_bias = copy.deepcopy(head.classify.bias)

    def forward(self, features: Sequence[Tensor]) -> Tensor:       # four of (B, C_i, H_i, W_i)
        return _folded_logits(features, cast(Iterable[nn.ParameterList], self.groups), self.classify_bias)


class SegFormer(nn.Module):
    """The network of the paper: an image in, logits at a quarter of its size out.

    Args:
        widths, depths: of the encoder's four stages.
        head_width: channels D of the decode head.
        num_classes: K.
        in_channels: bands of the image.
        eps, block_eps: of the LayerNorms, see `MixTransformer`; the defaults are the released code's.
    """

    config: Any = None
    """What the numbers mean (class names, palette, mean, std ...); set by whoever builds the network."""

    def __init__(
        self,
        *,
        widths: Sequence[int],
        depths: Sequence[int],
        head_width: int,
        num_classes: int,
        in_channels: int = 3,
        drop_path_rate: float = 0.1,
        dropout: float = 0.1,
        eps: float = 1e-5,
        block_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.encoder = MixTransformer(
            widths, depths, in_channels=in_channels, drop_path_rate=drop_path_rate, eps=eps, block_eps=block_eps
        )
        self.head: AllMLPHead | FusedHead = AllMLPHead(widths, head_width, num_classes, dropout)

    def forward(self, images: Tensor) -> Tensor:                   # (B, C_in, H_in, W_in), normalised
        logits: Tensor = self.head(self.encoder(images))
        return logits                                              # (B, K, ceil(H_in / 4), ceil(W_in / 4))

    def fused(self) -> SegFormer:
        """The same function with the head's products and BatchNorm baked in, in eval mode; a copy.

        The encoder's parameters are shared with this network, not copied; its mode is left as it was.
        """
        tensors = (*self.parameters(), *self.buffers())
        fused = copy.deepcopy(self, {id(tensor): tensor for tensor in tensors})
        if isinstance(self.head, AllMLPHead):
            fused.head = FusedHead(self.head)
        return fused.eval()


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) brought to `size` bilinearly, corners not aligned; the memory format is kept."""
    if maps.device.type == "mps":
        maps = maps.contiguous()    # Apple's kernel gets the backward pass of other layouts wrong
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def _project_and_sum(features: Sequence[Tensor], weights: Sequence[Tensor], bias: Tensor) -> Tensor:
    """The sum of all stages, each projected at its own resolution, then upsampled to the first: (B, D, H, W).

    The bias joins at the deepest stage, where it is cheapest: upsampling keeps a constant.
    """
    size = (features[0].shape[-2], features[0].shape[-1])
    # Summed in place as (B, H, W, D): in place on a permuted view, autograd would copy every gradient.
    total = F.linear(features[0].permute(0, 2, 3, 1), weights[0])
    for stage in range(1, len(weights)):
        last = stage == len(weights) - 1
        small = F.linear(features[stage].permute(0, 2, 3, 1), weights[stage], bias if last else None)
        total += upsample(small.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)
    return total.permute(0, 3, 1, 2)


def _groups(weights: Sequence[Tensor], bias: Tensor, columns: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The folded matrices (D, C_i), their bias (D,) and the classifier (K, D), cut into groups of channels."""
    rows = (part.chunk(HEAD_GROUPS) for part in (*weights, bias))
    return zip(*rows, columns.chunk(HEAD_GROUPS, dim=1), strict=True)


def _folded_logits(features: Sequence[Tensor], groups: Iterable[Iterable[Tensor]], bias: Tensor | None) -> Tensor:
    """The head in evaluation, a group of its D channels at a time: (B, K, H, W), channels last in memory.

    Up to the classifier, which sums over them, channels do not meet. A map of D channels at stride 4
    never exists; the fixed number of groups is no branch on a shape. The classifier runs as a matrix
    product, since the CPU's 1x1 convolution would copy channels-last maps.
    """
    logits: Tensor | None = None
    for *weights, group_bias, columns in groups:
        x = _project_and_sum(features, weights, group_bias).permute(0, 2, 3, 1)
        x = F.relu(x, inplace=True)                                # (B, H, W, D / groups)
        if logits is None:
            logits = F.linear(x, columns, bias)                    # (B, H, W, K)
        else:
            logits.flatten(0, 2).addmm_(x.flatten(0, 2), columns.T.to(x.dtype))
    assert logits is not None
    return logits.permute(0, 3, 1, 2)


def _refuse_small(images: Tensor) -> None:
    """An error that names the size, except while a graph is traced, where it would freeze the size."""
    if torch.jit.is_tracing() or torch.compiler.is_compiling():  # type: ignore[attr-defined, no-untyped-call]
        return
    if min(images.shape[-2:]) < MIN_SIDE:
        height, width = images.shape[-2:]
        raise ValueError(f"an image of {height} x {width} is too small: each side needs at least {MIN_SIDE} pixels")


def _initialise(module: nn.Module) -> None:
    """The released encoder's initial values: N(0, 0.02) for linear layers, N(0, 2 / fan_out) for convolutions."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
