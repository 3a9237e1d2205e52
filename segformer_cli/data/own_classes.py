"""What the ids of someone's own masks mean: as a file names the classes, else as the ids in all masks say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import ignore_index_for, same_name
from segformer_cli.coercion import counted
from segformer_cli.data.bending import HIGHEST_ID, IGNORE, Bending, class_number, shifted, widened
from segformer_cli.data.class_tables import VOID, ClassTable
from segformer_cli.data.pairs import UNKNOWN, histogram, identity_ids
from segformer_cli.errors import DataError, SegFormerError, UsageError
from segformer_cli.images import Ids
from segformer_cli.places import Place, changed_at
from segformer_cli.threads import cores, each_of

WIDEST_GAP = 10
"""Ids in a row, at least, that must be missing for the next one to be taken for a slip."""

MOST_SMOOTH = 0.25
"""The share of greys between 0 and 255 in masks drawn in black and white with smooth edges, at most."""

ADE20K_IDS = 150


@dataclass(frozen=True)
class Numbering:
    """The classes, and the table from the ids of the files to theirs: see `Split`."""

    names: tuple[str, ...]
    ids: NDArray[np.int32]
    ignore_index: int


class Census:
    """Which ids all masks of a data set hold, counted when first asked for.

    Args:
        damaged: masks that cannot be read are passed over.
    """

    def __init__(
        self,
        masks: Callable[[], Iterable[Place]],
        read_ids: Callable[[Place], Ids],
        root: Place,
        *,
        damaged: bool = False,
    ) -> None:
        self.masks = masks
        self.read_ids = read_ids
        self.root = root
        self.damaged = damaged

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """The pixels of each id, 65536 of them."""
        masks = tuple(self.masks())
        return _counted(masks, tuple(map(_state, masks)), self.read_ids, self.damaged)

    @cached_property
    def present(self) -> frozenset[int]:
        """The ids that occur."""
        return frozenset(np.flatnonzero(self.counts).tolist())

    def first(self, index: int) -> tuple[Place, int]:
        """The first mask that holds an id, and how many of its pixels do."""
        counted = ((place, int(_histogram(place, self.read_ids, self.damaged)[index])) for place in self.masks())
        return next((place, pixels) for place, pixels in counted if pixels)


@lru_cache(maxsize=2)
def _counted(
    masks: tuple[Place, ...], states: tuple[object, ...], read_ids: Callable[[Place], Ids], damaged: bool
) -> NDArray[np.int64]:
    """The pixels of each id in all masks; once for all splits of a data set, as long as no file changes."""
    counts = np.zeros(65536, np.int64)
    for found in each_of(lambda place: _histogram(place, read_ids, damaged), masks, cores()):
        counts[: len(found)] += found
    counts.flags.writeable = False              # all splits share it
    return counts


def _histogram(place: Place, read_ids: Callable[[Place], Ids], damaged: bool) -> NDArray[np.int64]:
    try:
        return histogram(read_ids(place))
    except SegFormerError:
        if damaged:
            return np.zeros(65536, np.int64)
        raise


def _state(place: Place) -> object:
    try:
        return changed_at(place)
    except OSError:
        return None                             # reading it says what is wrong with it


def number(table: ClassTable | None, census: Census, bending: Bending) -> Numbering:
    """The classes of someone's own data.

    Args:
        table: None where no file names them.

    Raises:
        DataError: the ids are none that classes have; the message says which, in which file.
        UsageError: `bending` contradicts itself or the masks.
    """
    return _unnamed(census, bending) if table is None else _named(table, census, bending)


def only_mapped(numbering: Numbering) -> Numbering:
    """The same classes, where every id that no mapping speaks of means nothing, but for the ignored one."""
    ids = np.full_like(numbering.ids, UNKNOWN)
    ids[numbering.ignore_index] = numbering.ignore_index
    return Numbering(numbering.names, ids, numbering.ignore_index)


def _named(table: ClassTable, census: Census, bending: Bending) -> Numbering:
    names = table.names
    dropped = "void" if 0 in table.void_ids else names[0]
    if bending.reduce_zero and same_name(dropped) in VOID | {"background", "other", "others"}:
        raise UsageError(
            f"--reduce-zero drops the id 0, and {table.source.name} names it {dropped!r}",
            where=str(table.source),
            hint="leave out --reduce-zero, or that line",
        )
    if len(names) > 2 or table.ids is not None or table.void_ids or bending.reduce_zero:
        return Numbering(names, _table_ids(table, bending.reduce_zero), ignore_index_for(len(names)))
    present = _bent(census, bending, names)
    # One name for masks of two ids is that of the class, and the rest is background.
    if len(names) == 1 and present - {255} in ({0, 1}, {0}) and present & {1, 255}:
        names = ("background", *names)
    _refuse_smooth_edges(census, present)
    ignore_index = ignore_index_for(len(names))
    # Of two classes, masks drawn in black and white mean the second by 255, not pixels to ignore.
    drawn = len(names) == 2 and present == {0, 255}
    return Numbering(names, _black_and_white() if drawn else identity_ids(len(names), ignore_index), ignore_index)


def _table_ids(table: ClassTable, reduce_zero: bool) -> NDArray[np.int32]:
    K = len(table.names)
    ignore_index = ignore_index_for(K)
    ids = identity_ids(K, ignore_index)
    if table.ids is not None or table.void_ids:
        numbers = table.ids if table.ids is not None else tuple(range(K))
        ids = widened(np.full(256, UNKNOWN, np.int32), max(*numbers, *table.void_ids, ignore_index))
        ids[[ignore_index, *table.void_ids]] = ignore_index
        ids[list(numbers)] = np.arange(K)
    return shifted(ids, ignore_index) if reduce_zero else ids


def _unnamed(census: Census, bending: Bending) -> Numbering:
    """Classes without names: every id up to the highest is one."""
    targets = bending.targets()
    strangers = sorted(index for index, target in targets.items() if target != IGNORE and index not in census.present)
    if strangers:
        raise UsageError(
            f"--map {strangers[0]}={targets[strangers[0]]}: no mask holds the id {strangers[0]}",
            where=str(census.root),
            hint=f"they hold {', '.join(map(str, sorted(census.present)[:40]))}",
        )
    kept = census.present - set(targets)
    if bending.reduce_zero:
        kept -= {0}
    elif kept == {0, 255} and set(targets.values()) <= {IGNORE}:
        return Numbering(("background", "foreground"), _black_and_white(), 255)
    else:
        _refuse_smooth_edges(census, kept)
        _refuse_ade20k(census, kept)
    ignored = 65535 if max(kept, default=0) > 255 else 255
    counted = {index - bending.reduce_zero for index in kept - {ignored}} | _numbers(targets, census)
    if not counted:
        hint = "there is nothing to learn or to score; to go on all the same, name the classes in classes.txt"
        raise DataError("every pixel of every mask is ignored", where=str(census.root), hint=hint)
    K = max(1, max(counted)) + 1
    if (gap := _gap(counted)) is not None:
        raise _stray_id(gap, census, bending)
    ignore_index = ignore_index_for(K)
    ids = identity_ids(K, ignore_index, (ignored,))
    if bending.reduce_zero:
        ids = shifted(ids, ignore_index)
        ids[ignored] = ignore_index
    return Numbering(tuple(f"class_{index}" for index in range(K)), ids, ignore_index)


def _numbers(targets: dict[int, str], census: Census) -> set[int]:
    """The classes that ids are bent to, where classes have no names."""
    found = set()
    for index, target in targets.items():
        if target != IGNORE and counted(target, HIGHEST_ID) is None:
            raise UsageError(
                f"--map {index}={target}: the classes of {census.root.name} have no names",
                where=str(census.root),
                hint="name them in classes.txt, one a line in the order of their ids, or give the class's number",
            )
        found |= set() if target == IGNORE else {int(target)}
    return found


def _bent(census: Census, bending: Bending, names: Sequence[str]) -> set[int]:
    """The ids that occur, as they are once bent; a single named class is 1, beside a background."""
    targets = bending.targets()
    found = set(census.present - set(targets))
    for index in census.present & set(targets):
        target = targets[index]
        if (told := counted(target, HIGHEST_ID)) is not None:
            found.add(told)
        elif (named := class_number(target, names)) is not None:
            found.add(1 if len(names) == 1 else named)
    return found


def _black_and_white() -> NDArray[np.int32]:
    """The id table of masks of 0 and 255."""
    ids = np.full(256, UNKNOWN, np.int32)
    ids[0], ids[255] = 0, 1
    return ids


def _refuse_smooth_edges(census: Census, present: Iterable[int]) -> None:
    """Masks drawn in black and white whose edges were smoothed: their greys are no classes."""
    greys = sorted(set(present) - {0, 255})
    if not {0, 255} <= set(present) or len(greys) < 2 or not 128 <= greys[-1] < 255:
        return
    if census.counts[greys].sum() > MOST_SMOOTH * census.counts[[0, 255, *greys]].sum():
        return
    place, count = census.first(greys[0])
    raise DataError(
        f"the masks are black and white with {len(greys)} greys between: {greys[0]} in {count} pixels of {place.name}",
        where=str(place),
        hint="smooth edges are no classes: save the masks without them, each pixel 0 or 255; if the greys are classes, "
        f"say so: --map {greys[0]}=1 ...",
    )


def _refuse_ade20k(census: Census, present: Iterable[int]) -> None:
    found = set(present) - {255}
    if {0, ADE20K_IDS} <= found and max(found) == ADE20K_IDS and len(found) > WIDEST_GAP:
        raise DataError(
            f"the masks hold ids from 0 to {ADE20K_IDS}, as those of ADE20K, where 0 is no class but all the rest",
            where=str(census.root),
            hint="add --reduce-zero, which ignores 0; or name all 151 classes in classes.txt, if 0 is one of them",
        )


def _gap(counted: Iterable[int]) -> tuple[int, int] | None:
    """The first and the last id of a run that never occurs below one that does, too long for ids to mean classes."""
    ids = [-1, *sorted(counted)]
    width, last = max((b - a - 1, b - 1) for a, b in pairwise(ids))
    return (last - width + 1, last) if width >= WIDEST_GAP and width > len(ids) - 1 else None


def _stray_id(gap: tuple[int, int], census: Census, bending: Bending) -> DataError | UsageError:
    stray = gap[1] + 1
    never = f"ids {gap[0]} to {gap[1]} never occur"
    if str(stray) in bending.targets().values():
        return UsageError(f"--map makes {stray} a class, and {never}", hint="count the classes from 0 without gaps")
    index = stray + bending.reduce_zero
    place, pixels = census.first(index)
    return DataError(
        f"{never}, {index} occurs in {pixels} pixels of {place.name}",
        where=str(place),
        hint="without classes.txt every id up to the highest is a class: name the classes there, one a line in the "
        f"order of their ids, write 255 where pixels are to be ignored, or bend that id: --map {index}=ignore",
    )
