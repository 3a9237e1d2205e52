"""How much of each class every picture shows, as one CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from segformer_cli.atomic import replacing
from segformer_cli.errors import SegFormerError
from segformer_cli.images import Ids
from segformer_cli.outputs.choosing import class_name
from segformer_cli.outputs.ground import Ground

IGNORED = "ignored"


@dataclass(frozen=True)
class Area:
    """A class in a picture. `share` is of all its pixels; `square_metres` None where it lies on no map in metres."""

    picture: str
    id: int
    name: str
    pixels: int
    share: float
    square_metres: float | None


_COLUMNS = [field.name for field in fields(Area)]


def areas(
    picture: str, mask: Ids, class_names: Sequence[str], ignore_index: int, ground: Ground | None = None
) -> list[Area]:
    """The classes that a mask (H, W) shows, by id; ignored pixels, if any, last. Their shares add up to 1.

    Raises:
        UsageError: the mask holds more classes than are named.

    >>> [(area.name, area.pixels, area.share) for area in areas("a.png", np.array([[1, 1, 1, 255]]), "ab", 255)]
    [('b', 3, 0.75), ('ignored', 1, 0.25)]
    """
    counts = np.bincount(mask.ravel())
    found = sorted(np.flatnonzero(counts).tolist(), key=lambda index: (index == ignore_index, index))
    return [
        Area(
            picture,
            index,
            IGNORED if index == ignore_index else class_name(index, class_names),
            int(counts[index]),
            float(counts[index] / mask.size),
            None if ground is None else ground.square_metres(int(counts[index])),
        )
        for index in found
    ]


def write_areas(path: Path, rows: Iterable[Area], *, add: bool = False, force: bool = False) -> Path:
    """`path`, now a CSV file with a row a picture and class, its first line naming the columns.

    Args:
        add: keep what a file that is there says of other pictures, as when a job goes on.

    Raises:
        SegFormerError: the file exists and neither `add` nor `force` is given, it is no file of areas, or it cannot
            be written.
    """
    adding = add and path.is_file()
    new = list(rows)
    with replacing(path, force=force or adding) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        if adding:
            writer.writerows(_other_rows(path, {area.picture for area in new}))
        writer.writerows(astuple(area) for area in new)
    return path


def _other_rows(path: Path, pictures: set[str]) -> Iterable[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        if header != _COLUMNS:
            raise SegFormerError(
                f"{path.name} begins with {','.join(header)[:60]!r}, a file of areas with {','.join(_COLUMNS)!r}",
                where=str(path),
                hint="write to another file, or move this one away",
            )
        yield from (row for row in rows if row and row[0] not in pictures)
