"""Cityscapes with its coarse labels: leftImg8bit/<split>/<city> beside gtCoarse/<split>/<city>/*_labelIds.png."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.file_ids import cityscapes_label_ids
from segformer_cli.data.layouts.pairing import pair_by_name, split_of
from segformer_cli.data.pairs import Pair, Split, identity_ids
from segformer_cli.errors import ImageError
from segformer_cli.images import read_image
from segformer_cli.places import Place

NAME = "cityscapes-coarse"
NEEDS = "leftImg8bit/{train,train_extra,val}/<city>/ and gtCoarse/{train,train_extra,val}/<city>/*_labelIds.png"
SOURCE = "https://www.cityscapes-dataset.com/downloads (gtCoarse.zip, leftImg8bit_trainextra.zip, 44 GB; an account)"
_LABEL_IDS, _TRAIN_IDS = "_gtCoarse_labelIds.png", "_gtCoarse_labelTrainIds.png"
_BROKEN = "troisdorf_000000_000073"
"""A picture of train_extra that is a broken file in some copies of the download."""


def recognises(root: Place) -> bool:
    """Never: without a name, `cityscapes` takes what lies there."""
    return False


def split_names(root: Place) -> list[str]:
    """The splits that have coarse labels."""
    labelled = {folder.name for folder in root.glob("gtCoarse/*") if folder.is_dir()}
    return sorted(folder.name for folder in root.glob("leftImg8bit/*") if folder.is_dir() and folder.name in labelled)


def open_split(root: Place, split: str, data: str = NAME, note: str | None = None) -> Split:
    """The pairs of one split; ids of the masks become the 19 classes, and what is outside of polygons is ignored.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set("cityscapes")
    hint = "unpack gtCoarse.zip beside leftImg8bit"
    images, masks = root / "leftImg8bit" / split, root / "gtCoarse" / split
    pairs, suffix = pair_by_name(images, masks, "*/*_leftImg8bit.png", (_LABEL_IDS, _TRAIN_IDS), hint)
    whole = tuple(pair for pair in pairs if pair.key != _BROKEN or _can_be_read(pair))
    if len(whole) < len(pairs):
        left_out = f"{_BROKEN} is left out, its picture is a broken file"
        note = left_out if note is None else f"{note}; {left_out}"
    ids = cityscapes_label_ids() if suffix == _LABEL_IDS else identity_ids(classes.num_classes, classes.ignore_index)
    return split_of(classes, data, root, split, ids, whole, note)


def _can_be_read(pair: Pair) -> bool:
    try:
        read_image(pair.image)
    except ImageError:
        return False
    return True
