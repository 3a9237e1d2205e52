"""Files that divide pictures into splits: train.txt, val.txt ... of names, as beside Pascal VOC and CVAT's exports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from segformer_cli.data.layouts.own import SPLITS
from segformer_cli.data.pairs import Pair
from segformer_cli.errors import DataError
from segformer_cli.places import Place

_FOLDERS = ("ImageSets/Segmentation", "ImageSets", "splits", ".")


def split_files(root: Place) -> dict[str, Place]:
    """The file of each split; none where no file is called like train or val.

    In ImageSets/Segmentation, ImageSets and splits any .txt is a split of its name (trainaug), in `root` itself
    only those that are called like train, val or test; the first folder that has one is taken.
    """
    for name in _FOLDERS:
        folder = root if name == "." else root / name
        lying = sorted(entry for entry in folder.iterdir() if entry.suffix == ".txt") if folder.is_dir() else []
        named = {_split_of(file.stem): file for file in lying}
        known = {split: file for split, file in named.items() if split in SPLITS}
        if {"train", "val"} & set(known):
            rest = {} if name == "." else named
            return {**known, **rest}
    return {}


def chosen(pairs: Sequence[Pair], file: Place) -> tuple[Pair, ...]:
    """The pairs that a file names, in its order: a picture's stem, key or file name a line.

    Raises:
        DataError: a line names none of the pictures, or one that was named before.
    """
    named: dict[str, Pair] = {}
    for pair in pairs:
        for name in (pair.image.stem, pair.key.rpartition("/")[2], pair.key):
            named[name] = pair
    found: dict[str, int] = {}
    lacking = []
    for number, line in enumerate(file.read_text("utf-8-sig").splitlines(), 1):
        # A second word is Pascal VOC's flag of a class: 1 or -1.
        word = line.split()[0] if line.strip() else ""
        if not word:
            continue
        names = (word, _without_suffix(word), _without_suffix(PurePosixPath(word).name))
        key = next((named[name].key for name in names if name in named), None)
        if key is None:
            lacking.append((number, word))
        elif (first := found.setdefault(key, number)) != number:
            raise DataError(f"{file.name} names {word} in line {first} and in line {number}", where=str(file))
    if lacking:
        number, word = lacking[0]
        raise DataError(
            f"{len(lacking)} lines of {file.name} name no image (first: line {number}, {word})",
            where=str(file),
            hint=f"a line is an image's name without its ending, such as {pairs[0].key if pairs else '0001'}",
        )
    by_key = {pair.key: pair for pair in pairs}
    return tuple(by_key[key] for key in found)


def _without_suffix(word: str) -> str:
    """A name without the ending of a picture: a.b keeps its dot."""
    path = PurePosixPath(word)
    return path.with_suffix("").as_posix() if 2 <= len(path.suffix) <= 5 and not path.suffix[1:].isdigit() else word


def _split_of(name: str) -> str:
    return next((split for split, names in SPLITS.items() if name.lower() in names), name)
