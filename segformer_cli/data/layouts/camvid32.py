"""CamVid in its original classes, 31 and void: the frames of 701_StillsRaw_full, fastai's copy, or that of Kaggle.

    701_StillsRaw_full/*.png  LabeledApproved_full/*_L.png              drawn in colours
    images/*.png  labels/*_P.png  codes.txt  valid.txt                  ids, as fastai has it
    {train,val,test}/*.png  {train,val,test}_labels/*_L.png             drawn in colours, as Kaggle has it
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import ClassSet, class_set, same_name
from segformer_cli.data.colours import ColourTable
from segformer_cli.data.layouts.pairing import listed_keys, pair_by_name, split_of
from segformer_cli.data.pairs import UNKNOWN, Pair, Split
from segformer_cli.errors import DataError
from segformer_cli.places import Place

NAME = "camvid32"
NEEDS = "701_StillsRaw_full/ and LabeledApproved_full/*_L.png, images/ and labels/*_P.png, or train/ and train_labels/"
SOURCE = "http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid (701 frames and their labels, 0.6 GB, no account)"
VOID = "Void"
VOID_COLOUR = (0, 0, 0)
_FRAMES, _LABELS = "701_StillsRaw_full", "LabeledApproved_full"
_SPLITS = ("train", "val", "test")


def recognises(root: Place) -> bool:
    """Whether `root` has the labels of this data set: by their folder, or by names that end in _L or _P."""
    if (root / _LABELS).is_dir():
        return True
    coloured = any((root / f"{split}_labels").is_dir() for split in _SPLITS)
    if coloured and any(next((root / f"{split}_labels").glob("*_L.png"), None) is not None for split in _SPLITS):
        return True
    return (root / "images").is_dir() and next((root / "labels").glob("*_P.png"), None) is not None


def split_names(root: Place) -> list[str]:
    """The splits that lie there; where the frames are not divided, those of SegNet's copy."""
    if (root / "valid.txt").is_file() and (root / "images").is_dir():
        return ["train", "val"]
    if (root / _FRAMES).is_dir() or (root / "images").is_dir():
        return list(_SPLITS)
    return [split for split in _SPLITS if (root / split).is_dir()]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split; void is ignored.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set(NAME)
    return open_grouped(root, split, NAME, classes, {name: index for index, name in enumerate(classes.class_names)})


def open_grouped(root: Place, split: str, data: str, classes: ClassSet, meaning: Mapping[str, int]) -> Split:
    """The pairs of one split in the classes that `meaning` makes of the 31 original ones; void is ignored.

    Raises:
        DataError: pictures lack masks, or codes.txt is not that of this data set.
    """
    original = class_set(NAME)
    pairs, note = _pairs(root, split)
    if (root / "labels").is_dir():
        return split_of(classes, data, root, split, _meanings(_codes(root), classes, meaning), pairs, note)
    reader = ColourTable(original.palette, (VOID_COLOUR,), original.class_names)
    ids = _meanings(original.class_names, classes, meaning)
    ids[reader.ignore_index] = classes.ignore_index
    return split_of(classes, data, root, split, ids, pairs, note, reader)


def _pairs(root: Place, split: str) -> tuple[tuple[Pair, ...], str | None]:
    """The pairs of one split, and by what the frames were divided if not by folders."""
    hint = "unpack pictures and labels of CamVid into one folder"
    if (root / f"{split}_labels").is_dir() or (root / split).is_dir():
        return pair_by_name(root / split, root / f"{split}_labels", "*.png", ("_L.png",), hint)[0], None
    if (root / "labels").is_dir():
        pairs, _ = pair_by_name(root / "images", root / "labels", "*.png", ("_P.png",), hint)
    else:
        pairs, _ = pair_by_name(root / _FRAMES, root / _LABELS, "*.png", ("_L.png",), hint)
    listed = root / "valid.txt"
    if (root / "labels").is_dir() and listed.is_file():
        keys = set(listed_keys(listed))
        return tuple(pair for pair in pairs if (pair.key in keys) == (split == "val")), "divided by valid.txt"
    return tuple(pair for pair in pairs if _segnet_split(pair.key) == split), "divided as SegNet's copy is"


def _segnet_split(key: str) -> str:
    """The split in which SegNet's copy has a frame: 367 to train on, 101 to validate on, 233 to test on.

    >>> [_segnet_split(key) for key in ("0006R0_f00930", "0016E5_08001", "0001TP_008550", "Seq05VD_f00000")]
    ['train', 'val', 'test', 'test']
    """
    found = re.match(r"(0001TP|0016E5|Seq05VD)_f?(\d+)", key)
    sequence, frame = (found[1], int(found[2])) if found else ("", 0)
    if sequence == "Seq05VD" or (sequence == "0001TP" and frame >= 8550):
        return "test"
    return "val" if sequence == "0016E5" and 7959 <= frame <= 8159 else "train"


def _codes(root: Place) -> tuple[str, ...]:
    """What the ids of the masks mean, in their order: codes.txt, else the alphabet."""
    path = root / "codes.txt"
    original = class_set(NAME)
    assert original.id_map is not None
    if not path.is_file():
        names = dict(enumerate(original.class_names))
        return tuple(names.get(original.id_map[index], VOID) for index in sorted(original.id_map))
    spelt = {same_name(name): name for name in (*original.class_names, VOID)}
    listed = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    strangers = [name for name in listed if same_name(name) not in spelt]
    if strangers:
        raise DataError(
            f"codes.txt names {strangers[0]!r}, which is no class of CamVid",
            where=str(path),
            hint=f"if the classes are your own: -d folder:{root}, with the names in classes.txt",
        )
    return tuple(spelt[same_name(name)] for name in listed)


def _meanings(codes: tuple[str, ...], classes: ClassSet, meaning: Mapping[str, int]) -> NDArray[np.int32]:
    """The id table of masks whose ids mean these names."""
    ids = np.full(256, UNKNOWN, np.int32)
    for index, name in enumerate(codes):
        ids[index] = classes.ignore_index if name == VOID else meaning[name]
    return ids
