"""Someone's own images and masks: two folders, split by sub-folders or, where there are none, by name.

The trees accepted, with `masks` under any of its usual names:

    images/train masks/train images/val masks/val      split folders below
    train/images train/masks val/images val/masks      split folders above
    images masks                                        no split: a fifth, chosen by name, is val; or take `all`

Class names come from classes.txt (one a line, in the order of ids); without it they are class_0, class_1 ...
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import default_palette, ignore_index_for, same_name
from segformer_cli.data.pairs import UNKNOWN, Pair, Split, identity_ids
from segformer_cli.errors import DataError
from segformer_cli.images import MASK_SUFFIXES, PICTURE_SUFFIXES, read_mask
from segformer_cli.places import Place, files_below, name_below

NAME = "folder"
NEEDS = "images/ and masks/ (or labels/, annotations/ ...), with train/ and val/ below, above, or not at all"
MASK_FOLDERS = ("masks", "labels", "annotations", "ann_dir", "gt", "SegmentationClass")
IMAGE_FOLDERS = ("images", "img_dir", "JPEGImages")
SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
COMMON_SUFFIXES = ("_mask", "_label", "_labels", "_L", "_gt", "_seg", "_gtFine_labelIds", "_labelTrainIds")
VAL_SHARE = 0.2
WIDEST_GAP = 10
"""Ids in a row, at least, that must be missing for the next one to be taken for a slip."""

ALL = "all"
"""The split that holds every image of a tree without splits."""


def recognises(root: Place) -> bool:
    """Whether `root` holds images and masks in one of the accepted trees."""
    return any(_find(root, split) is not None for split in SPLITS)


def split_names(root: Place) -> list[str]:
    """The splits that lie there; train, val and all where the tree has none."""
    return [split for split in (*SPLITS, ALL) if _find(root, split) is not None]


def open_split(
    root: Place, split: str, image_suffix: str | None = None, mask_suffix: str | None = None
) -> Split:
    """The pairs of one split and the classes found in classes.txt or in the masks.

    Raises:
        DataError: the tree is none of the accepted ones, or pictures lack masks.
    """
    found = _find(root, split)
    if found is None:
        raise DataError(f"no {split!r} images and masks found", where=str(root), hint=f"a folder needs {NEEDS}")
    images, masks, divided = found
    pairs = pair_up(pictures_in(images, image_suffix), images, masks, image_suffix, mask_suffix)
    names, ids, ignore_index = _classes(root, image_suffix, mask_suffix)
    of_all, note = len(pairs), None
    if not divided and split != ALL:
        pairs = _hashed(pairs, split)
        note = f"{len(pairs)} of {of_all} images, chosen by a hash of their names, are {split}; --split all takes all"
    palette = default_palette(len(names))
    return Split(split, root.name, root, names, palette, ignore_index, ids, pairs, note)


def pictures_in(folder: Place, suffix: str | None = None) -> list[Place]:
    """All pictures below a folder, in order of their names."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder.name}", where=str(folder))
    endings = (suffix.lower(),) if suffix else PICTURE_SUFFIXES
    found = (path for path in files_below(folder) if not path.name.startswith("."))
    return sorted((path for path in found if path.name.lower().endswith(endings)), key=str)


def pair_up(
    pictures: Sequence[Place],
    images: Place,
    masks: Place,
    image_suffix: str | None = None,
    mask_suffix: str | None = None,
) -> tuple[Pair, ...]:
    """Each picture with the mask of the same name, give or take the suffixes.

    Raises:
        DataError: a picture has no mask; the message names the first and proposes a suffix that would fit.
    """
    if not pictures:
        ending = image_suffix or ", ".join(PICTURE_SUFFIXES)
        raise DataError("no images found", where=f"{images} (looked for *{ending})", hint="check --image-suffix")
    index = {name_below(path, masks): path for path in _all_masks(masks)}
    pairs = []
    for picture in pictures:
        key = _key(picture, images, image_suffix)
        endings = (mask_suffix,) if mask_suffix else MASK_SUFFIXES
        mask = next((index[f"{key}{ending}"] for ending in endings if f"{key}{ending}" in index), None)
        pairs.append(Pair(key, picture, mask))
    lacking = [pair for pair in pairs if pair.mask is None]
    if lacking:
        raise _no_mask(lacking, pairs, images, masks, index, mask_suffix)
    return tuple(pairs)


