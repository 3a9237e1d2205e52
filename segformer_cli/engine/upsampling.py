"""Logits at a quarter of the network's input, brought to the picture's size in memory that does not grow with classes.

They are upsampled in two bilinear steps (to the network's input, then to the picture), as the released code
does, and only then compared; strips of rows compose both steps. Logits of overlapping windows are averaged
between the steps, softmax maps of several passes after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from segformer_cli.model.segformer import upsample

STRIP_VALUES = 4_000_000
"""Logits upsampled at a time: 16 MB in fp32, below the size at which the C library maps fresh pages."""

HW = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Window:
    """Logits (K, h, w) of one window, a quarter of its (height, width), and its place in the network's input."""

    top: int
    left: int
    size_hw: HW
    logits: Tensor


@dataclass(frozen=True, eq=False)
class LogitMap:
    """The logits of one pass over a picture: of all windows, which cover the network's input.

    `mirrored`: the network saw the picture's mirror image.
    """

    windows: tuple[Window, ...]
    network_hw: HW
    mirrored: bool = False

    @property
    def num_classes(self) -> int:
        """K."""
        return self.windows[0].logits.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the logits lie."""
        return self.windows[0].logits.device


def averaged(old: LogitMap, new: LogitMap, share: float) -> LogitMap:
    """The logits of two pictures of one size, `share` of the old ones in the mean."""
    windows = [
        replace(window, logits=torch.lerp(window.logits, before.logits, share))
        for before, window in zip(old.windows, new.windows, strict=True)
    ]
    return replace(new, windows=tuple(windows))


def class_values(maps: Sequence[LogitMap], source_hw: HW) -> Iterator[tuple[slice, Tensor]]:
    """Rows of the source in order, each with a value (rows, W, K) for every class; the largest one is chosen.

    Of one pass they are its logits, of several the means of their softmax.
    """
    step = max(1, STRIP_VALUES // (source_hw[1] * maps[0].num_classes))
    passes = [_Strips(each, source_hw) for each in maps]
    for top in range(0, source_hw[0], step):
        rows = slice(top, min(top + step, source_hw[0]))
        if len(passes) == 1:
            yield rows, passes[0].rows(rows)
            continue
        total = passes[0].rows(rows).softmax(-1)
        for each in passes[1:]:
            total += each.rows(rows).softmax(-1)
        yield rows, total.div_(len(passes))


Weights = tuple[Tensor, Tensor, Tensor]
"""For each output row: the two input rows it mixes, and the share of the second."""


class _Strips:
    """Any rows of one pass at the source's size.

    Both bilinear steps are separable, so rows are mixed by their exact weights and columns by
    `interpolate`; channels last, where both are several times faster.
    """

    def __init__(self, found: LogitMap, source_hw: HW) -> None:
        like = found.windows[0].logits
        self.map = found
        self.source_hw = source_hw
        self.low = [window.logits.permute(1, 2, 0).contiguous() for window in found.windows]     # (h, w, K)
        self.first = [
            _row_weights(low.shape[0], window.size_hw[0], like)
            for low, window in zip(self.low, found.windows, strict=True)
        ]
        self.second = _row_weights(found.network_hw[0], source_hw[0], like)
        self.cover = _cover(found) if len(found.windows) > 1 else None

    def rows(self, rows: slice) -> Tensor:
        """(rows, W, K) logits."""
        low, high, share = (part[rows] for part in self.second)
        needed, place = torch.unique(torch.stack([low, high]), return_inverse=True)
        strip = self._network_rows(needed)                         # (needed, W_network, K)
        strip = _mix(strip, (place[0], place[1], share))
        strip = _stretch(strip, self.source_hw[1])                 # (rows, W, K)
        return strip.flip(1) if self.map.mirrored else strip

    def _network_rows(self, needed: Tensor) -> Tensor:
        """Those rows of the network's input, each window's logits upsampled and overlapping ones averaged."""
        if self.cover is None:
            weights = self.first[0]
            return _stretch(_mix(self.low[0], _taken(weights, needed)), self.map.network_hw[1])
        K, width = self.map.num_classes, self.map.network_hw[1]
        total = self.low[0].new_zeros(len(needed), width, K)
        for window, low, weights in zip(self.map.windows, self.low, self.first, strict=True):
            inside = (needed >= window.top) & (needed < window.top + window.size_hw[0])
            if inside.any():
                columns = slice(window.left, window.left + window.size_hw[1])
                mixed = _mix(low, _taken(weights, needed[inside] - window.top))
                total[inside, columns] += _stretch(mixed, window.size_hw[1])
        return total.div_(self.cover[needed][..., None])


def _cover(found: LogitMap) -> Tensor:
    """How many windows see each pixel of the network's input, (H, W)."""
    count = torch.zeros(found.network_hw, device=found.device)
    for window in found.windows:
        height, width = window.size_hw
        count[window.top : window.top + height, window.left : window.left + width] += 1
    return count


def _row_weights(size: int, new: int, like: Tensor) -> Weights:
    """Bilinear weights with align_corners=False, as `interpolate` computes them."""
    source = (torch.arange(new, dtype=torch.float64) + 0.5) * (size / new) - 0.5
    source = source.clamp(min=0)
    low = source.floor().long()
    high = (low + 1).clamp(max=size - 1)
    return low.to(like.device), high.to(like.device), (source - low).to(like.device, like.dtype)


def _taken(weights: Weights, wanted: Tensor) -> Weights:
    return weights[0][wanted], weights[1][wanted], weights[2][wanted]


def _mix(rows: Tensor, weights: Weights) -> Tensor:
    """The output rows of (rows, W, K)."""
    low, high, share = weights
    if not share.any():
        return rows[low]
    return torch.lerp(rows[low], rows[high], share[:, None, None])


def _stretch(rows: Tensor, width: int) -> Tensor:
    """(rows, w, K) with its columns upsampled to `width`."""
    if rows.shape[1] == width:
        return rows
    # The batch axis first: torch tells channels-last memory by the order of all four strides.
    image = rows[None].permute(0, 3, 1, 2)                         # (1, K, rows, w)
    return upsample(image, (rows.shape[0], width)).permute(0, 2, 3, 1)[0]
