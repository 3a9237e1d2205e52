"""COCO-Stuff 164k, 171 classes: {images,annotations}/{train2017,val2017}, the masks as in stuffthingmaps."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.pairing import pair_by_name, split_of
from segformer_cli.data.pairs import Split, identity_ids, mapped_ids
from segformer_cli.places import Place

NAME = "coco-stuff164k"
NEEDS = "images/{train2017,val2017}/*.jpg and annotations/{train2017,val2017}/*.png of stuffthingmaps_trainval2017.zip"
SOURCE = (
    "https://github.com/nightrome/cocostuff (train2017.zip, val2017.zip, stuffthingmaps_trainval2017.zip, 20 GB, "
    "no account)"
)
CLASSES = "coco-stuff"
_FOLDERS = {"train": "train2017", "val": "val2017", "test": "test2017"}
_STUFF_IDS = ".png"
_TRAIN_IDS = "_labelTrainIds.png"


def recognises(root: Place) -> bool:
    """Whether `root` looks like this data set: its folders, and pictures named by twelve digits.

    Someone's own classes on pictures of COCO (classes.txt) are not.
    """
    if (root / "classes.txt").is_file():
        return False
    for folder in _FOLDERS.values():
        images, masks = root / "images" / folder, root / "annotations" / folder
        if masks.is_dir() and next(images.glob(f"{'[0-9]' * 12}.jpg"), None) is not None:
            return True
    return False


def split_names(root: Place) -> list[str]:
    """The splits that lie there, as they are called everywhere: train, val, test."""
    return [split for split, folder in _FOLDERS.items() if (root / "images" / folder).is_dir()]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split; the ids in use, 0 to 181, become the 171 classes, 255 is ignored; test has no labels.

    Masks that mmsegmentation wrote as class ids (*_labelTrainIds.png) are read where there are no others.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set(CLASSES)
    folder = _FOLDERS[split]
    hint = "unpack stuffthingmaps_trainval2017.zip into annotations/"
    pairs, suffix = pair_by_name(
        root / "images" / folder, root / "annotations" / folder, "*.jpg", (_STUFF_IDS, _TRAIN_IDS), hint
    )
    ids = mapped_ids(classes) if suffix == _STUFF_IDS else identity_ids(classes.num_classes, classes.ignore_index)
    return split_of(classes, NAME, root, split, ids, pairs)