def _key(picture: Place, images: Place, suffix: str | None) -> str:
    relative = name_below(picture, images)
    return relative[: -len(suffix)] if suffix else relative[: -len(picture.suffix)]


def _all_masks(folder: Place) -> list[Place]:
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder.name}", where=str(folder))
    return list(files_below(folder))


def _no_mask(
    lacking: list[Pair],
    pairs: list[Pair],
    images: Place,
    masks: Place,
    index: dict[str, Place],
    mask_suffix: str | None,
) -> DataError:
    """What was looked for, what lies there instead, and the suffix that would pair most."""
    first = lacking[0]
    place = str(masks)
    near = sorted(name for name in index if name.startswith(first.key))
    fits = {}
    for ending in (f"{stem}{suffix}" for stem in COMMON_SUFFIXES for suffix in MASK_SUFFIXES):
        fits[ending] = sum(f"{pair.key}{ending}" in index for pair in pairs)
    best = max(fits, key=lambda ending: fits[ending])
    looked = f"{masks.name}/{first.key}{mask_suffix or '{' + ','.join(s[1:] for s in MASK_SUFFIXES) + '}'}"
    looked = looked.replace("{", ".{") if mask_suffix is None else looked
    if near and near[0].lower().endswith((".jpg", ".jpeg")):
        fits[best] = 0
        place = f"{masks} as PNG: JPEG blurs class ids"
    pairing = f"add --mask-suffix {best}   (that would pair {fits[best]} of {len(pairs)})"
    return DataError(
        f"no mask found for {len(lacking)} of {len(pairs)} images (first: {name_below(first.image, images.parent)})",
        where=f"looked for {looked}; found {near[0] if near else 'nothing that begins so'}",
        hint=pairing if fits[best] else f"put masks of the same names into {place}",
    )


def _find(root: Place, split: str) -> tuple[Place, Place, bool] | None:
    """Folders of images and masks of a split, and whether the tree itself divides the splits."""
    for name in SPLITS.get(split, (split,)):
        for images in IMAGE_FOLDERS:
            for masks in MASK_FOLDERS:
                below = (root / images / name, root / masks / name)
                above = (root / name / images, root / name / masks)
                for folders in (below, above):
                    if all(folder.is_dir() for folder in folders):
                        return (*folders, True)
    return _find_undivided(root) if split in ("train", "val", ALL) else None


def _find_undivided(root: Place) -> tuple[Place, Place, bool] | None:
    names = [name for known in SPLITS.values() for name in known]
    for images in IMAGE_FOLDERS:
        for masks in MASK_FOLDERS:
            folders = (root / images, root / masks)
            if all(folder.is_dir() for folder in folders) and not any((root / images / n).is_dir() for n in names):
                return (*folders, False)
    return None


def _hashed(pairs: tuple[Pair, ...], split: str) -> tuple[Pair, ...]:
    """A fifth of the pairs for val, chosen by a hash of the name, so that adding images moves none; at least one."""
    by_hash = sorted(pairs, key=lambda pair: hashlib.sha256(pair.key.encode()).digest())
    limit = int(VAL_SHARE * 2**32)
    val = {
        pair.key
        for pair in by_hash
        if int.from_bytes(hashlib.sha256(pair.key.encode()).digest()[:4], "big") < limit
    }
    if not val or len(val) == len(pairs):
        val = {by_hash[0].key}
    return tuple(pair for pair in pairs if (pair.key in val) == (split == "val"))


