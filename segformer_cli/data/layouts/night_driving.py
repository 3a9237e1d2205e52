"""Nighttime Driving, 50 pictures to test on: leftImg8bit/test/night beside gtCoarse_daytime_trainvaltest/test/night."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.file_ids import cityscapes_label_ids
from segformer_cli.data.layouts.pairing import pair_by_name, split_of
from segformer_cli.data.pairs import Split, identity_ids
from segformer_cli.places import Place

NAME = "night-driving"
NEEDS = "leftImg8bit/test/night/*.png and gtCoarse_daytime_trainvaltest/test/night/*_gtCoarse_labelTrainIds.png"
SOURCE = "http://data.vision.ee.ethz.ch/daid/NighttimeDriving/NighttimeDrivingTest.zip (no account)"
_LABELS = "gtCoarse_daytime_trainvaltest"
_TRAIN_IDS, _LABEL_IDS = "_gtCoarse_labelTrainIds.png", "_gtCoarse_labelIds.png"


def recognises(root: Place) -> bool:
    """Whether `root` looks like this data set; its pictures lie as those of Cityscapes."""
    return (root / _LABELS).is_dir()


def split_names(root: Place) -> list[str]:
    """The splits that lie there: test."""
    return ["test"] if (root / "leftImg8bit" / "test").is_dir() else []


def open_split(root: Place, split: str) -> Split:
    """The pairs of the one split, in the classes of Cityscapes.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set("cityscapes")
    images, masks = root / "leftImg8bit" / split, root / _LABELS / split
    hint = "unpack NighttimeDrivingTest.zip whole"
    pairs, suffix = pair_by_name(images, masks, "*/*_leftImg8bit.png", (_TRAIN_IDS, _LABEL_IDS), hint)
    ids = identity_ids(classes.num_classes, classes.ignore_index)
    return split_of(classes, NAME, root, split, cityscapes_label_ids() if suffix == _LABEL_IDS else ids, pairs)
