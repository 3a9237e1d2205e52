"""List files of image and mask, one pair a line, as PaddleSeg's train.txt and DeepLab's .lst.

Blanks, tabs, commas or semicolons stand between the two; a header and lines that begin with # are passed over. The
names are relative to the list's folder or one above. A list called train.txt, train_list.txt ... is that split, and
val.txt ... beside it the other; a list of any other name is not divided.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath

from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.lacking import LackingMasks, refuse
from segformer_cli.data.layouts.matching import Lying
from segformer_cli.data.layouts.own import ALL, SPLITS, OwnData, one_of_each, open_own, split_called
from segformer_cli.data.own_masks import OWN_MASK_SUFFIXES
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.errors import DataError, UsageError
from segformer_cli.images import PICTURE_SUFFIXES
from segformer_cli.places import ArchivePath, Place

NAME = "list"
NEEDS = "a .txt, .lst or .csv with `image mask` a line, or a folder with such files called train and val"
SUFFIXES = (".txt", ".lst", ".csv")
_ABOVE = 2
"""Folders above the list's own in which its names may begin."""


def recognises(root: Place) -> bool:
    """Whether `root` holds lists called like splits, whose lines name pictures in pairs."""
    return root.is_dir() and any(_begins_with_pair(file) for _, file in _named(root))


def split_names(root: Place) -> list[str]:
    """The splits that the list, or those beside it, are of; train, val and all where its name is none."""
    return list(_files(root)) or ["train", "val", ALL]


def open_split(root: Place, split: str, bending: Bending) -> Split:
    """The pairs of one split, in the order of the list.

    Args:
        root: the list, or the folder of several.

    Raises:
        DataError: a line is no pair, or names a file that is not there.
        UsageError: suffixes are given.
    """
    if bending.image_suffix or bending.mask_suffix:
        raise UsageError("--image-suffix and --mask-suffix are for folders, a list names its files", where=str(root))
    files = _files(root)
    folder = root if root.is_dir() else root.parent
    base = _base(next(iter(files.values()), root))

    @cache
    def pairs(name: str) -> tuple[Pair, ...]:
        return read_pairs(files.get(name, root), base)

    own = OwnData(root.stem if root.is_file() else root.name, base, tuple(files), pairs, _homes(folder, base))
    return open_own(own, split, bending)


def read_pairs(file: Place, base: Place) -> tuple[Pair, ...]:
    """The pairs that a list names; where each line is an image alone, none has a mask.

    Raises:
        DataError: a line is no pair, names an image again or a file that is not there.
    """
    lying = Lying()
    pairs: list[Pair] = []
    absent: list[tuple[int, str]] = []
    lines: dict[str, int] = {}
    for number, names in read_lines(file):
        places = [_place(name, base, lying) for name in names]
        absent += [(number, name) for name, place in zip(names, places, strict=True) if place not in lying]
        key = PurePosixPath(names[0]).with_suffix("").as_posix().lstrip("./")
        if (first := lines.setdefault(key, number)) != number:
            raise DataError(f"{file.name} names {names[0]} in line {first} and in line {number}", where=str(file))
        pairs.append(Pair(key, places[0], places[1] if len(places) > 1 else None))
    if absent:
        number, name = absent[0]
        error = LackingMasks(
            f"{len(absent)} files that {file.name} names are not there (first: line {number}, {name})",
            where=f"looked for {base / name}",
            hint="names are relative to the list's folder, or to one above it",
        )
        refuse(error, len(absent), sum(1 if pair.mask is None else 2 for pair in pairs))
    return tuple(pairs)


