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
from segformer_cli.data.matlab import MatlabIds
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
        SegFormerError: there is no split, one has no pair that is well, or a file cannot be written.
    """
    if not looks:
        raise SegFormerError("no split could be opened, nothing can be written")
    mapping = file.suffix.lower() in described.SUFFIXES
    kept = [_kept(number, each, repeated, mapping=mapping) for number, each in enumerate(looks)]
    if not mapping:
        return (_write(file, _list_of(kept[0]), force=force),)
    lists = {each.split.name: _list_beside(file, each.split) for each in looks}
    for each, pairs in zip(looks, kept, strict=True):
        _write(lists[each.split.name], _list_of(pairs), force=force)
    return (_write(file, _yaml_of(looks, lists), force=force), *lists.values())


def _list_beside(file: Path, split: Split) -> Path:
    return file.with_name(f"{file.stem}-{split.name}.txt")


def refuse_inexpressible(file: Path, splits: Sequence[Split], *, force: bool) -> None:
    """Nothing where a list or a .yaml can say what these splits are.

    Raises:
        UsageError: a list is asked for and there are several, or the form cannot tell how their masks are read.
        SegFormerError: the list of a split exists.
    """
    if file.suffix.lower() not in described.SUFFIXES and len(splits) > 1:
        names = ", ".join(split.name for split in splits)
        raise UsageError(f"a list is of one split, and there are {names}", hint="--split NAME, or --fix FILE.yaml")
    for split in splits:
        _refuse_unsaid(split)
        if file.suffix.lower() in described.SUFFIXES:
            refuse_existing(_list_beside(file, split), force=force)


def _refuse_unsaid(split: Split) -> None:
    reader = split.read_ids
    plain = reader in (read_mask, read_own_mask) or (isinstance(reader, ColourTable) and not reader.ignored)
    # A layout that knows .mat files reads the others as anyone would.
    plain = plain or (isinstance(reader, MatlabIds) and not any(_is_matlab(pair) for pair in split.pairs))
    if isinstance(split.root, ArchivePath):
        raise UsageError("--fix is for files that lie in folders", where=str(split.root), hint="unpack the archive")
    if not plain:
        raise UsageError(
            f"--fix cannot say how the masks of {split.data} are read", where=str(split.root),
            hint="move the files that the check names out of the data",
        )


def _is_matlab(pair: Pair) -> bool:
    return pair.mask is not None and pair.mask.suffix == ".mat"


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
    if split.bands:
        lines.append(f"bands: {list(split.bands)}")
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

