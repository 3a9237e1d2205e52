"""PASCAL VOC 2012, 21 classes: VOCdevkit/VOC2012, its JPEGImages, SegmentationClass and ImageSets/Segmentation.

The augmented set (`trainaug`, 10582 pictures) adds SBD's masks, as SegmentationClassAug or as the .mat files of
VOCaug/dataset/cls beside VOC2012. Where a picture has a mask of SegmentationClassAug, that is taken.
"""

from __future__ import annotations

from dataclasses import replace

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.lacking import LackingMasks, refuse
from segformer_cli.data.layouts.pairing import listed_keys, pair_by_name, refuse_absent, split_of
from segformer_cli.data.matlab import MatlabIds
from segformer_cli.data.pairs import Pair, Split, identity_ids
from segformer_cli.errors import DataError
from segformer_cli.places import Place

NAME = "voc2012"
NEEDS = "VOCdevkit/VOC2012 with JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/{train,val}.txt"
SOURCE = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012 (VOCtrainval_11-May-2012.tar, 2 GB, no account)"

_LISTS = {
    "train": ("train",),
    "val": ("val",),
    "trainval": ("trainval",),
    "trainaug": ("trainaug", "train_aug"),
    "test": ("test",),
}
_MASKS, _AUGMENTED = "SegmentationClass", "SegmentationClassAug"
_AUG_HINT = (
    "the masks of the augmented set lie in SegmentationClassAug: unpack it beside SegmentationClass, or put SBD's "
    "benchmark_RELEASE/dataset into VOCdevkit/VOCaug"
)


def recognises(root: Place) -> bool:
    """Whether `root`, or VOC2012 in it, has lists of pictures to segment, and pictures called as those of VOC are.

    Someone's own data in the folders of VOC is not, nor is VOC2010 with the masks of PASCAL Context.
    """
    home = _home(root)
    if any((home / name).is_file() for name in ("classes.txt", "class_names.txt", "labelmap.txt")):
        return False
    if (home / "SegmentationClassContext").is_dir():
        return False
    if not (home / "ImageSets" / "Segmentation").is_dir() or not _mask_folders(home):
        return False
    return next((home / "JPEGImages").glob("20[01][0-9]_[0-9]*.jpg"), None) is not None


def split_names(root: Place) -> list[str]:
    """The splits that have a list."""
    return [split for split in _LISTS if _list(root, split) is not None]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split, by its list; 255, the border of objects, is ignored; test has no labels.

    Raises:
        DataError: pictures or masks of the list lack; it is that of the augmented set, and the masks are not.
    """
    classes, home = class_set(NAME), _home(root)
    path = _list(root, split)
    if path is None:
        raise DataError(f"there is no list of {split}", where=str(home / "ImageSets" / "Segmentation"))
    keys = listed_keys(path)
    if split == "trainaug":
        pairs = _augmented(home, keys)
    else:
        folders = [] if split == "test" else _mask_folders(home)
        pairs = _paired(home, keys, home / next(iter(folders), "none"))
    refuse_absent(pairs, keys, path, home / "JPEGImages")
    ids = identity_ids(classes.num_classes, classes.ignore_index)
    return split_of(classes, NAME, root, split, ids, pairs, read_ids=MatlabIds("GTcls", ("Segmentation",)))


def _paired(home: Place, keys: tuple[str, ...], masks: Place) -> tuple[Pair, ...]:
    hint = f"if the list is that of the augmented set, call it trainaug.txt; {_AUG_HINT}"
    return pair_by_name(home / "JPEGImages", masks, "*.jpg", (".png",), hint, frozenset(keys))[0]


def _augmented(home: Place, keys: tuple[str, ...]) -> tuple[Pair, ...]:
    """Pictures with the masks of SegmentationClassAug or SBD; VOC's own for pictures that those do not have."""
    masks: dict[str, Place] = {}
    added = [home.absolute().parent / "VOCaug" / "dataset" / "cls", home / _AUGMENTED]
    for folder in (home / _MASKS, *added):
        lying = folder.iterdir() if folder.is_dir() else ()
        masks |= {path.stem: path for path in lying if path.suffix in (".png", ".mat")}
    lacking = [key for key in keys if key not in masks]
    if lacking:
        lies = "" if any(folder.is_dir() for folder in added) else ", SegmentationClassAug is not there"
        error = LackingMasks(
            f"{len(lacking)} of the {len(keys)} pictures of the augmented set have no mask (first: {lacking[0]}){lies}",
            where=f"looked in {home / _AUGMENTED}, {home / _MASKS} and {added[0]}",
            hint=_AUG_HINT,
        )
        refuse(error, len(lacking), len(keys))
    pictures = _paired(home, keys, home / "none")
    return tuple(replace(pair, mask=masks.get(pair.key, home / _AUGMENTED / f"{pair.key}.png")) for pair in pictures)


def _mask_folders(home: Place) -> list[str]:
    return [name for name in (_MASKS, _AUGMENTED) if (home / name).is_dir()]


def _list(root: Place, split: str) -> Place | None:
    paths = (_home(root) / "ImageSets" / "Segmentation" / f"{name}.txt" for name in _LISTS[split])
    return next((path for path in paths if path.is_file()), None)


def _home(root: Place) -> Place:
    """The folder with JPEGImages."""
    inside = (root / "VOC2012", root / "VOCdevkit" / "VOC2012")
    return next((folder for folder in inside if folder.is_dir()), root)
