"""A mapping or a list that reads the same data without what a check found wrong with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segformer_cli.atomic import refuse_existing, replacing
from segformer_cli.data.bending import IGNORE
from segformer_cli.data.colours import ColourTable
from segformer_cli.data.layouts import described, listed
from segformer_cli.data.own_masks import read_own_mask
from segformer_cli.data.pairs import UNKNOWN, Pair, Split
from segformer_cli.data.repeated import Repeat
from segformer_cli.data.split_problems import SplitLooks
from segformer_cli.errors import SegFormerError, UsageError
from segformer_cli.images import read_mask
from segformer_cli.places import ArchivePath


def refuse_unfixable(file: Path, *, force: bool) -> None:
    """Nothing where a fix may be written to that file.

    Raises:
        UsageError: its ending is none of a mapping or a list.
        SegFormerError: it exists.
    """
    if file.suffix.lower() not in (*described.SUFFIXES, *listed.SUFFIXES):
        raise UsageError(f"--fix {file} is no .yaml and no list", hint="name it FILE.yaml, or FILE.txt for one split")
    refuse_existing(file, force=force)


def write_fix(file: Path, looks: Sequence[SplitLooks], repeated: Sequence[Repeat], *, force: bool) -> tuple[Path, ...]:
    """The files written: of one split a list of its good pairs; or a .yaml beside such lists, with its ids bent.

    Left out are pairs that cannot be read or do not fit, copies of a picture in its own split, and of a picture in two
    splits the one that comes first. In a .yaml, ids that mean nothing are ignored and keep their masks.

    Raises:
        UsageError: a list is asked for and there are several splits, or its form cannot tell what this data is.
    """
    mapping = file.suffix.lower() in described.SUFFIXES
    if not mapping and len(looks) > 1:
        names = ", ".join(each.split.name for each in looks)
        raise UsageError(f"a list is of one split, and there are {names}", hint="--split NAME, or --fix FILE.yaml")
    for each in looks:
        _refuse_inexpressible(each.split)
    kept = [_kept(number, each, repeated, mapping=mapping) for number, each in enumerate(looks)]
    if not mapping:
        return (_write(file, _list_of(kept[0]), force=force),)
    lists = {each.split.name: file.with_name(f"{file.stem}-{each.split.name}.txt") for each in looks}
    for place in lists.values():
        refuse_existing(place, force=force)
    for each, pairs in zip(looks, kept, strict=True):
        _write(lists[each.split.name], _list_of(pairs), force=force)
    return (_write(file, _yaml_of(looks, lists), force=force), *lists.values())


def _refuse_inexpressible(split: Split) -> None:
    """That a list and a .yaml can say what this split is."""
    reader = split.read_ids
    plain = reader in (read_mask, read_own_mask) or (isinstance(reader, ColourTable) and not reader.ignored)
    if isinstance(split.root, ArchivePath):
        raise UsageError("--fix is for files that lie in folders", where=str(split.root), hint="unpack the archive")
    if not plain:
        raise UsageError(
            f"--fix cannot say how the masks of {split.data} are read", where=str(split.root),
            hint="move the files that the check names out of the data",
        )


def _kept(number: int, looks: SplitLooks, repeated: Sequence[Repeat], *, mapping: bool) -> list[Pair]:
    """The pairs of a split that are well."""
    exact = [each for each in repeated if not each.near]
    gone = [each.picture if each.picture.split == each.other.split else each.other for each in exact]
    dropped = {each.index for each in gone if each.split == number}
    bendable = frozenset(("unknown_id",)) if mapping else frozenset()
    pairs = [
        pair
        for index, pair in enumerate(looks.split.pairs)
        if index not in dropped and looks.unusable.get(index, frozenset()) <= bendable
    ]
    if not pairs:
        raise SegFormerError(f"no pair of {looks.split.name} is without fault, nothing can be written")
    return pairs


def _list_of(pairs: Sequence[Pair]) -> str:
    return "".join(
        "\t".join(str(place.absolute()) for place in (pair.image, pair.mask) if place is not None) + "\n"
        for pair in pairs
    )


def _yaml_of(looks: Sequence[SplitLooks], lists: dict[str, Path]) -> str:
    """The keys of docs/data.md: lists, names, and what each id becomes."""
    split = looks[0].split
    known = np.flatnonzero(split.ids != UNKNOWN).tolist()
    become = {each: int(split.ids[each]) for each in known}
    unknown = {each for one in looks for each in one.unknown()}
    mapping = {each: IGNORE if value == split.ignore_index else value for each, value in become.items()}
    mapping |= dict.fromkeys(sorted(unknown), IGNORE)
    lines = [
        f"# written by `segformer data check --fix`: {split.data} without what was wrong with it",
        *(f"{name}: {json.dumps(place.name)}" for name, place in lists.items()),
        f"names: {json.dumps(list(split.class_names), ensure_ascii=False)}",
    ]
    if isinstance(split.read_ids, ColourTable):
        lines.append(f"palette: {json.dumps([list(colour) for colour in split.palette])}")
    else:
        said = ", ".join(f"{each}: {value}" for each, value in mapping.items())
        lines.append(f"label_mapping: {{{said}}}")
    return "\n".join(lines) + "\n"


def _write(file: Path, text: str, *, force: bool) -> Path:
    with replacing(file, force=force) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return file

