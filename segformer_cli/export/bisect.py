"""Where an exported file goes astray: the first part of the network whose maps differ."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

HEAD = "the decode head"


def first_divergence(expected: Sequence[Tensor], found: Sequence[Tensor], tolerance: float) -> str:
    """The first stage of the encoder whose map differs; the decode head, where none does.

    Args:
        expected, found: the maps of the four stages, in order, each in the same layout.
        tolerance: as a share of a map's largest value.

    >>> import torch
    >>> maps = [torch.ones(1, 2, 4, 4), torch.ones(1, 4, 2, 2)]
    >>> first_divergence(maps, [maps[0], 1.01 * maps[1]], 1e-3)
    'stage 2 of the encoder'
    """
    for number, (ours, theirs) in enumerate(zip(expected, found, strict=True), 1):
        if ours.shape != theirs.shape:
            return f"stage {number} of the encoder"
        error = (ours - theirs).abs().max()
        if not error <= tolerance * ours.abs().max():       # NaN differs
            return f"stage {number} of the encoder"
    return HEAD
