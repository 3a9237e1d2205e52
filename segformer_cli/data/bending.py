"""What users say of data to have it read otherwise than it lies there: endings, other ids, id 0 dropped, bands.

Nothing is written to the data. An id of the mask files is bent by `--map`: 204=1 makes it the class 1, 7=road the class
of that name, 11=ignore drops its pixels from loss and score; several ids may become one class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import same_name
from segformer_cli.coercion import counted
from segformer_cli.data.pairs import UNKNOWN, Split
from segformer_cli.errors import UsageError, did_you_mean

IGNORE = "ignore"
"""What an id becomes whose pixels neither loss nor score counts."""

HIGHEST_ID = 65535


class Keys(Protocol):
    """What a configuration says of how data is read."""

    @property
    def image_suffix(self) -> str | None: ...

    @property
    def mask_suffix(self) -> str | None: ...

    @property
    def map(self) -> tuple[str, ...]: ...

    @property
    def reduce_zero(self) -> bool: ...


@dataclass(frozen=True)
class Bending:
    """How data is to be read otherwise than it lies there.

    `map` holds ID=CLASS, ID=NAME and ID=ignore, where ID is an id of the mask files and CLASS an id of the classes.
    With `reduce_zero` id 0 is ignored and the classes are counted from id 1. `bands` are those of the pictures'
    files to read, counted from 1.
    """

    image_suffix: str | None = None
    mask_suffix: str | None = None
    map: tuple[str, ...] = ()
    reduce_zero: bool = False
    bands: tuple[int, ...] = ()

    @classmethod
    def of(cls, config: Keys, bands: tuple[int, ...] = ()) -> Bending:
        """What the keys of a configuration say."""
        return cls(config.image_suffix, config.mask_suffix, config.map, config.reduce_zero, bands)

    def targets(self) -> dict[int, str]:
        """For each id that is bent what it becomes: a class id, a name, or `ignore`.

        >>> Bending(map=("204=1", "7=road")).targets()
        {204: '1', 7: 'road'}

        Raises:
            UsageError: an entry is no ID=CLASS, or two contradict each other.
        """
        found: dict[int, str] = {}
        for entry in self.map:
            index, target = _parsed(entry)
            if found.setdefault(index, target) != target:
                raise UsageError(
                    f"--map says both {index}={found[index]} and {index}={target}", hint="an id becomes one class"
                )
        if self.reduce_zero and found.get(0, IGNORE) != IGNORE:
            raise UsageError(
                f"--reduce-zero ignores the id 0, and --map 0={found[0]} makes it a class", hint="leave one of them out"
            )
        return found

    def over(self, below: Bending) -> Bending:
        """This bending where it says something, what lies `below` it where not.

        >>> Bending(map=("1=ignore",)).over(Bending(map=("1=0", "2=0"))).map
        ('2=0', '1=ignore')
        """
        said = self.targets()
        kept = (entry for entry in below.map if _parsed(entry)[0] not in said)
        return Bending(
            self.image_suffix or below.image_suffix,
            self.mask_suffix or below.mask_suffix,
            (*kept, *self.map),
            self.reduce_zero or below.reduce_zero,
            self.bands or below.bands,
        )


NOT_BENT = Bending()


def bend(split: Split, bending: Bending) -> Split:
    """The same split, its ids read as `bending.map` says, and those bands of its pictures that are named.

    Raises:
        UsageError: an entry is no ID=CLASS, contradicts another, or names a class that the data lacks.
    """
    split = replace(split, bands=bending.bands) if bending.bands else split
    targets = bending.targets()
    if not targets:
        return split
    ids = widened(split.ids, max(targets))
    for index, target in targets.items():
        ids[index] = split.ignore_index if target == IGNORE else _class_id(index, target, split)
    return replace(split, ids=ids)


def shifted(ids: NDArray[np.int32], ignore_index: int) -> NDArray[np.int32]:
    """The id table of masks that count the classes from 1: id 0 is ignored, and what was ignored stays so."""
    classes = np.flatnonzero((ids != UNKNOWN) & (ids != ignore_index))
    found = widened(ids, int(classes.max(initial=0)) + 1)
    found[classes] = UNKNOWN
    found[classes + 1] = ids[classes]
    found[0] = ignore_index
    return found


def widened(ids: NDArray[np.int32], highest: int) -> NDArray[np.int32]:
    """A copy of an id table, with room for `highest`."""
    if highest < len(ids):
        return np.array(ids)
    wide = np.full(HIGHEST_ID + 1, UNKNOWN, np.int32)
    wide[: len(ids)] = ids
    return wide


def as_entries(targets: Mapping[int, str]) -> tuple[str, ...]:
    """What `Bending.map` holds of a mapping.

    >>> as_entries({7: "0", 1: "ignore"})
    ('7=0', '1=ignore')
    """
    return tuple(f"{index}={target}" for index, target in targets.items())


def class_number(target: str, class_names: Sequence[str]) -> int | None:
    """The class that a number or a name means; None where there is none.

    >>> class_number("1", ("road", "sky")), class_number("Sky", ("road", "sky")), class_number("2", ("road", "sky"))
    (1, 1, None)
    """
    if target.isdecimal():
        return counted(target, len(class_names) - 1)
    same = [index for index, name in enumerate(class_names) if same_name(name) == same_name(target)]
    return same[0] if same else None


def _parsed(entry: str) -> tuple[int, str]:
    index, equals, target = (part.strip() for part in entry.partition("="))
    hint = "write ID=CLASS, such as --map 204=1, --map 7=road or --map 11=ignore; ID is what the mask files hold"
    if not equals or not target or not index.isdecimal():
        raise UsageError(f"--map {entry!r} is no ID=CLASS", hint=hint)
    number = counted(index, HIGHEST_ID)
    if number is None:
        raise UsageError(f"--map {entry!r}: there is no id {index}, ids lie in 0 to {HIGHEST_ID}", hint=hint)
    return number, IGNORE if target.lower() == IGNORE else target


def _class_id(index: int, target: str, split: Split) -> int:
    names = split.class_names
    found = class_number(target, names)
    if found is not None:
        return found
    known = f"{split.data} has {len(names)} classes: " + ", ".join(
        f"{number} {name}" for number, name in list(enumerate(names))[:20]
    )
    if not target.isdigit():
        known = did_you_mean(target, [*names, IGNORE]) or known
    raise UsageError(f"--map {index}={target}: {split.data} has no class {target}", where=str(split.root), hint=known)
