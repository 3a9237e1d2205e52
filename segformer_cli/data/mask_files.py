"""Masks that any tool made, found beside the pictures of a split and read as its class ids."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segformer_cli.data.pairs import UNKNOWN, Pair, Split
from segformer_cli.errors import DataError
from segformer_cli.images import MASK_SUFFIXES, Ids, read_mask

_LOSSY = (".jpg", ".jpeg", ".webp")


def find_masks(folder: Path, split: Split, limit: int | None = None) -> tuple[Path, ...]:
    """The mask of each picture: the file below `folder` called as the picture, its key, or that with `_` and more.

    Args:
        limit: only those of the first pictures are asked for; the others still have a claim to theirs.

    Raises:
        DataError: there is no such folder, a picture has no mask, or it is not certain which one.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", where=str(folder.absolute()))
    lying = sorted(Path(top) / name for top, _, names in os.walk(folder) for name in names)
    masks = [path for path in lying if path.suffix.lower() in MASK_SUFFIXES and not path.name.startswith(".")]
    owners = _Owners(split.pairs)
    named: dict[Pair, list[Path]] = {}
    begun: dict[Pair, list[Path]] = {}
    for path in masks:
        name = path.relative_to(folder).with_suffix("").as_posix()
        for whole, claims in ((True, named), (False, begun)):
            pairs = owners.of(name, whole=whole)
            for pair in pairs:
                claims.setdefault(pair, []).append(path)
            if pairs:
                break
    asked = split.first(limit).pairs
    found = [named.get(pair) or begun.get(pair, []) for pair in asked]
    lacking = [pair for pair, candidates in zip(asked, found, strict=True) if not candidates]
    if lacking:
        message = f"no mask found for {len(lacking)} of {len(asked)} images (first: {lacking[0].key})"
        raise _no_masks(message, lacking[0], folder, lying, masks)
    for pair, candidates in zip(asked, found, strict=True):
        if len(candidates) > 1:
            raise DataError(
                f"{len(candidates)} masks could be that of {pair.key}",
                where=", ".join(str(path) for path in candidates[:3]),
                hint="leave one mask a picture in the folder",
            )
    chosen = tuple(candidates[0] for candidates in found)
    _refuse_shared(chosen, asked)
    return chosen


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


class _Owners:
    """Which pictures a mask may be of, by its name."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.by_key = {pair.key: pair for pair in pairs}
        self.by_stem: dict[str, list[Pair]] = {}
        for pair in pairs:
            for stem in {pair.image.stem, Path(pair.key).name}:
                self.by_stem.setdefault(stem, []).append(pair)

    def of(self, name: str, *, whole: bool) -> list[Pair]:
        """The pictures of the mask called `name`, its path in its folder without a suffix.

        Args:
            whole: it is the picture's name; else it only begins so: a_b_pred is of a_b, and of a where there is
                no a_b.
        """
        stem = name.rpartition("/")[2]
        if whole:
            return [self.by_key[name]] if name in self.by_key else self.by_stem.get(stem, [])
        if stem.endswith("_overlay"):       # what `segformer predict` writes beside a mask
            return []
        while (stem := stem.rpartition("_")[0]) and stem not in self.by_stem:
            pass
        return self.by_stem.get(stem, [])


def _no_masks(
    message: str, first: Pair, folder: Path, lying: Sequence[Path], masks: Sequence[Path]
) -> DataError:
    hint = "predict the missing ones, or score fewer images: --limit N, --split NAME"
    lossy = [path for path in lying if path.suffix.lower() in _LOSSY]
    if lossy and not masks:
        hint = f"{lossy[0].name} is no mask: masks must be lossless, JPEG blurs class ids; save them as PNG"
    where = f"looked for {first.key}.png below {folder}; found {_some(masks or lossy, folder)}"
    return DataError(message, where=where, hint=hint)


def _refuse_shared(masks: Sequence[Path], pairs: Sequence[Pair]) -> None:
    first: dict[Path, Pair] = {}
    for mask, pair in zip(masks, pairs, strict=True):
        if mask in first:
            raise DataError(
                f"{mask.name} could be the mask of {first[mask].key} and of {pair.key}",
                where=str(mask),
                hint="lay the masks in folders as the pictures lie",
            )
        first[mask] = pair


def _some(masks: Sequence[Path], folder: Path) -> str:
    names = [path.relative_to(folder).as_posix() for path in masks[:3]]
    return ", ".join(names) + (f" and {len(masks) - 3} more" if len(masks) > 3 else "") if names else "no masks"
