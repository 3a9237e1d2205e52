"""The whole way from pixels to class ids as one network, so that a user in C++ or JavaScript need not rebuild it.

It computes what `resize.py`, `normalise` and `engine/upsampling.py` compute, said in operators that torch.export,
ONNX and `torch.jit.trace` carry at any size: no branch, no loop, no size of the example frozen in.

Letters
    N pictures, C bands, K classes, H x W their size, h x w that of the logits
    R rows of a strip, G rows of the logits that it is mixed from
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segformer_cli.classes import LARGEST_NARROW
from segformer_cli.export.exportable import HW
from segformer_cli.resize import SizePolicy

STRIPS = 32
"""A picture's rows are cut into so many, whatever its height: a graph without a loop cannot count."""


class FullPipeline(nn.Module):
    """A network with all that comes before and after it: uint8 pictures (N, H, W, C) in, class ids (N, H, W) out.

    The ids are uint8; int32 from 256 classes on, since few runtimes know uint16. One class, a sigmoid output, gives
    0 and 1. Logits are upsampled and compared a strip of rows at a time: at full size they never exist.

    Args:
        network: normalised pictures (N, C, h', w') to logits (N, K, ceil(h' / 4), ceil(w' / 4)).
        mean, std: of each band, on the 0..255 scale.
        size: how pictures are sized for the network.
        num_classes: K.
    """

    scale: Tensor
    offset: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        size: SizePolicy,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.network = network
        centre, spread = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (mean, std))
        self.register_buffer("scale", (1 / spread).float())
        self.register_buffer("offset", (-centre / spread).float())
        self.size = size
        self.bounded = size != SizePolicy(align=size.align)
        self.num_classes = num_classes
        self.dtype = torch.uint8 if num_classes <= LARGEST_NARROW else torch.int32

    def forward(self, pictures: Tensor) -> Tensor:                 # (N, H, W, C) uint8
        source = network_hw = pictures.shape[1], pictures.shape[2]
        x = pictures.permute(0, 3, 1, 2).float()                   # (N, C, H, W), 0..255
        if self.bounded:
            network_hw = fitted(source, self.size)
            x = resized(x, network_hw)
        if self.size.align > 1:
            network_hw = aligned(network_hw, self.size.align)
            x = resized(x, network_hw)
        logits = self.network(x * self.scale + self.offset)        # (N, K, h, w)
        if self.num_classes == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        return self._best(logits, network_hw, source)              # (N, H, W)

    def _best(self, logits: Tensor, network_hw: HW, source: HW) -> Tensor:
        """The largest class at each pixel after two bilinear steps: to the network's size, then the picture's.

        Rows are mixed by a matrix, which is what both steps make of the unit matrix. A strip reads the few columns
        of it that are not 0: G rows of the logits, two more on either side than R rows take up. Some may lie outside
        the map: they read its edge, and count nothing.
        """
        (height, width), h, device = source, logits.shape[2], logits.device
        R = (height + STRIPS - 1) // STRIPS
        G = R * h // height + 5
        unit = torch.eye(h, device=device, dtype=logits.dtype)[None, None]
        mixing = _stretched(_stretched(unit, (network_hw[0], h)), (height, h))[0, 0]             # (H, h)
        # The last row stands in for those beyond it, so that all strips are alike.
        rows = torch.arange(STRIPS * R, device=device).clamp(max=height - 1).view(STRIPS, R)
        near = (rows[:, 0] * h // height - 2)[:, None] + torch.arange(G, device=device)          # (STRIPS, G)
        inside = ((near >= 0) & (near < h)).to(logits.dtype)
        near = near.clamp(0, h - 1)
        found = []
        for strip in range(STRIPS):
            mix = mixing.index_select(0, rows[strip]).index_select(1, near[strip]) * inside[strip]
            x = mix @ logits.index_select(2, near[strip])                                        # (N, K, R, w)
            x = _stretched(_stretched(x, (R, network_hw[1])), (R, width))                        # (N, K, R, W)
            found.append(x.argmax(1).to(self.dtype))
        return torch.cat(found, dim=1)[:, :height]                                               # (N, H, W)


def fitted(source: HW, size: SizePolicy) -> HW:
    """The size before alignment, as `SizePolicy.fitted`, in whole numbers, for a policy that has bounds.

    >>> fitted((500, 3000), SizePolicy(short=512, long=2048))
    (341, 2048)
    """
    (height, width), box = source, size.box
    return _fitted_side(height, width, size, box), _fitted_side(width, height, size, box and (box[1], box[0]))


def _fitted_side(side: int, other: int, size: SizePolicy, box: HW | None) -> int:
    """One side. Rounding keeps order: the smallest factor gives the smallest side.

    Args:
        box: the bounds of this side and the other.
    """
    bounded = []
    if size.short is not None:
        bounded.append(_most(size.short, _scaled(side, size.short, other)))
    if size.long is not None:
        bounded.append(_least(size.long, _scaled(side, size.long, other)))
    if box is not None:
        bounded.append(_least(box[0], _scaled(side, box[1], other)))
    return _most(1, reduce(_least, bounded))


def _scaled(side: int, over: int, under: int) -> int:
    """The side by over / under, halves rounded up."""
    return (2 * side * over + under) // (2 * under)


def aligned(size_hw: HW, align: int) -> HW:
    """Each side up to a multiple of `align`."""
    return (size_hw[0] + align - 1) // align * align, (size_hw[1] + align - 1) // align * align


def resized(image: Tensor, size_hw: HW) -> Tensor:
    """Whole grey levels (N, C, h, w) at a new size, the very ones of `cv2.resize`, which works in whole numbers.

    It gives weights 11 bits, drops 4 bits of a sum of two columns and 16 of each row's product, and rounds. In float32
    the products are not exact: two levels in a million are one off.
    """
    left, right, rest, share = _taps(image.shape[3], size_hw[1], image.device)
    x = image.index_select(3, left) * rest + image.index_select(3, right) * share                # (N, C, h, W)
    x = (x / 16).floor()
    top, bottom, rest, share = _taps(image.shape[2], size_hw[0], image.device)
    upper, lower = x.index_select(2, top) * rest[:, None], x.index_select(2, bottom) * share[:, None]
    return (((upper / 65536).floor() + (lower / 65536).floor() + 2) / 4).floor()                 # (N, C, H, W)


def _taps(size: int, new: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each place of `new` the two of `size` that it lies between, and their weights in parts of 2048."""
    places = ((2 * torch.arange(new, device=device) + 1) * size - new).float() / (2 * new)
    low = places.floor()
    share, low = places - low, low.long()
    weights = ((1 - share) * 2048).round(), (share * 2048).round()
    return low.clamp(0, size - 1), (low + 1).clamp(0, size - 1), *weights


def _stretched(maps: Tensor, size_hw: HW) -> Tensor:
    return F.interpolate(maps, size=size_hw, mode="bilinear", align_corners=False)


def _least(a: int, b: int) -> int:
    """min, as an operation; min itself would compare the sizes of the example and keep the answer for all others."""
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return (a + b - abs(a - b)) // 2        # traced sizes are tensors, which sym_min does not take
    return cast(int, torch.sym_min(a, b))  # type: ignore[no-untyped-call]


def _most(a: int, b: int) -> int:
    """max, in the same way."""
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return (a + b + abs(a - b)) // 2
    return cast(int, torch.sym_max(a, b))  # type: ignore[no-untyped-call]
