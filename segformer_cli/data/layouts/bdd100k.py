"""BDD100K, semantic segmentation: images/10k/<split> beside labels/sem_seg/masks/<split>, or seg/{images,labels}."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.pairing import pair_by_name, split_of
from segformer_cli.data.pairs import Split, identity_ids
from segformer_cli.places import Place

NAME = "bdd100k"
NEEDS = "images/10k/{train,val}/*.jpg and labels/sem_seg/masks/{train,val}/*.png, or seg/images and seg/labels"
SOURCE = "http://bdd-data.berkeley.edu (10K Images and Segmentation; an account)"
_SPLITS = ("train", "val", "test")
_TREES = (
    ("images/10k", "labels/sem_seg/masks"),
    ("bdd100k/images/10k", "bdd100k/labels/sem_seg/masks"),
    ("seg/images", "seg/labels"),
    ("bdd100k/seg/images", "bdd100k/seg/labels"),
)
_SUFFIXES = ("_train_id.png", ".png")


def recognises(root: Place) -> bool:
    """Whether `root` looks like this data set; of the tree with seg/ the masks are asked for their names."""
    folders = _folders(root)
    if folders is None:
        return False
    images, masks = folders
    named = (next((masks / split).glob("*_train_id.png"), None) for split in _SPLITS if (masks / split).is_dir())
    return images.name == "10k" or any(path is not None for path in named)


def split_names(root: Place) -> list[str]:
    """The splits that lie there."""
    folders = _folders(root)
    return [] if folders is None else [split for split in _SPLITS if (folders[0] / split).is_dir()]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split; the masks hold the class ids of Cityscapes, 255 is ignored; test has no labels.

    Raises:
        DataError: pictures lack masks.
    """
    classes, folders = class_set("cityscapes"), _folders(root)
    assert folders is not None                  # without them there is no split to open
    images, masks = folders
    hint = "unpack bdd100k_sem_seg_labels_trainval.zip and bdd100k_images_10k.zip into one folder"
    pairs, _ = pair_by_name(images / split, masks / split, "*.jpg", _SUFFIXES, hint)
    return split_of(classes, NAME, root, split, identity_ids(classes.num_classes, classes.ignore_index), pairs)


def _folders(root: Place) -> tuple[Place, Place] | None:
    """Where pictures and masks lie."""
    for images, masks in _TREES:
        if (root / images).is_dir():
            return root / images, root / masks
    return None
