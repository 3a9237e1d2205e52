"""What the aerial pictures of Potsdam and Vaihingen share: colours of labels, borders, mmsegmentation's tiles."""

from __future__ import annotations

import re

from segformer_cli.classes import class_set
from segformer_cli.data.colours import ColourTable
from segformer_cli.data.layouts.file_ids import counted_from_one
from segformer_cli.data.layouts.pairing import pair_by_name, split_of
from segformer_cli.data.pairs import Pair, Split, identity_ids
from segformer_cli.places import Place

BORDER = (0, 0, 0)
"""What is black in a label lies within three pixels of a border between classes, and is not scored."""


def open_tiles(
    data: str, root: Place, split: str, pairs: tuple[Pair, ...], note: str | None, careless: int = 0
) -> Split:
    """The split of whole tiles, whose labels are drawn in colours; a channel may be off by `careless`."""
    classes = class_set(data)
    reader = ColourTable(classes.palette, (BORDER,), classes.class_names, careless)
    ids = identity_ids(classes.num_classes, classes.ignore_index)
    return split_of(classes, data, root, split, ids, pairs, note, reader)


def first_with(root: Place, folders: tuple[str, ...], pattern: str) -> Place | None:
    """The first of some folders in which files match, or one of the same name within it, as zip files unpack."""
    places = (place for name in folders for place in (root / name, root / name / name))
    return next((place for place in places if place.is_dir() and next(place.glob(pattern), None) is not None), None)


def is_converted(root: Place, name: str) -> bool:
    """Whether `root` holds the tiles that mmsegmentation cuts, called as those of this data set, and not as one's own.

    Args:
        name: the pattern of a tile's name.
    """
    if (root / "classes.txt").is_file():
        return False
    for split in converted_splits(root):
        for path in (root / "img_dir" / split).glob("*.png"):
            return re.fullmatch(name + r"(_\d+){4}", path.stem) is not None
    return False


def converted_splits(root: Place) -> list[str]:
    """The splits of mmsegmentation's tiles."""
    return [split for split in ("train", "val", "test") if (root / "img_dir" / split).is_dir()]


def open_converted(data: str, root: Place, split: str) -> Split:
    """A split of mmsegmentation's tiles: ids 1 to 6 become the classes 0 to 5, 0 (the borders) is ignored.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set(data)
    hint = f"convert the labels too, by mmsegmentation's tools/dataset_converters/{data}.py"
    pairs, _ = pair_by_name(root / "img_dir" / split, root / "ann_dir" / split, "*.png", (".png",), hint)
    return split_of(classes, data, root, split, counted_from_one(classes.num_classes), pairs)
