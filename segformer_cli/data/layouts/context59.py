"""PASCAL Context, 59 classes: as context60, with its background ignored."""

from __future__ import annotations

from segformer_cli.classes import class_set
from segformer_cli.data.layouts import context60
from segformer_cli.data.layouts.file_ids import counted_from_one
from segformer_cli.data.layouts.pairing import split_of
from segformer_cli.data.pairs import Split
from segformer_cli.places import Place

NAME = "context59"
NEEDS = context60.NEEDS
SOURCE = context60.SOURCE


def recognises(root: Place) -> bool:
    """Whether `root` has the masks of PASCAL Context, of which most papers score these 59 classes."""
    return context60.recognises(root)


def split_names(root: Place) -> list[str]:
    """The splits that have a list."""
    return context60.split_names(root)


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split; ids 1 to 59 become the classes 0 to 58, 0 is ignored.

    Raises:
        DataError: pictures or masks of the list lack.
    """
    classes = class_set(NAME)
    note = "background is ignored; context60:PATH makes it a class"
    ids = counted_from_one(classes.num_classes)
    return split_of(classes, NAME, root, split, ids, context60.pairs_of(root, split), note)
