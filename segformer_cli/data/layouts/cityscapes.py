"""Cityscapes as downloaded: leftImg8bit/<split>/<city>/*.png beside gtFine/<split>/<city>/*_labelIds.png."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segformer_cli.classes import class_set
from segformer_cli.data.pairs import UNKNOWN, Pair, Split, identity_ids
from segformer_cli.errors import DataError

NAME = "cityscapes"
NEEDS = "leftImg8bit/{train,val,test}/<city>/ and gtFine/{train,val,test}/<city>/*_gtFine_labelIds.png"
_IMAGE = "_leftImg8bit.png"
_LABEL_IDS = "_gtFine_labelIds.png"
_TRAIN_IDS = "_gtFine_labelTrainIds.png"


def recognises(root: Path) -> bool:
    """Whether `root` looks like this data set."""
    return (root / "leftImg8bit").is_dir()


def split_names(root: Path) -> list[str]:
    """The splits that lie there."""
    return sorted(folder.name for folder in (root / "leftImg8bit").iterdir() if folder.is_dir())


def open_split(root: Path, split: str) -> Split:
    """The pairs of one split; ids of the masks become the 19 classes, in memory.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set(NAME)
    images = sorted((root / "leftImg8bit" / split).glob(f"*/*{_IMAGE}"))
    suffix = _LABEL_IDS
    if not any((root / "gtFine" / split).glob(f"*/*{_LABEL_IDS}")):
        suffix = _TRAIN_IDS
    pairs = []
    for image in images:
        key = image.name.removesuffix(_IMAGE)
        mask = root / "gtFine" / split / image.parent.name / f"{key}{suffix}"
        pairs.append(Pair(key, image, mask if mask.is_file() else None))
    _refuse_partly_labelled(pairs, root, split)
    ids = identity_ids(classes.num_classes, classes.ignore_index)
    if suffix == _LABEL_IDS:
        ids = np.full(256, UNKNOWN, np.int32)
        ids[255] = classes.ignore_index         # the licence plate, whose id is -1, in 8-bit files
        assert classes.id_map is not None
        for file_id, class_id in classes.id_map.items():
            ids[file_id] = class_id
    return Split(
        split, NAME, root, classes.class_names, classes.palette, classes.ignore_index, ids, tuple(pairs)
    )


def _refuse_partly_labelled(pairs: list[Pair], root: Path, split: str) -> None:
    lacking = [pair for pair in pairs if pair.mask is None]
    if lacking and len(lacking) < len(pairs):
        raise DataError(
            f"no mask found for {len(lacking)} of {len(pairs)} images (first: {lacking[0].image.relative_to(root)})",
            where=f"looked for gtFine/{split}/<city>/{lacking[0].key}{_LABEL_IDS}",
            hint="unpack gtFine_trainvaltest.zip beside leftImg8bit",
        )
