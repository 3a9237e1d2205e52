"""Masks that any tool made, found beside the pictures of a split and read as its class ids."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segformer_cli.data.pairs import UNKNOWN, Pair, Split
from segformer_cli.errors import DataError
from segformer_cli.images import MASK_SUFFIXES, Ids, read_mask


def find_masks(folder: Path, split: Split) -> tuple[Path, ...]:
    """The mask of each picture: the file below `folder` called as the picture, its key, or that with something after.

    Raises:
        DataError: there is no such folder, a picture has no mask, or more than one.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", where=str(folder.absolute()))
    lying = sorted(Path(top) / name for top, _, names in os.walk(folder) for name in names)
    masks = [path for path in lying if path.suffix.lower() in MASK_SUFFIXES and not path.name.startswith(".")]
    by_name: dict[str, list[Path]] = {}
    for path in masks:
        relative = path.relative_to(folder).with_suffix("").as_posix()
        for name in {relative, path.stem}:
            by_name.setdefault(name, []).append(path)
    found = [_mask_of(pair, by_name, masks) for pair in split.pairs]
    lacking = [pair for pair, candidates in zip(split.pairs, found, strict=True) if not candidates]
    if lacking:
        raise DataError(
            f"no mask found for {len(lacking)} of {len(split)} images (first: {lacking[0].key})",
            where=f"looked for {lacking[0].key}.png below {folder}; found {_some(masks, folder)}",
            hint="predict the missing ones, or score fewer images: --limit N, --split NAME",
        )
    for pair, candidates in zip(split.pairs, found, strict=True):
        if len(candidates) > 1:
            raise DataError(
                f"{len(candidates)} masks could be that of {pair.key}",
                where=", ".join(str(path) for path in candidates[:3]),
                hint="leave one mask a picture in the folder",
            )
    return tuple(candidates[0] for candidates in found)


def read_as_classes(path: Path, split: Split, target: Ids, *, file_ids: bool = False) -> Ids:
    """The mask in class ids of the data; whatever is none of its classes becomes K.

    Args:
        target: the picture's target, whose size the mask must have.
        file_ids: the mask holds the ids of the data set's own files (Cityscapes' labelIds), not class ids.

    Raises:
        ImageError: it cannot be read, or holds colours.
        DataError: it has another size.
    """
    stored = read_mask(path)
    if stored.shape != target.shape:
        raise DataError(
            f"{path.name} is {stored.shape[0]} x {stored.shape[1]}, its target {target.shape[0]} x "
            f"{target.shape[1]} (height x width)",
            where=str(path),
            hint="masks are scored at the size of their targets: resize them by the nearest neighbour, ids as they are",
        )
    K = len(split.class_names)
    if file_ids:
        known = np.where((split.ids == UNKNOWN) | (split.ids == split.ignore_index), K, split.ids)
        stored = np.where(stored < len(known), known[np.minimum(stored, len(known) - 1)], K).astype(np.uint16)
    kept: Ids = np.where(stored < K, stored, K).astype(np.uint8 if K <= 255 else np.uint16)
    return kept


def _mask_of(pair: Pair, by_name: dict[str, list[Path]], masks: Sequence[Path]) -> list[Path]:
    """Files that may be the mask of a picture; an equal name comes before one that only begins so."""
    for name in (pair.key, pair.image.stem, Path(pair.key).name):
        if name in by_name:
            return by_name[name]
    stem = Path(pair.key).name
    return [path for path in masks if path.name.startswith(f"{stem}_")]


def _some(masks: Sequence[Path], folder: Path) -> str:
    names = [path.relative_to(folder).as_posix() for path in masks[:3]]
    return ", ".join(names) + (f" and {len(masks) - 3} more" if len(masks) > 3 else "") if names else "no masks"
