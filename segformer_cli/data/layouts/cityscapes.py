"""Cityscapes as downloaded: leftImg8bit/<split>/<city>/*.png beside gtFine/<split>/<city>/*_labelIds.png."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.pairing import pair_by_name
from segformer_cli.data.pairs import Split, identity_ids, mapped_ids
from segformer_cli.places import Place

NAME = "cityscapes"
NEEDS = "leftImg8bit/{train,val,test}/<city>/ and gtFine/{train,val,test}/<city>/*_gtFine_labelIds.png"
_IMAGES = "*/*_leftImg8bit.png"
_LABEL_IDS = "_gtFine_labelIds.png"
_TRAIN_IDS = "_gtFine_labelTrainIds.png"


def recognises(root: Place) -> bool:
    """Whether `root` looks like this data set."""
    return (root / "leftImg8bit").is_dir()


def split_names(root: Place) -> list[str]:
    """The splits that lie there."""
    return sorted(folder.name for folder in root.glob("leftImg8bit/*") if folder.is_dir())


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split; ids of the masks become the 19 classes, in memory.

    The download's test masks hold ignored ids alone; without gtFine/test that split is unlabelled.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set(NAME)
    hint = "unpack gtFine_trainvaltest.zip beside leftImg8bit"
    images, masks = root / "leftImg8bit" / split, root / "gtFine" / split
    pairs, suffix = pair_by_name(images, masks, _IMAGES, (_LABEL_IDS, _TRAIN_IDS), hint)
    ids = identity_ids(classes.num_classes, classes.ignore_index)
    if suffix == _LABEL_IDS:
        ids = mapped_ids(classes)
        ids[255] = classes.ignore_index         # the licence plate, whose id is -1, in 8-bit files
    return Split(split, NAME, root, classes.class_names, classes.palette, classes.ignore_index, ids, pairs)
