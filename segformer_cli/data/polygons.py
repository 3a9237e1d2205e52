"""Masks drawn from polygons, as ultralytics' label files hold them: `class x y x y ...` a line."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.data.upright import is_turned, stored_size
from segformer_cli.errors import DataError, ImageError
from segformer_cli.images import PICTURE_SUFFIXES, Ids
from segformer_cli.places import Place, swapped

LABELS = "labels"
LABEL_SUFFIX = ".txt"


@dataclass(frozen=True)
class PolygonMasks:
    """Reads label files: smaller objects on top, what none covers is background.

    Of several classes the background is one more, after them; a single one is 1, and the background 0. The place that
    is read is a label file, in whose path `images` for `labels` leads to the picture; or, of a picture without objects,
    that itself.
    """

    num_names: int
    images: str = "images"

    @property
    def background(self) -> int:
        """The id where nothing is drawn."""
        return 0 if self.num_names == 1 else self.num_names

    def class_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The classes that come of the objects' names."""
        return ("background", *names) if self.num_names == 1 else (*names, "background")

    def __call__(self, place: Place) -> Ids:
        """The ids (H, W), uint8, at the upright size of the picture.

        Raises:
            DataError: a line is no polygon of a known class.
            ImageError: the picture cannot be read.
        """
        labelled = place.suffix.lower() == LABEL_SUFFIX
        height, width = _size_hw(self._picture(place) if labelled else place)
        ids = np.full((height, width), self.background, np.uint8)
        objects = [self._object(line, number, place) for number, line in _lines(place)] if labelled else []
        drawn = [(index, (points * (width, height)).astype(np.int32)) for index, points in objects]
        for index, points in sorted(drawn, key=lambda each: -cv2.contourArea(each[1])):
            cv2.fillPoly(ids, [points], index + (self.num_names == 1))
        return ids

    def _picture(self, place: Place) -> Place:
        folder = swapped(place.parent, LABELS, self.images)
        assert folder is not None
        for suffix in (each for known in PICTURE_SUFFIXES for each in (known, known.upper())):
            if (picture := folder / f"{place.stem}{suffix}").is_file():
                return picture
        raise ImageError(f"{place.name} has no picture", where=f"looked for {folder / place.stem}.jpg, .png ...")

    def _object(self, line: str, number: int, place: Place) -> tuple[int, NDArray[np.float64]]:
        """The class and the corners (N, 2), x before y."""
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            values = []
        where = f"{place}, line {number}: {line[:60]!r}"
        if len(values) == 5:
            raise DataError(f"line {number} of {place.name} is a box, no polygon", where=where,
                            hint="boxes do not say which pixels are the object's: take labels made for segmentation")
        if len(values) < 7 or len(values) % 2 == 0:
            raise DataError(f"line {number} of {place.name} is no polygon", where=where,
                            hint="a line is the class and three or more corners: class x1 y1 x2 y2 x3 y3")
        index, corners = int(values[0]), np.asarray(values[1:]).reshape(-1, 2)
        if index != values[0] or not 0 <= index < self.num_names:
            raise DataError(f"line {number} of {place.name} is of class {line.split()[0]}", where=where,
                            hint=f"the data has {self.num_names} classes, counted from 0")
        if corners.min() < 0 or corners.max() > 1.01:
            raise DataError(f"line {number} of {place.name} leaves the picture", where=where,
                            hint="corners are shares of the width and the height, from 0 to 1")
        return index, corners


def _lines(place: Place) -> list[tuple[int, str]]:
    return [(number, line) for number, line in enumerate(place.read_text("utf-8").splitlines(), 1) if line.strip()]


def _size_hw(picture: Place) -> tuple[int, int]:
    """A picture's upright size, from its header."""
    try:
        stored_hw, orientation = stored_size(picture.read_bytes())
    except OSError:
        stored_hw, orientation = None, 1
    if stored_hw is None:
        raise ImageError(f"{picture.name} is no picture that can be read", where=str(picture))
    return stored_hw[::-1] if is_turned(orientation) else stored_hw
