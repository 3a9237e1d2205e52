"""Seen through a frosted pane."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np

from segformer_cli.errors import DataError
from segformer_cli.images import Picture, read_image
from segformer_cli.robustness import frost_textures
from segformer_cli.robustness.source import Random, Source, truncated

FROST_KEPT_ADDED = (1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)
ORIGINALS = "frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg"


@dataclass(frozen=True, eq=False)
class Textures:
    """Panes of frost, of which chance picks one for each picture.

    Args:
        panes: of any sizes.
        comparable: whether they are the originals, without which scores cannot be compared with published ones.
    """

    panes: tuple[Picture, ...]
    comparable: bool


def frost(source: Source, severity: int, rng: Random, *, textures: Textures | None = None) -> Picture:
    """The picture and a pane of frost added up, at a random place of the pane, which is enlarged to cover the picture.

    In fast mode the sum is exact; in float64, as the reference and reference mode add, up to 3 per cent of the values
    end one level lower.

    Args:
        textures: without them, those of `procedural_textures`.

    Source: Hendrycks and Dietterich, ICLR 2019; the size of the pane is that of `imagecorruptions`.
    """
    kept, added = FROST_KEPT_ADDED[severity - 1]
    textures = textures or procedural_textures()
    (height, width), index = source.size_hw, _below(len(textures.panes), rng)
    pane = _covering(textures, index, source.size_hw)
    top, left = _below(pane.shape[0] - height, rng), _below(pane.shape[1] - width, rng)
    seen = pane[top : top + height, left : left + width]
    if isinstance(rng, np.random.RandomState):
        return truncated(kept * source.pixels + added * seen)
    # The shares are whole twentieths, and so is the sum: less 19 fortieths, rounding it is truncating it.
    return np.asarray(cv2.addWeighted(source.pixels, kept, seen, added, -19 / 40), np.uint8)


@cache
def procedural_textures() -> Textures:
    """Drawn panes of four kinds, the second twice, as two of the originals are one picture."""
    needles = frost_textures.needles()
    panes = frost_textures.ice(), needles, needles, frost_textures.grains(), frost_textures.ferns()
    return Textures(panes, comparable=False)


def textures_from(folder: Path) -> Textures:
    """The five original photographs, from a folder of the user's.

    Raises:
        DataError: one of them is not there.
        ImageError: one cannot be read.
    """
    absent = [name for name in ORIGINALS if not (folder / name).is_file()]
    if absent:
        raise DataError(
            f"{len(absent)} of the 5 frost textures are not there: {', '.join(absent)}",
            where=str(folder),
            hint="they lie in the folder frost of the Python package imagecorruptions",
        )
    return Textures(tuple(read_image(folder / name) for name in ORIGINALS), comparable=True)


@lru_cache(maxsize=5)                                # the panes at one size: the pictures of a set often have but one
def _covering(textures: Textures, index: int, size_hw: tuple[int, int]) -> Picture:
    """A pane enlarged until it covers a picture of that size and a tenth more; one that does is enlarged by a tenth."""
    pane = textures.panes[index]
    rows, columns = pane.shape[:2]
    scale = 1.1 * max(size_hw[0] / rows, size_hw[1] / columns, 1.0)
    size = math.ceil(columns * scale), math.ceil(rows * scale)
    return np.asarray(cv2.resize(pane, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _below(end: int, rng: Random) -> int:
    """A whole number from 0, below `end`."""
    return int(rng.randint(0, end) if isinstance(rng, np.random.RandomState) else rng.integers(0, end))
