"""Tiny labelled pictures on disk, laid out as a folder of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from segformer_cli.engine.inference import Segmenter
from segformer_cli.images import read_image
from segformer_cli.model.checkpoint import Checkpoint, network_from

HW = tuple[int, int]
Array = NDArray[np.integer]

THINGS = tuple(f"thing {index}" for index in range(5))
"""The names that `random_checkpoint` gives five classes."""

SIZES: tuple[HW, ...] = ((40, 56), (64, 64), (33, 95), (64, 64), (64, 64), (40, 56), (90, 50))


def drawn_by_lot(size_hw: HW, classes: int, seed: int, ignored: float = 0.1) -> Array:
    """A target (H, W) of blocks of 16 pixels; the share `ignored` of its pixels is 255."""
    lot = np.random.default_rng(seed)
    height, width = size_hw
    blocks = lot.integers(0, classes, (-(-height // 16), -(-width // 16))).astype(np.uint8)
    target = np.kron(blocks, np.ones((16, 16), np.uint8))[:height, :width]
    return np.where(lot.random(size_hw) < ignored, 255, target).astype(np.uint8)


def write_folder(
    root: Path, targets: Mapping[str, Array], names: Sequence[str] | None = THINGS, split: str = "val"
) -> Path:
    """`root`, now with masks/<split>/KEY.png for each target and a picture in which its classes can be told apart.

    Args:
        names: what classes.txt says; None writes none.
    """
    for number, (key, target) in enumerate(targets.items()):
        noise = np.random.default_rng(number).integers(0, 60, (*target.shape, 3))
        picture = (target.astype(int)[..., None] * 40 % 195 + noise).astype(np.uint8)
        for folder, array in (("images", picture), ("masks", target)):
            path = root / folder / split / f"{key}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    if names is not None:
        (root / "classes.txt").write_text("\n".join(names), encoding="utf-8")
    return root


def write_lot(root: Path, sizes: Sequence[HW] = SIZES, names: Sequence[str] = THINGS, split: str = "val") -> Path:
    """`root`, now with a picture of each size, p0, p1 ..., and targets drawn by lot."""
    targets = {f"p{at}": drawn_by_lot(size, len(names), seed=at) for at, size in enumerate(sizes)}
    return write_folder(root, targets, names, split)


def take_masks_as_targets(data: Path, checkpoint: Checkpoint, wrong: float = 0.2, split: str = "val") -> None:
    """The masks of a folder become those that the network predicts, but for the share `wrong`, drawn by lot."""
    segmenter = Segmenter.of(network_from(checkpoint), torch.device("cpu"))
    for seed, path in enumerate(sorted((data / "images" / split).rglob("*.png"))):
        mask = segmenter.mask(read_image(path))
        lot = np.random.default_rng(seed)
        drawn = lot.integers(0, segmenter.config.num_classes, mask.shape)
        target = np.where(lot.random(mask.shape) < wrong, drawn, mask).astype(np.uint8)
        Image.fromarray(target).save(data / "masks" / split / path.name)
