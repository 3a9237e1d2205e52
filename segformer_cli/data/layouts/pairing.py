"""The pictures of one split of a published data set, each with the mask that bears its name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import ClassSet
from segformer_cli.data.layouts.lacking import LackingMasks, refuse
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.errors import DataError
from segformer_cli.images import Ids, read_mask
from segformer_cli.places import Place, name_below


def pair_by_name(
    images: Place,
    masks: Place,
    pattern: str,
    suffixes: Sequence[str],
    hint: str,
    keys: Container[str] | None = None,
) -> tuple[tuple[Pair, ...], str]:
    """The pairs of a split in order of their paths, and the suffix that their masks have.

    Where no mask lies at all, the split is unlabelled: each pair's mask is None, the suffix the first.

    Args:
        images: the folder of the split's pictures.
        masks: the folder of its masks, with the same sub-folders; it may be absent.
        pattern: of the pictures below `images`; what follows its last star is cut off to get the key.
        suffixes: what may follow the key in a mask's name; the first that any mask has is taken for all.
        hint: the way out where masks are missing.
        keys: those of the pictures that belong to the split, where a folder holds more than one; None takes all.

    Raises:
        DataError: some pictures lack masks, or files lie there and none is a mask of these pictures.
    """
    ending = pattern.rpartition("*")[2]
    pictures = sorted(path for path in images.glob(pattern) if not path.name.startswith("."))
    if keys is not None:
        pictures = [path for path in pictures if path.name.removesuffix(ending) in keys]
    # One listing a folder: asking for each of 118287 masks takes minutes on a network disk.
    lying = {folder: _names(masks / name_below(folder, images)) for folder in {path.parent for path in pictures}}
    suffix = next((s for s in suffixes if any(_mask_name(p, ending, s) in lying[p.parent] for p in pictures)), None)
    wanted = suffix or suffixes[0]
    pairs, lacking = [], []
    for picture in pictures:
        name = _mask_name(picture, ending, wanted)
        mask = masks / name_below(picture.parent, images) / name
        lacking += [] if name in lying[picture.parent] else [picture]
        pairs.append(Pair(picture.name.removesuffix(ending), picture, mask))
    if not any(lying.values()):
        return tuple(replace(pair, mask=None) for pair in pairs), wanted
    if lacking:
        first = PurePosixPath(name_below(lacking[0], images))
        error = LackingMasks(
            f"no mask found for {len(lacking)} of {len(pairs)} images (first: {images.name}/{first.as_posix()})",
            where=f"looked for {masks / first.parent / _mask_name(lacking[0], ending, wanted)}",
            hint=hint,
        )
        refuse(error, len(lacking), len(pairs))
    return tuple(pairs), wanted


def split_of(
    classes: ClassSet,
    data: str,
    root: Place,
    split: str,
    ids: NDArray[np.int32],
    pairs: Sequence[Pair],
    note: str | None = None,
    read_ids: Callable[[Place], Ids] = read_mask,
) -> Split:
    """The split of a data set whose classes are known."""
    return Split(
        split,
        data,
        root,
        classes.class_names,
        classes.palette,
        classes.ignore_index,
        ids,
        pairs,
        note,
        read_ids,
    )


def listed_keys(path: Place) -> tuple[str, ...]:
    """The keys of a list of pictures, one a line: the name in its first column, without folders and suffix.

    Raises:
        DataError: it names none, or one twice.
    """
    columns = (line.split() for line in path.read_text("utf-8").splitlines())
    names = [PurePosixPath(found[0].replace("\\", "/")).name for found in columns if found]
    keys = [re.sub(r"\.(jpe?g|png|mat)$", "", name, flags=re.IGNORECASE) for name in names]
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated or not keys:
        said = f"names {repeated[0]} more than once" if repeated else "names no picture"
        raise DataError(f"{path.name} {said}", where=str(path), hint="write the name of one picture a line")
    return tuple(keys)


def refuse_absent(pairs: Sequence[Pair], keys: Sequence[str], listed_in: Place, images: Place) -> None:
    """That every picture of a list lies there.

    Raises:
        DataError: some do not.
    """
    lying = {pair.key for pair in pairs}
    absent = [key for key in keys if key not in lying]
    if absent:
        error = DataError(
            f"{len(absent)} of the {len(keys)} pictures that {listed_in.name} names are not there (first: {absent[0]})",
            where=str(images),
            hint=f"unpack the pictures whole; the list is {listed_in}",
        )
        refuse(error, len(absent), len(keys))


def _mask_name(picture: Place, ending: str, suffix: str) -> str:
    return picture.name.removesuffix(ending) + suffix


def _names(folder: Place) -> set[str]:
    """What lies in a folder, hidden files apart; nothing where it is absent."""
    return {path.name for path in folder.iterdir() if path.name[0] != "."} if folder.is_dir() else set()
