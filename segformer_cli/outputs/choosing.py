"""Masks bent before they are written: unsure pixels ignored, some classes kept, the ids of a data set's own files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import LARGEST_NARROW, ClassSet, same_name
from segformer_cli.errors import UsageError, did_you_mean
from segformer_cli.images import Ids


def rejected(mask: Ids, confidence: NDArray[np.floating], least: float, ignore_index: int) -> Ids:
    """The mask (H, W) with `ignore_index` wherever the network was less sure than `least`.

    Args:
        confidence: (H, W), 0..1; where it is no number, the network was not sure.

    Raises:
        UsageError: `least` is no share.
        ValueError: the shapes differ.

    >>> rejected(np.array([[3, 4]], np.uint8), np.array([[0.9, 0.2]]), 0.5, 255)
    array([[  3, 255]], dtype=uint8)
    """
    if not 0 <= least <= 1:
        raise UsageError(f"a confidence of {least} is none", hint="confidences lie in 0..1: --reject 0.6")
    if confidence.shape != mask.shape:
        raise ValueError(f"confidence is {confidence.shape}, the mask {mask.shape}")
    bent: Ids = mask.copy()
    bent[~(confidence >= least)] = ignore_index
    return bent


def class_ids(names: Iterable[str], class_names: Sequence[str]) -> tuple[int, ...]:
    """The ids of classes named by users: by name, whatever its case and blanks, or by number.

    Raises:
        UsageError: a name or number is of no class.

    >>> class_ids(["Traffic_Light", "0"], ["road", "traffic light"])
    (1, 0)
    """
    known = {same_name(name): index for index, name in reversed(list(enumerate(class_names)))}
    found = []
    for name in names:
        index = known.get(same_name(name))
        if index is None and name.strip().isdecimal() and int(name) < len(class_names):
            index = int(name)
        if index is None:
            raise UsageError(f"there is no class {name!r}", hint=did_you_mean(same_name(name), known))
        found.append(index)
    return tuple(found)


def kept(mask: Ids, wanted: Iterable[int], ignore_index: int) -> Ids:
    """The mask (H, W) with `ignore_index` for all classes but those `wanted`.

    >>> kept(np.array([[0, 1, 2]], np.uint8), [2, 0], 255)
    array([[  0, 255,   2]], dtype=uint8)
    """
    bent: Ids = mask.copy()
    bent[~np.isin(mask, list(wanted))] = ignore_index
    return bent


def as_file_ids(mask: Ids, known: ClassSet) -> Ids:
    """The mask (H, W) in the ids of the data set's own files: of Cityscapes labelIds, in which 7 is road.

    What is ignored becomes the lowest id that the data set ignores.

    Raises:
        UsageError: the mask holds an id that is no class of the set.

    >>> from segformer_cli.classes import class_set
    >>> as_file_ids(np.array([[0, 18, 255]], np.uint8), class_set("cityscapes"))
    array([[ 7, 33,  0]], dtype=uint8)
    """
    files = {**known.file_ids(), known.ignore_index: known.ignore_index}
    if known.id_map is not None:
        files = {meaning: file_id for file_id, meaning in sorted(known.id_map.items(), reverse=True)}
    table = np.full(max(files) + 1, -1, np.int32)
    table[list(files)] = list(files.values())
    present = np.unique(mask)
    strangers = [index for index in present.tolist() if index >= len(table) or table[index] < 0]
    if strangers:
        raise UsageError(
            f"the mask holds class {strangers[0]}, {known.name} has {known.num_classes} classes",
            hint="ids of a data set's files are for networks with its classes: leave out --ids",
        )
    ids = table[mask]
    if max(files.values()) > LARGEST_NARROW:
        return ids.astype(np.uint16)
    return ids.astype(np.uint8)


def class_name(class_id: int, class_names: Sequence[str]) -> str:
    """What a class is called.

    Raises:
        UsageError: the mask holds more classes than are named.
    """
    if not 0 <= class_id < len(class_names):
        raise UsageError(
            f"the mask holds class {class_id}, {len(class_names)} classes are named",
            hint="give the names of all classes, in the order of their ids",
        )
    return class_names[class_id]