def read_lines(file: Place) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The files that each line names, with its number.

    Raises:
        DataError: a line has more than two parts, or one and others two.
    """
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{file.name} is no text in UTF-8", where=str(file)) from None
    columns, header = 0, False
    for number, line in enumerate(text.splitlines(), 1):
        parts = _parts(line)
        if not parts:
            continue
        if not columns and not header and not any(map(_is_picture, parts)):
            header = True
            continue
        columns = columns or len(parts)
        if len(parts) > 2 or len(parts) != columns or not all(parts):
            usual = f"the others have {columns}" if columns < 3 else "a line is `image mask`"
            raise DataError(
                f"line {number} of {file.name} has {len(parts)} parts, {usual}",
                where=f"{file}: {line.strip()[:100]!r}",
                hint="between names that hold blanks, put a tab or a comma",
            )
        yield number, parts


def _parts(line: str) -> tuple[str, ...]:
    text = line.strip()
    if not text or text.startswith("#"):
        return ()
    for separator in ("\t", ",", ";"):
        if separator in text:
            return tuple(part.strip() for part in next(csv.reader([text], delimiter=separator)))
    return tuple(text.split())


def _files(root: Place) -> Mapping[str, Place]:
    """The list of each split: those beside the one that is named, called alike; none where its name is no split's."""
    if root.is_dir():
        return _lists(root)
    found = _split_in(root.stem)
    if found is None:
        return {}
    split, word = found
    beside = {split: root}
    for other, words in SPLITS.items():
        names = (root.name.replace(word, each) for each in words)
        file = next((place for name in names if (place := root.with_name(name)).is_file()), None)
        if other != split and file is not None:
            beside[other] = file
    return {name: beside[name] for name in SPLITS if name in beside}


def _lists(root: Place) -> dict[str, Place]:
    """The lists in a folder that are called like splits."""
    named = one_of_each(_named(root), "name the one to read: -d FOLDER/train.txt")
    return {name: named[name] for name in SPLITS if name in named}


def _named(root: Place) -> Iterator[tuple[str, Place]]:
    """The split that each list in a folder is called like."""
    lying: list[Place] = sorted(root.iterdir(), key=str)
    for entry in lying:
        found = _split_in(entry.stem) if entry.suffix in SUFFIXES and entry.is_file() else None
        if found is not None:
            yield found[0], entry


def _split_in(stem: str) -> tuple[str, str] | None:
    """The split that a list's name says, and the word that says it.

    >>> _split_in("train_list"), _split_in("my_val"), _split_in("retrained"), _split_in("trainval")
    (('train', 'train'), ('val', 'val'), None, None)
    """
    words = re.split(r"[^a-zA-Z]+", stem)
    return next(((split, word) for word in words if (split := split_called(word)) is not None), None)


def _begins_with_pair(file: Place) -> bool:
    for line in file.read_bytes()[:4096].decode("utf-8", "replace").splitlines()[:2]:
        parts = _parts(line)
        if len(parts) == 2 and _is_picture(parts[0]) and parts[1].lower().endswith(OWN_MASK_SUFFIXES):
            return True
    return False


def _base(file: Place) -> Place:
    """The folder in which a list's names begin: its own or one above, as its first line tells; else its own."""
    first = next((names for _, names in read_lines(file)), None)
    if first is None:
        raise DataError(f"{file.name} names no images", where=str(file), hint="write `image mask` a line")
    folder = file.absolute().parent
    for _ in range(_ABOVE + 1):
        if (folder / PurePosixPath(first[0].lstrip("/"))).is_file():
            return folder
        folder = folder.parent
    whole = _place(first[0], file.absolute().parent, Lying())
    return whole.parent if str(whole) == first[0] else file.absolute().parent


def _place(name: str, base: Place, lying: Lying) -> Place:
    """Where a file is: by its whole path, if it lies there, else below the list's base; archives hold no such paths."""
    whole = Path(name)
    if not isinstance(base, ArchivePath) and whole.is_absolute() and whole in lying:
        return whole
    return base / PurePosixPath(name.lstrip("/"))


def _is_picture(name: str) -> bool:
    return name.lower().endswith(PICTURE_SUFFIXES)


def _homes(folder: Place, base: Place) -> tuple[Place, ...]:
    return tuple(dict.fromkeys((folder.absolute(), base)))
