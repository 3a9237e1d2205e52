"""Files that divide pictures into splits: train.txt, val.txt ... of names, as beside Pascal VOC and CVAT's exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from segformer_cli.data.layouts.own import SPLITS, one_of_each, split_called
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
        named = [(split_called(file.stem) or file.stem, file) for file in lying]
        if {"train", "val"} & {split for split, _ in named}:
            found = one_of_each(named, "take one of them away")
            return {split: file for split, file in found.items() if split in SPLITS or name != "."}
    return {}


def chosen(pairs: Sequence[Pair], file: Place) -> tuple[Pair, ...]:
    """The pairs that a file names, in its order: a picture's stem, key or file name a line.

    Raises:
        DataError: a line names none of the pictures, more than one, or one that was named before.
    """
    by_key = {pair.key: pair for pair in pairs}
    by_name: dict[str, list[Pair]] = {}
    for pair in pairs:
        for name in {pair.image.stem, PurePosixPath(pair.key).name}:
            by_name.setdefault(name, []).append(pair)
    found: dict[str, int] = {}
    lacking = []
    for number, line in enumerate(file.read_text("utf-8-sig").splitlines(), 1):
        # A second word is Pascal VOC's flag of a class: 1 or -1.
        word = line.split()[0] if line.strip() else ""
        if not word:
            continue
        meant = _meant(word, by_key, by_name)
        if len(meant) > 1:
            raise DataError(
                f"line {number} of {file.name}, {word}, names both {meant[0].key} and {meant[1].key}",
                where=str(file),
                hint=f"write the folder too: {meant[0].key}",
            )
        if not meant:
            lacking.append((number, word))
        elif (first := found.setdefault(meant[0].key, number)) != number:
            raise DataError(f"{file.name} names {word} in line {first} and in line {number}", where=str(file))
    if lacking:
        number, word = lacking[0]
        raise DataError(
            f"{len(lacking)} lines of {file.name} name no image (first: line {number}, {word})",
            where=str(file),
            hint=f"a line is an image's name without its ending, such as {pairs[0].key if pairs else '0001'}",
        )
    return tuple(by_key[key] for key in found)


def _meant(word: str, by_key: Mapping[str, Pair], by_name: Mapping[str, Sequence[Pair]]) -> Sequence[Pair]:
    """The pairs that a word can mean: that of this key, below folders that keys lack; else those of this name."""
    for name in (word, _without_suffix(word)):
        parts = PurePosixPath(name).parts
        keys = ("/".join(parts[start:]) for start in range(len(parts)))
        if (key := next((key for key in keys if key in by_key), None)) is not None:
            return [by_key[key]]
    names = (PurePosixPath(name).name for name in (word, _without_suffix(word)))
    return next((by_name[name] for name in names if name in by_name), [])


def _without_suffix(word: str) -> str:
    """A name without the ending of a picture: a.b keeps its dot."""
    path = PurePosixPath(word)
    return path.with_suffix("").as_posix() if 2 <= len(path.suffix) <= 5 and not path.suffix[1:].isdigit() else word
