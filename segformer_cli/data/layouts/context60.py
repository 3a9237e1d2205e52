"""PASCAL Context, 59 classes and background: VOC2010, SegmentationClassContext and ImageSets/SegmentationContext."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.pairing import listed_keys, pair_by_name, refuse_absent, split_of
from segformer_cli.data.pairs import Pair, Split, identity_ids
from segformer_cli.errors import DataError
from segformer_cli.places import Place

NAME = "context60"
NEEDS = "VOCdevkit/VOC2010: JPEGImages/, SegmentationClassContext/ and ImageSets/SegmentationContext/{train,val}.txt"
SOURCE = (
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2010 (pictures) and trainval_merged.json, of which mmsegmentation's "
    "tools/dataset_converters/pascal_context.py makes the masks"
)
_SPLITS = ("train", "val")


def recognises(root: Place) -> bool:
    """Whether `root`, or VOC2010 in it, has the masks of this data set."""
    return (home(root) / "SegmentationClassContext").is_dir()


def split_names(root: Place) -> list[str]:
    """The splits that have a list."""
    return [split for split in _SPLITS if (home(root) / "ImageSets" / "SegmentationContext" / f"{split}.txt").is_file()]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split, by its list; 0 is background, a class like the others.

    Raises:
        DataError: pictures or masks of the list lack.
    """
    classes = class_set(NAME)
    ids = identity_ids(classes.num_classes, classes.ignore_index)
    return split_of(classes, NAME, root, split, ids, pairs_of(root, split))


def pairs_of(root: Place, split: str) -> tuple[Pair, ...]:
    """The pairs of one split, whatever their ids mean.

    Raises:
        DataError: pictures or masks of the list lack.
    """
    images, masks = home(root) / "JPEGImages", home(root) / "SegmentationClassContext"
    hint = "make the masks of trainval_merged.json, by mmsegmentation's tools/dataset_converters/pascal_context.py"
    if not masks.is_dir():
        raise DataError("there is no folder SegmentationClassContext", where=str(masks), hint=hint)
    path = home(root) / "ImageSets" / "SegmentationContext" / f"{split}.txt"
    keys = listed_keys(path)
    pairs, _ = pair_by_name(images, masks, "*.jpg", (".png",), hint, frozenset(keys))
    refuse_absent(pairs, keys, path, images)
    return pairs


def home(root: Place) -> Place:
    """The folder with JPEGImages."""
    inside = (root / "VOC2010", root / "VOCdevkit" / "VOC2010")
    return next((folder for folder in inside if folder.is_dir()), root)
