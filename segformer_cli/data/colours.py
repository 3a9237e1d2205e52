"""Masks drawn in colours: which colour stands for which class, and ids of what is drawn.

A colour becomes the place it has in a table; what is drawn in none of the table's colours is an error, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import Colour, ignore_index_for
from segformer_cli.errors import DataError
from segformer_cli.images import Ids, Picture, read_image
from segformer_cli.places import Place

_STRIPE = 1 << 20
"""Pixels looked up at a time: a tile of an aerial picture has tens of millions."""


@dataclass(frozen=True)
class ColourTable:
    """Reads masks drawn in colours: the id of a pixel is the place of its colour in `colours`.

    Pixels in a colour of `ignored` get `ignore_index`, 255 for up to 255 colours and 65535 beyond, so that
    `identity_ids(len(colours), table.ignore_index)` is the `ids` of a split whose classes are the colours, and
    `read_ids=ColourTable(...)` its reader. `names` are those of the classes, for what errors say. A pixel's channels
    may each be off by `tolerance`, for masks that are known to have been drawn carelessly.

    Raises:
        DataError: two entries have the same colour: nothing tells them apart in a mask.
        ValueError: `tolerance` makes two of them overlap.

    >>> ColourTable(((0, 0, 0), (9, 9, 9), (0, 0, 0)), names=("road", "sky", "car"))
    Traceback (most recent call last):
    segformer_cli.errors.DataError: the colour (0, 0, 0) stands for road and for car
    ...
    """

    colours: tuple[Colour, ...]
    ignored: tuple[Colour, ...] = ()
    names: tuple[str, ...] = field(default=(), compare=False)
    tolerance: int = 0

    def __post_init__(self) -> None:
        taken: dict[Colour, str] = {}
        for index, colour in enumerate((*self.colours, *self.ignored)):
            name = self._name(index)
            if colour in taken:
                raise DataError(
                    f"the colour {colour} stands for {taken[colour]} and for {name}",
                    hint="masks in these colours cannot be read back into classes: use masks of ids",
                )
            taken[colour] = name
        for one, other in combinations(taken, 2) if self.tolerance else ():
            if max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 2 * self.tolerance:
                raise ValueError(f"{one} and {other} overlap with a tolerance of {self.tolerance}")

    @property
    def ignore_index(self) -> int:
        """The id of pixels in an ignored colour."""
        return ignore_index_for(len(self.colours))

    def __call__(self, place: Place) -> Ids:
        """The ids (H, W) of a mask drawn in colours, uint8 or uint16; a palette PNG is read by its colours.

        Raises:
            ImageError: it cannot be read.
            DataError: it holds a colour that is none of the table.
        """
        picture = read_image(place, upright=False)
        places = _places(self.colours, self.ignored, self.tolerance)
        ids = np.empty(picture.shape[:2], np.uint8 if self.ignore_index < 256 else np.uint16)
        rows = max(1, _STRIPE // max(1, picture.shape[1]))
        for top in range(0, len(picture), rows):
            found = places[_packed(picture[top : top + rows])]
            if not found.all():
                raise self._stranger(picture, places, place)
            ids[top : top + rows] = found - 1
        return ids

    def _stranger(self, picture: Picture, places: NDArray[np.int32], place: Place) -> DataError:
        """Of the colours that are none of the table, the one of most pixels."""
        codes = _packed(picture)
        strangers, counts = np.unique(codes[places[codes] == 0], return_counts=True)
        code, pixels = int(strangers[counts.argmax()]), int(counts.max())
        colour = (code & 255, code >> 8 & 255, code >> 16)
        table = np.asarray((*self.colours, *self.ignored), np.int64).reshape(-1, 3)
        nearest = int(np.square(table - colour).sum(axis=1).argmin())
        more = f", and {len(strangers) - 1} more such colours" if len(strangers) > 1 else ""
        return DataError(
            f"{place.name} holds the colour {colour} ({pixels} pixels), which stands for no class{more}",
            where=str(place),
            hint=f"the nearest of the {len(table)} known colours is {tuple(table[nearest].tolist())}, "
            f"{self._name(nearest)}{_reason(place, strangers)}",
        )

    def _name(self, index: int) -> str:
        """What an entry stands for, as errors call it."""
        if index >= len(self.colours):
            return "what is ignored"
        return self.names[index] if index < len(self.names) else f"class {index}"


def _packed(picture: Picture) -> NDArray[np.uint32]:
    """Each pixel's colour as one number, red in its lowest byte."""
    opaque = np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA), np.uint8)
    packed: NDArray[np.uint32] = np.bitwise_and(opaque.view(np.uint32)[..., 0], np.uint32(0xFFFFFF))
    return packed


@lru_cache(maxsize=4)
def _places(colours: tuple[Colour, ...], ignored: tuple[Colour, ...], tolerance: int) -> NDArray[np.int32]:
    """For each of the 2**24 colours its id and one more; 0 for those that stand for nothing.

    Of all these zeros only the pages that a lookup touches take memory.
    """
    places = np.zeros((256, 256, 256), np.int32)            # blue, green, red
    ids = [*range(len(colours)), *[ignore_index_for(len(colours))] * len(ignored)]
    for colour, index in zip((*colours, *ignored), ids, strict=True):
        red, green, blue = (slice(max(0, channel - tolerance), channel + tolerance + 1) for channel in colour)
        places[blue, green, red] = index + 1
    return places.reshape(-1)


def _reason(place: Place, strangers: NDArray[np.uint32]) -> str:
    """What is likely amiss, judged by the colours that stand for nothing."""
    if place.suffix.lower() in (".jpg", ".jpeg"):
        return "; JPEG blurs colours: keep such masks as PNG"
    if len(strangers) > 1 and all(code & 255 == code >> 8 & 255 == code >> 16 for code in strangers.tolist()):
        return "; the pixels are grey: are they ids of classes, not colours?"
    return "; were the masks resized or recompressed? Colours must be those of the table to the last digit"
