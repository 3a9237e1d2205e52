"""Dark Zurich as downloaded: rgb_anon/<split>/{night,twilight,day}/GOPR*/*.png, gt/<split>/night/GOPR*/*_gt_*.png."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.file_ids import cityscapes_label_ids
from segformer_cli.data.layouts.pairing import pair_by_name, split_of
from segformer_cli.data.pairs import Split, identity_ids
from segformer_cli.places import Place

NAME = "dark-zurich"
NEEDS = "rgb_anon/val/night/GOPR*/*_rgb_anon.png and gt/val/night/GOPR*/*_gt_labelTrainIds.png"
SOURCE = "https://www.trace.ethz.ch/publications/2019/GCMA_UIoU (Dark_Zurich_val_anon.zip, no account)"
_SPLITS = ("train", "val", "val_ref", "test")
_TRAIN_IDS, _LABEL_IDS = "_gt_labelTrainIds.png", "_gt_labelIds.png"


def recognises(root: Place) -> bool:
    """Whether `root` looks like this data set: where ACDC has its conditions, it has its splits."""
    return any((root / "rgb_anon" / split).is_dir() for split in _SPLITS)


def split_names(root: Place) -> list[str]:
    """The splits that lie there; of those, val has labels."""
    return [split for split in _SPLITS if (root / "rgb_anon" / split).is_dir()]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split, in the classes of Cityscapes.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set("cityscapes")
    images, masks = root / "rgb_anon" / split, root / "gt" / split
    hint = "unpack Dark_Zurich_val_anon.zip whole: gt/ lies beside rgb_anon/"
    pairs, suffix = pair_by_name(images, masks, "*/*/*_rgb_anon.png", (_TRAIN_IDS, _LABEL_IDS), hint)
    ids = identity_ids(classes.num_classes, classes.ignore_index)
    return split_of(classes, NAME, root, split, cityscapes_label_ids() if suffix == _LABEL_IDS else ids, pairs)
