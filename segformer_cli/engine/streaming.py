"""Pictures too large to hold: windows row by row, logits blended at stride 4, class ids in strips of rows.

What is held depends on the window and on the picture's width, not on its height. Windows lie on a grid, so the weight
of all that see a pixel is a product of two sums, one along rows and one along columns. Letters: K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segformer_cli.classes import mask_dtype
from segformer_cli.data.transforms import normalise
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.upsampling import HW, STRIP_VALUES
from segformer_cli.errors import UsageError
from segformer_cli.images import Ids, Pixels
from segformer_cli.model.segformer import upsample
from segformer_cli.resize import ALIGN

STRIDE = 4
"""Pixels of the picture for each position of the logits, down and across."""

Blend = Literal["hann", "gaussian", "mean"]
"""How overlapping windows are weighed: less towards their border, or all alike, as the papers' protocols do."""

Read = Callable[[slice, slice], Pixels]
"""Rows and columns of the picture, (h, w, C)."""

_SIGMA = 0.25
"""Of the Gaussian, as a share of the ramp."""


@dataclass(frozen=True)
class Windows:
    """Square windows of `side` pixels that overlap by `overlap`.

    Within a quarter of the overlap from a border that a neighbour covers a window has no say: its network saw too
    little there. Over the half between, `blend` goes from one window to the other.
    """

    side: int = 1024
    overlap: int = 256
    blend: Blend = "hann"

    def __post_init__(self) -> None:
        if self.side % ALIGN or self.overlap % (4 * STRIDE) or not 0 < self.overlap <= self.side // 2:
            raise UsageError(
                f"windows of {self.side} pixels that overlap by {self.overlap}",
                hint=f"the side must be a multiple of {ALIGN}, the overlap one of {4 * STRIDE} and at most half of it",
            )

    def starts(self, length: int) -> tuple[int, ...]:
        """Where the windows along one side of a picture begin; the last one ends with it.

        >>> Windows(64, 16).starts(150)
        (0, 48, 88)
        """
        last = max(0, -(-(length - self.side) // STRIDE) * STRIDE)
        return (*range(0, last, self.side - self.overlap), last)

    def weights(self, start: int, length: int) -> NDArray[np.float32]:
        """(side / 4,) of a window's positions along one side of a picture."""
        positions = self.side // STRIDE
        if self.blend == "mean":
            return np.ones(positions, np.float32)
        margin, ramp = self.overlap // (4 * STRIDE), self.overlap // (2 * STRIDE)
        place = (np.arange(ramp) + 0.5) / ramp
        rising = np.sin(place * math.pi / 2) ** 2 if self.blend == "hann" else np.exp(-((1 - place) ** 2) / _SIGMA)
        weights = np.ones(positions, np.float32)
        if start > 0:
            weights[: margin + ramp] = np.concatenate([np.zeros(margin), rising])
        if start + self.side < length:
            weights[-(margin + ramp) :] = np.concatenate([rising[::-1], np.zeros(margin)])
        return weights


def count_windows(windows: Windows, size_hw: HW) -> int:
    """How many windows a picture takes."""
    return len(windows.starts(size_hw[0])) * len(windows.starts(size_hw[1]))


def bytes_held(windows: Windows, size_hw: HW, num_classes: int) -> int:
    """Of the logits that wait for their neighbours, and of the rows that are made of them."""
    across = -(-size_hw[1] // STRIDE)
    return 4 * (2 * windows.side // STRIDE * across * num_classes + 3 * STRIP_VALUES)


def streamed_mask(
    segmenter: Segmenter,
    read: Read,
    size_hw: HW,
    windows: Windows,
    first_row: int = 0,
    seen: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[slice, Ids]]:
    """Rows of the picture from top to bottom with their class ids (rows, W); arguments as of `streamed_values`."""
    kind = mask_dtype(segmenter.config.num_classes)
    for rows, values in streamed_values(segmenter, read, size_hw, windows, first_row, seen):
        yield rows, values.argmax(-1).numpy().astype(kind)


@torch.inference_mode()
def streamed_values(
    segmenter: Segmenter,
    read: Read,
    size_hw: HW,
    windows: Windows,
    first_row: int = 0,
    seen: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[slice, Tensor]]:
    """Rows of the picture from top to bottom with their logits (rows, W, K), on the CPU.

    Args:
        read: gives rows and columns of the picture.
        first_row: from which on rows are wanted; they are those of a call for all.
        seen: is told how many windows are done.
    """
    accumulated = _Accumulated(segmenter.config.num_classes, size_hw, windows)
    tops, lefts = windows.starts(size_hw[0]), windows.starts(size_hw[1])
    needed = max(0, first_row // STRIDE - 1) * STRIDE
    begin = next(index for index, top in enumerate(tops) if top + windows.side > needed)
    accumulated.begin(tops[begin])
    seen(begin * len(lefts))
    for index in range(begin, len(tops)):
        for number, left in enumerate(lefts, 1):
            accumulated.add(tops[index], left, _logits(segmenter, read, (tops[index], left), size_hw, windows.side))
            seen(index * len(lefts) + number)
        below = tops[index + 1] if index + 1 < len(tops) else None
        for rows, values in accumulated.finished(below):
            if rows.stop > first_row:
                skipped = max(0, first_row - rows.start)
                yield slice(rows.start + skipped, rows.stop), values[skipped:]


def _logits(segmenter: Segmenter, read: Read, place: HW, size_hw: HW, side: int) -> Tensor:
    """(side / 4, side / 4, K) of one window; beyond the picture it sees the mean colour, as in training."""
    rows, columns = (slice(start, min(start + side, length)) for start, length in zip(place, size_hw, strict=True))
    config = segmenter.config
    image = torch.from_numpy(normalise(read(rows, columns), config.mean, config.std))[None]
    height, width = image.shape[-2:]
    if (height, width) != (side, side):
        image = F.pad(image, (0, side - width, 0, side - height))
    return segmenter.logits(image)[0].permute(1, 2, 0)


class _Accumulated:
    """Blended logits of the rows that are not finished, (rows, W / 4, K), and the two rows above them."""

    def __init__(self, num_classes: int, size_hw: HW, windows: Windows) -> None:
        self.size_hw, self.windows, self.num_classes = size_hw, windows, num_classes
        self.low_hw = -(-size_hw[0] // STRIDE), -(-size_hw[1] // STRIDE)
        self.cover = tuple(self._cover(length) for length in size_hw)
        self.begin(0)

    def begin(self, top: int) -> None:
        """Nothing is accumulated, and the first window row begins at `top`."""
        self.top = top // STRIDE
        positions = self.windows.side // STRIDE
        self.total = torch.zeros(positions, self.low_hw[1] + positions, self.num_classes)
        self.above = torch.zeros(0, self.low_hw[1], self.num_classes)
        self.emitted = None if top else 0

    def add(self, top: int, left: int, logits: Tensor) -> None:
        """One window's logits."""
        down, across = (
            torch.from_numpy(self.windows.weights(start, length))
            for start, length in zip((top, left), self.size_hw, strict=True)
        )
        positions = self.windows.side // STRIDE
        columns = slice(left // STRIDE, left // STRIDE + positions)
        self.total[:, columns] += logits.cpu() * down[:, None, None] * across[:, None]

    def finished(self, below: int | None) -> Iterator[tuple[slice, Tensor]]:
        """Pixel rows that no later window touches, the next window row beginning at `below`; None: there is none."""
        height, width = self.low_hw
        count = (height if below is None else below // STRIDE) - self.top
        rows = slice(self.top, self.top + count)
        down, across = (torch.from_numpy(each) for each in self.cover)
        done = self.total[:count, :width] / (down[rows][:, None, None] * across[:width][:, None])
        low = torch.cat([self.above, done])
        first = self.top - len(self.above)
        if below is not None:
            kept = torch.zeros_like(self.total)
            kept[: len(kept) - count] = self.total[count:]
            self.total, self.top = kept, self.top + count
        yield from self._pixel_rows(low, first, last=below is None)
        self.above = low[-2:].clone()

    def _pixel_rows(self, low: Tensor, first: int, *, last: bool) -> Iterator[tuple[slice, Tensor]]:
        """The picture's rows that lie between finished rows of logits, in strips."""
        height, width = self.size_hw
        end = height if last else STRIDE * (first + len(low)) - STRIDE // 2
        # Having begun further down, the first row has none above it to be mixed with.
        start = STRIDE * (first + 1) if self.emitted is None else self.emitted
        step = max(1, STRIP_VALUES // (width * self.num_classes))
        for top in range(start, end, step):
            rows = slice(top, min(top + step, end))
            place = ((torch.arange(rows.start, rows.stop, dtype=torch.float64) + 0.5) / STRIDE - 0.5).clamp(min=0)
            upper = place.floor().long()
            # Of the picture's first two rows the share is 0, and the row below may not be finished.
            lower = (upper + 1).clamp(max=first + len(low) - 1)
            share = (place - upper).float()[:, None, None]
            mixed = torch.lerp(low[upper - first], low[lower - first], share)
            yield rows, _stretched(mixed)[:, :width]
        self.emitted = end

    def _cover(self, length: int) -> NDArray[np.float32]:
        """The sum of the weights at each position along one side."""
        positions = self.windows.side // STRIDE
        total = np.zeros(-(-length // STRIDE) + positions, np.float32)
        for start in self.windows.starts(length):
            total[start // STRIDE : start // STRIDE + positions] += self.windows.weights(start, length)
        return total


def _stretched(rows: Tensor) -> Tensor:
    """(rows, w, K) with four columns for each."""
    image = rows[None].permute(0, 3, 1, 2)
    return upsample(image, (rows.shape[0], STRIDE * rows.shape[1])).permute(0, 2, 3, 1)[0]
