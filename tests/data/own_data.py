"""Someone's own tiny pictures and masks, one row of pixels high."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from segformer_cli.data.pairs import Split

Row = Sequence[int]


def put_picture(path: Path, width: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((1, width, 3), np.uint8)).save(path)
    return path


def put_ids(path: Path, ids: Row) -> Path:
    """A grey PNG of 8 bits, of 16 where an id needs them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([ids], np.uint16 if max(ids) > 255 else np.uint8)).save(path)
    return path


def put_colours(path: Path, colours: Sequence[tuple[int, int, int]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([colours], np.uint8)).save(path)
    return path


def put_tree(root: Path, *rows: Row) -> Path:
    """images/ and masks/, not divided, with p0, p1 ..."""
    for at, row in enumerate(rows):
        put_picture(root / "images" / f"p{at}.png", len(row))
        put_ids(root / "masks" / f"p{at}.png", row)
    return root


def targets(split: Split) -> dict[str, list[int]]:
    """The target's row of each pair, by its key."""
    return {pair.key: split.read(pair)[1][0].tolist() for pair in split.pairs}
