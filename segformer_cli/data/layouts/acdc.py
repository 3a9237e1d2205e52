"""ACDC as downloaded: rgb_anon/<condition>/<split>/GOPR*/*.png beside gt/<condition>/<split>/GOPR*/*_gt_*.png."""

from __future__ import annotations

from dataclasses import replace

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.file_ids import cityscapes_label_ids
from segformer_cli.data.layouts.pairing import pair_by_name, split_of
from segformer_cli.data.pairs import Pair, Split, identity_ids
from segformer_cli.errors import DataError
from segformer_cli.places import Place

NAME = "acdc"
NEEDS = "rgb_anon/{fog,night,rain,snow}/{train,val,test}/ and gt/{fog,night,rain,snow}/{train,val,test}/"
SOURCE = "https://acdc.vision.ee.ethz.ch (rgb_anon_trainvaltest.zip, 15 GB, gt_trainval.zip; an account)"
CONDITIONS = "^(fog|night|rain|snow)/"
"""What of a picture's key names its condition: results are reported for each."""

_IMAGES = "*/*_rgb_anon.png"
_LABEL_IDS = "_gt_labelIds.png"
_TRAIN_IDS = "_gt_labelTrainIds.png"


def recognises(root: Place) -> bool:
    """Whether `root` looks like this data set: where Dark Zurich has its splits, it has its conditions."""
    return any((root / "rgb_anon" / condition).is_dir() for condition in ("fog", "night", "rain", "snow"))


def split_names(root: Place) -> list[str]:
    """The splits that lie there, in any condition."""
    return sorted({folder.name for folder in root.glob("rgb_anon/*/*") if folder.is_dir()} & {"train", "val", "test"})


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split under all conditions; the masks have the ids of Cityscapes.

    Raises:
        DataError: pictures lack masks, or conditions have masks of different kinds.
    """
    classes = class_set("cityscapes")
    pairs: list[Pair] = []
    suffixes = {}
    for condition in sorted(folder.name for folder in (root / "rgb_anon").iterdir() if folder.is_dir()):
        images, masks = root / "rgb_anon" / condition / split, root / "gt" / condition / split
        found, suffix = pair_by_name(
            images, masks, _IMAGES, (_TRAIN_IDS, _LABEL_IDS), "unpack gt_trainval.zip beside rgb_anon"
        )
        pairs += [replace(pair, key=f"{condition}/{pair.key}") for pair in found]
        if found:
            suffixes[condition] = suffix if found[0].mask is not None else "no masks"
    if len(set(suffixes.values())) > 1:
        raise DataError(
            "the conditions have masks of different kinds: "
            + ", ".join(f"{condition} {suffix.strip('_')}" for condition, suffix in suffixes.items()),
            where=str(root / "gt"),
            hint="unpack gt_trainval.zip beside rgb_anon",
        )
    ids = identity_ids(classes.num_classes, classes.ignore_index)
    if _LABEL_IDS in suffixes.values():
        ids = cityscapes_label_ids()
    return split_of(classes, NAME, root, split, ids, pairs)
