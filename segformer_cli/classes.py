"""The class names, colours and id maps of the known data sets, and the rules that follow from a class count.

The tables lie in `classes.json`. Names are as the data sets print them, without stray blanks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

from segformer_cli.errors import UsageError, did_you_mean

Colour = tuple[int, int, int]

IGNORE = 255
IGNORE_WIDE = 65535
LARGEST_NARROW = 255
"""With more classes than this, masks are 16-bit: 255 would be both a class and the ignored value."""

_OKABE_ITO: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (120, 120, 120),
)
"""Told apart with every common form of colour blindness (Okabe and Ito, 2008; their black made grey)."""


@dataclass(frozen=True)
class ClassSet:
    """The classes of one data set.

    `id_map` sends the ids of its mask files to class ids or to `ignore_index`; None where they are equal.
    """

    name: str
    class_names: tuple[str, ...]
    palette: tuple[Colour, ...]
    id_map: Mapping[int, int] | None = field(default=None, hash=False)

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)

    @property
    def ignore_index(self) -> int:
        """The target value that no loss and no score counts."""
        return ignore_index_for(self.num_classes)

    def file_ids(self) -> dict[int, int]:
        """For each class id the id in the data set's own files, as its test server wants it.

        >>> class_set("cityscapes").file_ids()[18]
        33
        """
        if self.id_map is None:
            return {index: index for index in range(self.num_classes)}
        return {index: file_id for file_id, index in self.id_map.items() if index != self.ignore_index}


def _read_tables() -> dict[str, ClassSet]:
    tables = json.loads(files("segformer_cli").joinpath("classes.json").read_text(encoding="utf-8"))
    sets = {}
    for name, table in tables.items():
        palette = tuple((red, green, blue) for red, green, blue in table["palette"])
        id_map = {int(key): value for key, value in table["id_map"].items()} if "id_map" in table else None
        sets[name] = ClassSet(name, tuple(table["class_names"]), palette, id_map)
    return sets


CLASS_SETS: Mapping[str, ClassSet] = _read_tables()


def class_set(name: str) -> ClassSet:
    """The class set called `name`.

    Raises:
        UsageError: there is no such set.
    """
    try:
        return CLASS_SETS[name.lower()]
    except KeyError:
        raise UsageError(f"there is no class set {name!r}", hint=did_you_mean(name.lower(), CLASS_SETS)) from None


def known_set(class_names: Sequence[str]) -> ClassSet | None:
    """The known set with these names in this order, whatever their case and blanks; None for others.

    One name in twenty may be spelt otherwise, as in lists that were typed off.

    >>> known_set(["Sky ", "building"]) is None
    True
    """
    wanted = [same_name(name) for name in class_names]
    for known in CLASS_SETS.values():
        same = sum(same_name(name) == other for name, other in zip(known.class_names, wanted, strict=False))
        if known.num_classes == len(wanted) and same >= 0.95 * len(wanted):
            return known
    return None


def same_name(name: str) -> str:
    """The form in which two class names are compared: lower case, blanks for - and _, none outside.

    >>> same_name("Traffic-Light ")
    'traffic light'
    """
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def ignore_index_for(num_classes: int) -> int:
    """255 for up to 255 classes, 65535 beyond."""
    return IGNORE if num_classes <= LARGEST_NARROW else IGNORE_WIDE


def mask_dtype(num_classes: int) -> Literal["uint8", "uint16"]:
    """The numpy type of masks with this many classes."""
    return "uint8" if num_classes <= LARGEST_NARROW else "uint16"


def default_palette(num_classes: int) -> tuple[Colour, ...]:
    """One colour a class, no two alike: eight that colour-blind readers tell apart, then a spread over RGB."""
    palette = list(_OKABE_ITO[:num_classes])
    taken = set(palette)
    index = 1                                   # 0 would be black, the colour of nothing in most pictures
    while len(palette) < num_classes:
        colour = _spread(index)
        index += 1
        if colour not in taken:
            palette.append(colour)
            taken.add(colour)
    return tuple(palette)


def _spread(index: int) -> Colour:
    """Point number `index` of a bijection between 24-bit numbers and colours, far-apart ones first.

    Every third bit goes to one channel, lowest bit first into the channel's highest bit, as in PASCAL VOC.
    """
    channels = [0, 0, 0]
    for bit in range(24):
        channels[bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
    return channels[0], channels[1], channels[2]
