"""Someone's own images and masks: two folders, split by sub-folders, by lists of names, or by a hash of the names.

The trees accepted, with `masks` under any of its usual names:

    images/train masks/train images/val masks/val      split folders below
    train/images train/masks val/images val/masks      split folders above
    train train_masks val val_masks                     split folders beside each other
    images masks train.txt val.txt                      names in files, also in ImageSets/Segmentation/ or splits/
    images masks                                        no split: a fifth, chosen by name, is val; or take `all`

The classes stand in a file (see `class_tables`), such as classes.txt with one a line in the order of ids; without one
they are class_0, class_1 ...
"""

from __future__ import annotations

from functools import cache
from itertools import product

from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.matching import pair_up, pictures_in
from segformer_cli.data.layouts.own import ALL, SPLITS, OwnData, open_own
from segformer_cli.data.layouts.split_files import chosen, split_files
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.errors import DataError
from segformer_cli.places import Place

NAME = "folder"
NEEDS = "images/ and masks/ (or labels/, annotations/ ...), with train/ and val/ below, above, or not at all"
MASK_FOLDERS = ("masks", "labels", "annotations", "ann_dir", "gt", "SegmentationClass")
IMAGE_FOLDERS = ("images", "img_dir", "JPEGImages")


def recognises(root: Place) -> bool:
    """Whether `root` holds images and masks in one of the accepted trees."""
    return any(_divided(root, split) is not None for split in SPLITS) or _undivided(root) is not None


def lacks(root: Place) -> str:
    """What is missing in a folder that is not recognised."""
    kinds = {" or ".join(f"{name}/" for name in names): names for names in (IMAGE_FOLDERS, MASK_FOLDERS)}
    missing = [words for words, names in kinds.items() if not any((root / name).is_dir() for name in names)]
    if len(missing) == 1:
        there = next(name for names in kinds.values() for name in names if (root / name).is_dir())
        return f"has {there}/, but no {missing[0]}"
    return f"needs {NEEDS}"


def split_names(root: Place) -> list[str]:
    """The splits that lie there; train, val and all where the tree has none."""
    return _found(root, Bending()).split_names


def open_split(root: Place, split: str, bending: Bending) -> Split:
    """The pairs of one split and the classes found in a file or in the masks.

    Raises:
        DataError: pictures lack masks, or the masks hold no classes.
    """
    return open_own(_found(root, bending), split, bending)


def _found(root: Place, bending: Bending) -> OwnData:
    endings = bending.image_suffix, bending.mask_suffix
    divided = {split: folders for split in SPLITS if (folders := _divided(root, split)) is not None}
    if divided:

        @cache
        def below(split: str) -> tuple[Pair, ...]:
            images, masks = divided[split]
            return pair_up(pictures_in(images, endings[0]), images, masks, *endings)

        return OwnData(root.name, root, tuple(divided), below, (root,))
    whole = _undivided(root)
    if whole is None:
        raise DataError(f"{root.name} is no folder of images and masks", where=str(root), hint=f"it {lacks(root)}")
    images, masks = whole
    files = split_files(root)

    @cache
    def pairs(split: str) -> tuple[Pair, ...]:
        if split in files:
            return chosen(pairs(ALL), files[split])
        return pair_up(pictures_in(images, endings[0]), images, masks, *endings)

    return OwnData(root.name, root, tuple(files), pairs, (root,))


def _divided(root: Place, split: str) -> tuple[Place, Place] | None:
    """The folders of images and masks of a split, where the tree itself divides the splits."""
    # images/val may lie beside masks/validation; those that are called alike come first.
    words = sorted(product(SPLITS[split], repeat=2), key=lambda both: both[0] != both[1])
    for (ours, theirs), masks in product(words, MASK_FOLDERS):
        beside = (root / ours, root / f"{theirs}_{masks}")
        trees = [(root / images / ours, root / masks / theirs) for images in IMAGE_FOLDERS]
        trees += [(root / ours / images, root / theirs / masks) for images in IMAGE_FOLDERS]
        for folders in (*trees, beside):
            if all(folder.is_dir() for folder in folders):
                return folders
    return None


def _undivided(root: Place) -> tuple[Place, Place] | None:
    for images in IMAGE_FOLDERS:
        for masks in MASK_FOLDERS:
            folders = (root / images, root / masks)
            if all(folder.is_dir() for folder in folders):
                return folders
    return None
