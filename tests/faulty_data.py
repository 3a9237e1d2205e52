"""A tiny data set without fault, for tests to put one in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

NAMES = ("road", "sky", "car")
KEYS = {"train": ("t0", "t1", "t2"), "val": ("v0", "v1", "v2")}


def scene(seed: int, size_hw: tuple[int, int] = (36, 48)) -> NDArray[np.uint8]:
    """A picture (H, W, 3) that is like no other."""
    blocks = np.random.default_rng(seed).integers(0, 255, (9, 12, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(blocks, size_hw[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def ids(*rows: int, size_hw: tuple[int, int] = (36, 48)) -> NDArray[np.uint8]:
    """A mask (H, W) of stripes, one for each id."""
    return np.asarray(np.resize(np.repeat(np.array(rows, np.uint8), -(-size_hw[1] // len(rows))), size_hw[1])[None]
                      .repeat(size_hw[0], axis=0))


def put(place: Path, array: NDArray[np.generic], **options: object) -> Path:
    """The array as a picture at a place."""
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(place, **options)  # type: ignore[arg-type]
    return place


def sound(root: Path) -> Path:
    """`root`, now with images/ and masks/, three pairs in train and in val, classes.txt; nothing is wrong with it."""
    for offset, (split, keys) in enumerate(KEYS.items()):
        for at, key in enumerate(keys):
            put(root / "images" / split / f"{key}.png", scene(10 * offset + at))
            put(root / "masks" / split / f"{key}.png", ids(0, 1, 2))
    (root / "classes.txt").write_text("\n".join(NAMES))
    return root
