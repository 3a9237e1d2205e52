"""SBD, the Semantic Boundaries Dataset, in the 21 classes of VOC: dataset/{img,cls,inst}, masks in .mat files."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.pairing import listed_keys, pair_by_name, refuse_absent, split_of
from segformer_cli.data.matlab import MatlabIds
from segformer_cli.data.pairs import Split, identity_ids
from segformer_cli.places import Place

NAME = "sbd"
NEEDS = "benchmark_RELEASE/dataset with img/*.jpg, cls/*.mat and {train,val,train_noval}.txt"
SOURCE = "http://home.bharathh.info/pubs/codes/SBD/download.html (benchmark.tgz, 1.4 GB, no account; unpack it)"
_SPLITS = ("train", "val", "train_noval")


def recognises(root: Place) -> bool:
    """Whether `root`, or the dataset in it, has this data set's folders."""
    home = _home(root)
    return (home / "img").is_dir() and next((home / "cls").glob("*.mat"), None) is not None


def split_names(root: Place) -> list[str]:
    """The splits that have a list; train_noval is without the pictures that VOC 2012 validates on."""
    return [split for split in _SPLITS if (_home(root) / f"{split}.txt").is_file()]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split, by its list; the masks mark no border, so nothing in them is ignored.

    Raises:
        DataError: pictures or masks of the list lack.
    """
    classes, home = class_set("voc2012"), _home(root)
    keys = listed_keys(home / f"{split}.txt")
    hint = "unpack benchmark.tgz whole"
    pairs, _ = pair_by_name(home / "img", home / "cls", "*.jpg", (".mat",), hint, frozenset(keys))
    refuse_absent(pairs, keys, home / f"{split}.txt", home / "img")
    note = "some of these pictures VOC 2012 validates on; train_noval is without them" if split == "train" else None
    ids = identity_ids(classes.num_classes, classes.ignore_index)
    return split_of(classes, NAME, root, split, ids, pairs, note, MatlabIds("GTcls", ("Segmentation",)))


def _home(root: Place) -> Place:
    """The folder with img and cls."""
    inside = (root / "dataset", root / "benchmark_RELEASE" / "dataset")
    return next((folder for folder in inside if (folder / "img").is_dir()), root)
