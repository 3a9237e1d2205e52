"""CamVid, 11 classes and void: <split>/{images,labels}, or the SegNet tree <split> beside <split>annot."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.folder import pair_up, pictures_in
from segformer_cli.data.pairs import Split, identity_ids
from segformer_cli.places import Place

NAME = "camvid"
NEEDS = "{train,val,test}/{images,labels}, or the SegNet copy's {train,val,test} and {train,val,test}annot"
VOID = 11
_SPLITS = ("train", "val", "test")


def recognises(root: Place) -> bool:
    """Whether `root` looks like this data set: SegNet's folder names, or a tree whose folder is called camvid."""
    if all((root / f"{split}annot").is_dir() for split in _SPLITS[:2]):
        return True
    return root.name.lower() == NAME and all((root / split / "labels").is_dir() for split in _SPLITS[:2])


def split_names(root: Place) -> list[str]:
    """The splits that lie there."""
    return [split for split in _SPLITS if (root / split).is_dir()]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split, by equal stems; id 11 (void) is ignored.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set(NAME)
    if (root / split / "images").is_dir():
        images, masks = root / split / "images", root / split / "labels"
    else:
        images, masks = root / split, root / f"{split}annot"
    pairs = pair_up(pictures_in(images), images, masks)
    ids = identity_ids(classes.num_classes, classes.ignore_index, ignored=(VOID,))
    return Split(
        split, NAME, root, classes.class_names, classes.palette, classes.ignore_index, ids, pairs
    )
