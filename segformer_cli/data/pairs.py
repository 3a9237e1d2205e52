"""One split of a data set: which picture belongs to which mask, and what the ids in the masks mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import eq
from os import fsdecode, fsencode
from pathlib import Path, PurePosixPath
from typing import overload

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.bands import as_picture, read_bands
from segformer_cli.classes import ClassSet, Colour
from segformer_cli.errors import DataError
from segformer_cli.images import Ids, Picture, Pixels, read_image, read_mask
from segformer_cli.places import ArchivePath, Place

UNKNOWN = -1

_INNER = "\0"
"""Between an archive and the name of its member: no path holds it."""


@dataclass(frozen=True)
class Pair:
    """A picture, its mask (None where the split has no labels), and the key that names both."""

    key: str
    image: Place
    mask: Place | None


class Pairs(Sequence[Pair]):
    """Pairs, kept as one block of text: any number of reading processes share it, and none copies it.

    Of a list of objects each process that looks at it makes a copy: a count of references lies beside every one.
    """

    def __init__(self, pairs: Iterable[Pair]) -> None:
        texts = [fsencode(text) for pair in pairs for text in (pair.key, _text_of(pair.image), _text_of(pair.mask))]
        self._block = np.frombuffer(b"".join(texts), np.uint8)
        self._ends = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        self._order = np.arange(len(texts) // 3)

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Pair: ...

    @overload
    def __getitem__(self, index: slice) -> Pairs: ...

    def __getitem__(self, index: int | slice) -> Pair | Pairs:
        if isinstance(index, slice):
            return self._taken(self._order[index])
        place = 3 * int(self._order[index])
        ends = self._ends[place : place + 4].tolist()
        key, image, mask = (fsdecode(self._block[a:b].tobytes()) for a, b in pairwise(ends))
        return Pair(key, _place_of(image), _place_of(mask) if mask else None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def at(self, indices: Iterable[int]) -> Pairs:
        """Those at some places, in their order."""
        return self._taken(self._order[np.fromiter(indices, np.int64)])

    def _taken(self, order: NDArray[np.int64]) -> Pairs:
        found = copy(self)
        found._order = order
        return found


@dataclass(frozen=True)
class Split:
    """The pairs of one split, and the classes their ids stand for.

    `ids` maps an id of the files to a class id or `ignore_index`: index it by the file's id; ids that
    mean nothing are `UNKNOWN`. It has 256 or 65536 entries. `note` is what to know of how the split came about.
    `read_ids` gives the ids (H, W) that a mask's file holds. `bands` are those that are read of each picture, counted
    from 1; of none, pictures are 8-bit RGB.
    """

    name: str
    data: str
    root: Place
    class_names: tuple[str, ...]
    palette: tuple[Colour, ...]
    ignore_index: int
    ids: NDArray[np.int32]
    pairs: Sequence[Pair]
    note: str | None = None
    read_ids: Callable[[Place], Ids] = read_mask
    bands: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.pairs, Pairs):
            object.__setattr__(self, "pairs", Pairs(self.pairs))

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def labelled(self) -> bool:
        """Whether every picture has a mask."""
        return all(pair.mask is not None for pair in self.pairs)

    def first(self, count: int | None) -> Split:
        """The same split cut to its first `count` pairs; None keeps all."""
        return self if count is None else replace(self, pairs=self.pairs[:count])

    def spread(self, count: int | None) -> Split:
        """The same split cut to `count` pairs, evenly spaced over it; None, or more than there are, keeps all."""
        N = len(self)
        if count is None or count >= N:
            return self
        return self.at(place * N // count for place in range(count))

    def at(self, indices: Iterable[int]) -> Split:
        """The same split with the pairs at some places, in their order."""
        assert isinstance(self.pairs, Pairs)
        return replace(self, pairs=self.pairs.at(indices))

    def read(self, pair: Pair) -> tuple[Pixels, Ids]:
        """The picture (H, W, C) and its target (H, W) of class ids.

        Raises:
            ImageError: a file cannot be read.
            DataError: the sizes differ, or the mask holds an id that means nothing.
        """
        target = self.read_target(pair)
        return self.read_reduced(pair, target.shape, target.shape), target

    def read_reduced(self, pair: Pair, target_hw: tuple[int, ...], least_hw: tuple[int, ...]) -> Pixels:
        """The picture of a pair whose target is of (H, W); a JPEG at a half, quarter or eighth of it, not below a size.

        Raises:
            ImageError: it cannot be read.
            DataError: the sizes differ.
        """
        most = min(target_hw[0] // max(1, least_hw[0]), target_hw[1] // max(1, least_hw[1]))
        divisor = next(each for each in (8, 4, 2, 1) if each <= max(1, most))
        expected = -(-target_hw[0] // divisor), -(-target_hw[1] // divisor)
        image = self.read_image(pair, divisor=divisor)
        if image.shape[:2] not in (expected, target_hw) and image.shape[1::-1] in (expected, target_hw):
            # A picture turned by its EXIF orientation whose mask was drawn on the stored pixels.
            image = self.read_image(pair, upright=False, divisor=divisor)
        if image.shape[:2] not in (expected, target_hw):
            image = self.read_image(pair)
            raise DataError(
                f"{pair.image.name} is {image.shape[0]} x {image.shape[1]}, its mask {target_hw[0]} x "
                f"{target_hw[1]} (height x width)",
                where=f"{pair.image} and {pair.mask}",
                hint="each mask must have the size of its picture",
            )
        return image

    def read_image(self, pair: Pair, *, upright: bool = True, divisor: int = 1) -> Pixels:
        """The picture (H, W, C) of one pair; see `images.read_image`.

        Raises:
            ImageError: it cannot be read.
        """
        if self.bands:
            return read_bands(pair.image, self.bands)
        return read_image(pair.image, upright=upright, divisor=divisor)

    def shown(self, pixels: Pixels) -> Picture:
        """(H, W, 3): what people see of a picture that was read; of bands the first three, or one in grey."""
        return as_picture(pixels, self.bands)

    def read_target(self, pair: Pair) -> Ids:
        """The target (H, W) of one pair: class ids and `ignore_index`."""
        if pair.mask is None:
            raise DataError(f"{pair.image.name} has no mask", where=f"split {self.name!r} of {self.root}")
        stored = self.read_ids(pair.mask)
        self._refuse_unknown(stored, pair.mask)
        wide = self.ignore_index > 255
        if stored.dtype == np.uint8 and not wide:
            return np.asarray(cv2.LUT(stored, self.ids[:256].astype(np.uint8)), np.uint8)
        target = self.ids[stored]
        return target.astype(np.uint16) if wide else target.astype(np.uint8)

    def _refuse_unknown(self, stored: Ids, path: Place) -> None:
        counts = histogram(stored)
        counts[: len(self.ids)][self.ids[: len(counts)] != UNKNOWN] = 0
        if counts.any():
            first, known = int(counts.argmax()), np.flatnonzero(self.ids != UNKNOWN)
            unknown, zero = np.flatnonzero(counts).tolist(), bool((stored == 0).any())
            K, bent = len(self.class_names), f"--map {first}=ignore passes over it"
            raise DataError(
                f"{path.name} holds the id {first} ({int(counts[first])} pixels), which is no class of {self.data}",
                where=str(path),
                hint=f"its {K} classes have the ids {_ranges(known)}; {self.or_from_one(bent, unknown, zero=zero)}",
            )

    def or_from_one(self, hint: str, unknown: Sequence[int], *, zero: bool) -> str:
        """A hint for ids that mean nothing; where masks may count from 1 with that besides, or first if none has 0."""
        if list(unknown) != [len(self.class_names)] or self.ids[0] != 0:
            return hint
        if zero:
            return f"{hint}; or do the masks count from 1? --reduce-zero"
        return f"the masks seem to count from 1: --reduce-zero; else {hint}"


def _text_of(place: Place | None) -> str:
    if isinstance(place, ArchivePath):
        return f"{place.archive}{_INNER}{place.inner.as_posix()}"
    return "" if place is None else str(place)


def _place_of(text: str) -> Place:
    path, divided, inner = text.partition(_INNER)
    return ArchivePath(Path(path), PurePosixPath(inner)) if divided else Path(path)


def identity_ids(num_classes: int, ignore_index: int, ignored: tuple[int, ...] = ()) -> NDArray[np.int32]:
    """The id table of masks whose ids are class ids; `ignored` ids and `ignore_index` are not counted."""
    ids = np.full(65536 if max(ignore_index, *ignored, 0) > 255 else 256, UNKNOWN, np.int32)
    ids[:num_classes] = np.arange(num_classes)
    ids[[ignore_index, *ignored]] = ignore_index
    return ids


def mapped_ids(classes: ClassSet) -> NDArray[np.int32]:
    """The id table of masks in the data set's own ids; ids that its map does not name mean nothing."""
    assert classes.id_map is not None
    ids = np.full(256, UNKNOWN, np.int32)
    for file_id, class_id in classes.id_map.items():
        ids[file_id] = class_id
    return ids


def histogram(ids: Ids) -> NDArray[np.int64]:
    """Pixels of each of the 256 or 65536 values; of 8 bits several times faster than `bincount`."""
    if ids.dtype != np.uint8:
        return np.bincount(ids.ravel(), minlength=65536)
    # OpenCV counts in float32, which holds every whole number up to 2**24: so many pixels at a time.
    pixels, counts = ids.ravel(), np.zeros(256, np.int64)
    for start in range(0, len(pixels), 2**24):
        counts += cv2.calcHist([pixels[start : start + 2**24]], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    return counts


def _ranges(ids: NDArray[np.int64]) -> str:
    """Ids as text: `0-18, 255`."""
    runs = np.split(ids, np.flatnonzero(np.diff(ids) != 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
