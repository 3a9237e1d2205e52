"""KITTI, semantic segmentation (2015): training/image_2/*.png beside training/semantic/*.png, ids of Cityscapes."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.file_ids import cityscapes_label_ids
from segformer_cli.data.layouts.pairing import pair_by_name, split_of
from segformer_cli.data.pairs import Split
from segformer_cli.places import Place

NAME = "kitti"
NEEDS = "data_semantics with training/image_2/*_10.png and training/semantic/*_10.png"
SOURCE = "https://www.cvlibs.net/datasets/kitti/eval_semseg.php?benchmark=semantics2015 (data_semantics.zip, 313 MB)"
_FOLDERS = {"train": "training", "test": "testing"}


def recognises(root: Place) -> bool:
    """Whether `root`, or data_semantics in it, has this data set's folders."""
    home = _home(root) / "training"
    return (home / "image_2").is_dir() and (home / "semantic").is_dir()


def split_names(root: Place) -> list[str]:
    """The splits that lie there: train, all 200 labelled pictures, and test; the data set has no other."""
    return [split for split, folder in _FOLDERS.items() if (_home(root) / folder / "image_2").is_dir()]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split; ids of the masks become the 19 classes of Cityscapes; test has no labels.

    Raises:
        DataError: pictures lack masks.
    """
    folder = _home(root) / _FOLDERS[split]
    hint = "unpack data_semantics.zip whole"
    pairs, _ = pair_by_name(folder / "image_2", folder / "semantic", "*.png", (".png",), hint)
    return split_of(class_set("cityscapes"), NAME, root, split, cityscapes_label_ids(), pairs)


def _home(root: Place) -> Place:
    """The folder with training/."""
    return root / "data_semantics" if (root / "data_semantics").is_dir() else root
