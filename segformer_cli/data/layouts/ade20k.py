"""ADE20K, 150 classes, as downloaded: ADEChallengeData2016/{images,annotations}/{training,validation}."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.pairing import pair_by_name, split_of
from segformer_cli.data.pairs import Split, mapped_ids
from segformer_cli.places import Place

NAME = "ade20k"
NEEDS = "ADEChallengeData2016 with images/{training,validation}/*.jpg and annotations/{training,validation}/*.png"
SOURCE = "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip (0.9 GB, no account)"
_FOLDER = "ADEChallengeData2016"
_FOLDERS = {"train": "training", "val": "validation", "test": "testing"}


def recognises(root: Place) -> bool:
    """Whether `root`, or ADEChallengeData2016 in it, has this data set's list of objects or names of pictures.

    Someone's own classes on pictures of this data set (classes.txt) are not.
    """
    home = _home(root)
    pictures = [home / "images" / _FOLDERS[split] for split in ("train", "val")]
    if not any(folder.is_dir() for folder in pictures) or (home / "classes.txt").is_file():
        return False
    named = any(next(folder.glob("ADE_*_[0-9]*.jpg"), None) is not None for folder in pictures)
    return named or (home / "objectInfo150.txt").is_file()


def split_names(root: Place) -> list[str]:
    """The splits that lie there, as they are called everywhere: train, val, test."""
    return [split for split in _FOLDERS if _images(root, split).is_dir()]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split; ids 1 to 150 become the classes 0 to 149, 0 is ignored; test has no labels.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set(NAME)
    masks = _home(root) / "annotations" / _FOLDERS[split]
    hint = "unpack ADEChallengeData2016.zip whole: annotations/ lies beside images/"
    pairs, _ = pair_by_name(_images(root, split), masks, "*.jpg", (".png",), hint)
    return split_of(classes, NAME, root, split, mapped_ids(classes), pairs)


def _home(root: Place) -> Place:
    """The folder with images/ and annotations/."""
    return root / _FOLDER if (root / _FOLDER).is_dir() else root


def _images(root: Place, split: str) -> Place:
    """The folder of a split's pictures; those of test are a download of their own, unpacked beside the others."""
    home = _home(root)
    usual = home / "images" / _FOLDERS[split]
    if split == "test" and not usual.is_dir():
        released = [place / "release_test" / "testing" for place in (home, home.absolute().parent)]
        return next((folder for folder in released if folder.is_dir()), usual)
    return usual
