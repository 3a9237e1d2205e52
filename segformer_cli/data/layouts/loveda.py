"""LoveDA, 7 classes: {Train,Val,Test}/{Rural,Urban}/{images_png,masks_png}, or mmsegmentation's img_dir and ann_dir."""

from __future__ import annotations

from dataclasses import replace

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.file_ids import counted_from_one
from segformer_cli.data.layouts.pairing import pair_by_name, split_of
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.errors import DataError
from segformer_cli.places import Place

NAME = "loveda"
NEEDS = "{Train,Val,Test}/{Rural,Urban}/{images_png,masks_png}/*.png, or {img_dir,ann_dir}/{train,val,test}/*.png"
SOURCE = "https://zenodo.org/records/5706578 (Train.zip, Val.zip, Test.zip, 10 GB, no account)"
_FOLDERS = {"train": "Train", "val": "Val", "test": "Test"}
_REGIONS = ("Rural", "Urban")
_HINT = "unpack Train.zip and Val.zip whole"


def recognises(root: Place) -> bool:
    """Whether `root` has this data set's folders, or those of mmsegmentation's copy and the name loveda."""
    if any((root / folder / region / "images_png").is_dir() for folder in _FOLDERS.values() for region in _REGIONS):
        return True
    return root.name.lower() == NAME and (root / "img_dir").is_dir() and (root / "ann_dir").is_dir()


def split_names(root: Place) -> list[str]:
    """The splits that lie there, as they are called everywhere: train, val, test."""
    return [
        split
        for split, folder in _FOLDERS.items()
        if (root / "img_dir" / split).is_dir() or any((root / folder / region).is_dir() for region in _REGIONS)
    ]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split; ids 1 to 7 become the classes 0 to 6, 0 (no data) is ignored; test has no labels.

    Raises:
        DataError: pictures lack masks.
    """
    if (root / "img_dir" / split).is_dir():
        pairs, _ = pair_by_name(root / "img_dir" / split, root / "ann_dir" / split, "*.png", (".png",), _HINT)
    else:
        pairs = _of_regions(root / _FOLDERS[split])
    classes = class_set(NAME)
    return split_of(classes, NAME, root, split, counted_from_one(classes.num_classes), pairs)


def _of_regions(folder: Place) -> tuple[Pair, ...]:
    """Pictures of both regions; the number that names one of them names none of the other."""
    pairs: list[Pair] = []
    for region in (folder / name for name in _REGIONS if (folder / name).is_dir()):
        found, _ = pair_by_name(region / "images_png", region / "masks_png", "*.png", (".png",), _HINT)
        pairs += [replace(pair, key=f"{region.name}/{pair.key}") for pair in found]
    without = [pair for pair in pairs if pair.mask is None]
    if 0 < len(without) < len(pairs):
        raise DataError(
            f"no mask found for {len(without)} of {len(pairs)} images (first: {without[0].key})",
            where=str(folder),
            hint=_HINT,
        )
    return tuple(pairs)