def _classes(
    root: Place, image_suffix: str | None, mask_suffix: str | None
) -> tuple[tuple[str, ...], NDArray[np.int32], int]:
    """Class names, id table and ignored id: from classes.txt, else from the ids in the masks of all splits."""
    listed = root / "classes.txt"
    if listed.is_file():
        names = _listed(listed)
        present = _present(root, image_suffix, mask_suffix) if len(names) <= 2 else set()
        # One name for masks of two ids is that of the class, and the rest is background.
        if len(names) == 1 and present in ({0, 1}, {0, 255}):
            names = ("background", *names)
        ignore_index = ignore_index_for(len(names))
        # Of two classes, masks drawn in black and white mean the second by 255, not pixels to ignore.
        if len(names) == 2 and present == {0, 255}:
            return names, _black_and_white(), ignore_index
        return names, identity_ids(len(names), ignore_index), ignore_index
    present = _present(root, image_suffix, mask_suffix)
    if present == {0, 255}:
        return ("background", "foreground"), _black_and_white(), 255
    names, ids, ignore_index = _numbered(present, root)
    if (gap := _gap(present, len(names))) is not None:
        raise _stray_id(root, gap, image_suffix, mask_suffix)
    return names, ids, ignore_index


def _listed(path: Place) -> tuple[str, ...]:
    """The names of a classes.txt, one a line; blank lines are passed over."""
    lines: dict[str, int] = {}
    names = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        name = line.strip()
        if not name:
            continue
        if same_name(name) in lines:
            raise DataError(
                f"{path.name} names {name!r} in line {lines[same_name(name)]} and in line {number}",
                where=str(path),
                hint="each line is a class of its own, the first has the id 0: call them differently",
            )
        lines[same_name(name)] = number
        names.append(name)
    if not names:
        raise DataError(f"{path.name} names no class", where=str(path), hint="write one name a line")
    return tuple(names)


def _black_and_white() -> NDArray[np.int32]:
    """The id table of masks of 0 and 255."""
    ids = np.full(256, UNKNOWN, np.int32)
    ids[0], ids[255] = 0, 1
    return ids


def _present(root: Place, image_suffix: str | None, mask_suffix: str | None) -> set[int]:
    """The ids in the masks of all splits."""
    present: set[int] = set()
    for path in _masks_of_all_splits(root, image_suffix, mask_suffix):
        present.update(np.unique(read_mask(path)).tolist())
    return present


def _masks_of_all_splits(root: Place, image_suffix: str | None, mask_suffix: str | None) -> Iterator[Place]:
    folders = {found[:2] for split in SPLITS if (found := _find(root, split)) is not None}
    for images, masks in sorted(folders, key=str):
        for pair in pair_up(pictures_in(images, image_suffix), images, masks, image_suffix, mask_suffix):
            assert pair.mask is not None
            yield pair.mask


def _gap(present: set[int], num_classes: int) -> tuple[int, int] | None:
    """The first and the last id of a run that never occurs below one that does, too long for ids to mean classes."""
    ids = [-1, *sorted(index for index in present if index < num_classes)]
    width, last = max((b - a - 1, b - 1) for a, b in pairwise(ids))
    return (last - width + 1, last) if width >= WIDEST_GAP and width > len(ids) - 1 else None


def _stray_id(root: Place, gap: tuple[int, int], image_suffix: str | None, mask_suffix: str | None) -> DataError:
    stray = gap[1] + 1
    counts = ((path, read_mask(path)) for path in _masks_of_all_splits(root, image_suffix, mask_suffix))
    path, pixels = next((path, found) for path, mask in counts if (found := int(np.count_nonzero(mask == stray))))
    return DataError(
        f"ids {gap[0]} to {gap[1]} never occur, {stray} occurs in {pixels} pixels of {path.name}",
        where=str(path),
        hint="without classes.txt every id up to the highest is a class: name the classes there, one a line in the "
        "order of their ids, or write 255 where pixels are to be ignored",
    )


def _numbered(present: set[int], root: Place) -> tuple[tuple[str, ...], NDArray[np.int32], int]:
    ignored = 65535 if max(present) > 255 else 255
    counted = present - {ignored}
    if not counted:
        hint = "there is nothing to learn or to score; to go on all the same, name the classes in classes.txt"
        raise DataError("every pixel of every mask is ignored", where=str(root), hint=hint)
    K = max(1, max(counted)) + 1
    ignore_index = ignore_index_for(K)
    return tuple(f"class_{index}" for index in range(K)), identity_ids(K, ignore_index, (ignored,)), ignore_index
