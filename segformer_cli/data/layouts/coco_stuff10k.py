"""COCO-Stuff 10k, 171 classes: images/*.jpg, annotations/*.mat and imageLists, or as mmsegmentation converts it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.file_ids import counted_from_one
from segformer_cli.data.layouts.pairing import listed_keys, pair_by_name, refuse_absent, split_of
from segformer_cli.data.matlab import MatlabIds
from segformer_cli.data.pairs import UNKNOWN, Split
from segformer_cli.places import Place

NAME = "coco-stuff10k"
NEEDS = "images/*.jpg, annotations/*.mat and imageLists/{train,test}.txt, or {images,annotations}/{train2014,test2014}"
SOURCE = "https://github.com/nightrome/cocostuff10k (cocostuff-10k-v1.1.zip, 2 GB, no account)"
CLASSES = "coco-stuff"
_LISTS = {"train": "train", "val": "test", "test": "test"}
_TRAIN_IDS = "_labelTrainIds.png"
_HINT = "unpack cocostuff-10k-v1.1.zip whole"


def recognises(root: Place) -> bool:
    """Whether `root` has this data set's lists, or mmsegmentation's folders, and its pictures' names."""
    if (root / "imageLists").is_dir():
        return next((root / "images").glob("COCO_train2014_*.jpg"), None) is not None
    return any(
        next((root / "annotations" / f"{name}2014").glob(f"COCO_train2014_*{_TRAIN_IDS}"), None) is not None
        for name in ("train", "test")
        if (root / "annotations" / f"{name}2014").is_dir()
    )


def split_names(root: Place) -> list[str]:
    """The splits that lie there; val and test are the same 1000 pictures, since the data set has no third."""
    return [
        split
        for split, name in _LISTS.items()
        if (root / "imageLists" / f"{name}.txt").is_file() or (root / "images" / f"{name}2014").is_dir()
    ]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split; of the ids 1 to 182, those in use become the 171 classes, 0 is ignored.

    Masks are read from .mat files, from PNG of the same ids, or else from those that mmsegmentation wrote.

    Raises:
        DataError: pictures or masks lack.
    """
    classes = class_set(CLASSES)
    path = root / "imageLists" / f"{_LISTS[split]}.txt"
    if path.is_file() and next((root / "images").glob("*.jpg"), None) is not None:
        keys = listed_keys(path)
        pairs, _ = pair_by_name(
            root / "images", root / "annotations", "*.jpg", (".mat", ".png"), _HINT, frozenset(keys)
        )
        refuse_absent(pairs, keys, path, root / "images")
        ids = file_ids()
    else:
        folder = f"{_LISTS[split]}2014"
        pairs, _ = pair_by_name(root / "images" / folder, root / "annotations" / folder, "*.jpg", (_TRAIN_IDS,), _HINT)
        ids = counted_from_one(classes.num_classes)
    note = "val is the list of test: COCO-Stuff 10k has no other" if split == "val" else None
    return split_of(classes, NAME, root, split, ids, pairs, note, MatlabIds("S"))


def file_ids() -> NDArray[np.int32]:
    """The id table of the masks as downloaded: one more than in COCO-Stuff 164k, and 0 where that has 255."""
    classes = class_set(CLASSES)
    assert classes.id_map is not None
    ids = np.full(256, UNKNOWN, np.int32)
    for file_id, class_id in classes.id_map.items():
        ids[(file_id + 1) % 256] = class_id
    return ids
