"""Someone's own data, however it lies: its splits, its classes and the reader of its masks, made into one split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import fsencode

from segformer_cli.classes import Colour, default_palette
from segformer_cli.data.bending import Bending, bend
from segformer_cli.data.class_tables import CLASS_FILES, ClassTable, read_class_table
from segformer_cli.data.colours import ColourTable
from segformer_cli.data.layouts.lacking import is_tolerated
from segformer_cli.data.own_classes import Census, Numbering, number, only_mapped
from segformer_cli.data.own_masks import in_colours, read_own_mask
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.errors import DataError, ImageError, SegFormerError
from segformer_cli.images import Ids
from segformer_cli.places import Place

SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
"""How the splits are called, and what their folders and files are called too."""

ALL = "all"
"""The split that holds every image of data without splits."""

VAL_SHARE = 0.2
MANY = 200
"""Pairs of which chance takes a fifth closely enough."""


@dataclass(frozen=True)
class OwnData:
    """Someone's own data as a layout found it.

    `splits` are those that it is divided into, none where it is not. `pairs_of` gives those of a split, of `ALL` where
    it is not divided. `homes` are the folders in which a file with the classes may lie, `table` the classes where the
    layout knows them itself. `read_ids` reads masks that are neither pictures of ids or colours nor arrays. Where
    `whole_map`, an id that no mapping speaks of means nothing.
    """

    title: str
    root: Place
    splits: tuple[str, ...]
    pairs_of: Callable[[str], Sequence[Pair]]
    homes: tuple[Place, ...]
    table: ClassTable | None = None
    read_ids: Callable[[Place], Ids] | None = None
    whole_map: bool = False

    @property
    def split_names(self) -> list[str]:
        """The splits that can be asked for; train, val and all where it is not divided."""
        return list(self.splits) or ["train", "val", ALL]

    def masks(self) -> Iterator[Place]:
        """The masks of all splits."""
        for split in self.splits or (ALL,):
            for pair in self.pairs_of(split):
                if pair.mask is not None:
                    yield pair.mask


def open_own(own: OwnData, split: str, bending: Bending) -> Split:
    """One split of someone's own data; where it is not divided, `train` and `val` are parts chosen by name.

    Raises:
        DataError: masks are missing, or are none that classes can be read from.
        UsageError: `bending` contradicts the classes.
    """
    pairs = own.pairs_of(split if own.splits else ALL)
    note = None
    if not own.splits and split != ALL:
        of_all, pairs = len(pairs), hashed(pairs, split)
        note = f"{len(pairs)} of {of_all} images, chosen by a hash of their names, are {split}; --split all takes all"
    first = next((mask for mask in own.masks() if not is_tolerated() or _is_read(mask, own)), None)
    colours = own.read_ids is None and first is not None and in_colours(first)
    table = _table_of(own, colours=colours)
    read_ids = own.read_ids or (_colour_reader(table) if colours and table else None) or read_own_mask
    if first is not None:
        _refuse_unreadable(first, read_ids, colours=colours, homes=own.homes)
    elif table is None:
        hint = "without masks, classes.txt must name the classes, one a line"
        raise DataError("no image has a mask that classes could be read from", where=str(own.root), hint=hint)
    if isinstance(read_ids, ColourTable):
        assert table is not None
        table = ClassTable(table.names, table.source, table.colours)
    found = number(table, Census(own.masks, read_ids, own.root, damaged=is_tolerated()), bending)
    found = only_mapped(found) if own.whole_map else found
    whole = Split(
        split, own.title, own.root, found.names, _palette(found, table), found.ignore_index, found.ids, pairs, note,
        read_ids,
    )
    return bend(whole, bending)


def _is_read(mask: Place, own: OwnData) -> bool:
    """Whether a mask is there and whole, in colours or not."""
    try:
        return in_colours(mask) or (own.read_ids or read_own_mask)(mask) is not None
    except SegFormerError:
        return False


def split_called(word: str) -> str | None:
    """The split that a word means.

    >>> split_called("Validation"), split_called("extra")
    ('val', None)
    """
    return next((split for split, words in SPLITS.items() if word.lower() in words), None)


def one_of_each(named: Iterable[tuple[str, Place]], hint: str) -> dict[str, Place]:
    """The file of each split.

    Raises:
        DataError: two files are called like one split; `hint` is the way out.
    """
    found: dict[str, Place] = {}
    for split, file in named:
        if (other := found.setdefault(split, file)) != file:
            raise DataError(f"{other.name} and {file.name} are both of {split}", where=str(file.parent), hint=hint)
    return found


def hashed(pairs: Sequence[Pair], split: str) -> tuple[Pair, ...]:
    """A fifth of the pairs for val: those whose names have the lowest hashes, so that it is the same on every machine.

    Of few pairs it is exactly a fifth, at least one; from `MANY` on the hash alone decides: adding images moves none.
    """
    digests = {pair.key: hashlib.sha256(fsencode(pair.key)).digest() for pair in pairs}
    if len(pairs) < MANY:
        val = {*sorted(digests, key=lambda key: digests[key])[: max(1, round(VAL_SHARE * len(pairs)))]}
    else:
        limit = int(VAL_SHARE * 2**32)
        val = {key for key, digest in digests.items() if int.from_bytes(digest[:4], "big") < limit}
    return tuple(pair for pair in pairs if (pair.key in val) == (split == "val"))


def _table_of(own: OwnData, *, colours: bool) -> ClassTable | None:
    """The classes that the layout or a file names; of masks in colours rather those that have colours."""

    def found(wanted: bool) -> ClassTable | None:
        return next((table for home in own.homes if (table := read_class_table(home, colours=wanted))), None)

    if colours and (own.table is None or own.table.colours is None) and (coloured := found(True)) is not None:
        return coloured
    return own.table or found(False)


def _colour_reader(table: ClassTable) -> ColourTable | None:
    if table.colours is None:
        return None
    try:
        return ColourTable(table.colours, table.void, table.names)
    except DataError as error:
        raise DataError(error.message, where=str(table.source), hint=error.hint) from None


def _refuse_unreadable(
    first: Place, read_ids: Callable[[Place], Ids], *, colours: bool, homes: Sequence[Place]
) -> None:
    """A clear word where masks are drawn in colours and nothing says what these mean."""
    if not colours or isinstance(read_ids, ColourTable):
        return
    try:
        read_ids(first)                         # three channels that are equal are ids too
    except ImageError:
        files = ", ".join(name for name in CLASS_FILES if name.endswith(".csv") or "label" in name)
        raise DataError(
            f"the masks are drawn in colours ({first.name}), and no file says which colour stands for which class",
            where=f"looked for {files} in {', '.join(map(str, homes))}",
            hint="write classes.csv there: the line name,r,g,b and below it a line a class, such as road,128,64,128",
        ) from None


def _palette(found: Numbering, table: ClassTable | None) -> tuple[Colour, ...]:
    """The colours of the classes: those of the file that names them, where it has one for each and no two alike."""
    colours = table.colours if table is not None else None
    if colours is not None and len(colours) == len(set(colours)) == len(found.names):
        return colours
    return default_palette(len(found.names))
