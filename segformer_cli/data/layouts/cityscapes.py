"""Cityscapes as downloaded: leftImg8bit/<split>/<city>/*.png beside gtFine/<split>/<city>/*_labelIds.png."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts import cityscapes_coarse
from segformer_cli.data.layouts.file_ids import cityscapes_label_ids
from segformer_cli.data.layouts.pairing import pair_by_name, split_of
from segformer_cli.data.pairs import Split, identity_ids
from segformer_cli.places import Place

NAME = "cityscapes"
NEEDS = "leftImg8bit/{train,val,test}/<city>/ and gtFine/{train,val,test}/<city>/*_gtFine_labelIds.png"
SOURCE = (
    "https://www.cityscapes-dataset.com/downloads (leftImg8bit_trainvaltest.zip, 11 GB, gtFine_trainvaltest.zip; "
    "an account)"
)
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

    The download's test masks hold ignored ids alone; without gtFine/test that split is unlabelled. Where a split has
    coarse labels alone, as train_extra, those are taken.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set(NAME)
    hint = "unpack gtFine_trainvaltest.zip beside leftImg8bit"
    images, masks = root / "leftImg8bit" / split, root / "gtFine" / split
    if not masks.is_dir() and (root / "gtCoarse" / split).is_dir():
        note = f"gtFine has no {split}: the coarse labels of gtCoarse are taken"
        return cityscapes_coarse.open_split(root, split, NAME, note)
    pairs, suffix = pair_by_name(images, masks, _IMAGES, (_LABEL_IDS, _TRAIN_IDS), hint)
    ids = cityscapes_label_ids() if suffix == _LABEL_IDS else identity_ids(classes.num_classes, classes.ignore_index)
    return split_of(classes, NAME, root, split, ids, pairs)
