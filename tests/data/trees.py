"""Files of data sets in miniature: pictures, and masks of every kind of PNG that data sets come in."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HW = (4, 6)
"""The size of a picture where none is said."""


def put_picture(path: Path, size_hw: tuple[int, int] = HW) -> Path:
    """A black picture, in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size_hw, 3), np.uint8)).save(path)
    return path


def put_grey(path: Path, ids: object) -> Path:
    """A grey mask of the size of a picture: 16-bit where ids are given as such, else 8-bit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(filling(ids)).save(path)
    return path


def put_palette(path: Path, ids: object) -> Path:
    """An 8-bit palette mask in the colours of VOC, as tools for labelling write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(filling(ids))
    shades = np.arange(256)
    bits = [sum((shades >> (3 * b + channel) & 1) << (7 - b) for b in range(3)) for channel in range(3)]
    image.putpalette(np.stack(bits, axis=1).astype(np.uint8).tobytes())
    image.save(path)
    return path


def put_colours(path: Path, colours: Sequence[Sequence[int]]) -> Path:
    """A mask drawn in colours, a column each, of the size of a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    row = [colours[at % len(colours)] for at in range(HW[1])]
    Image.fromarray(np.broadcast_to(np.array(row, np.uint8), (*HW, 3)).copy()).save(path)
    return path


def filling(ids: object) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Ids of the size of a picture: one everywhere, or those of a row, again and again."""
    given = np.asarray(ids)
    row = np.resize(given, HW[1]).astype(np.uint16 if given.dtype == np.uint16 else np.uint8)
    return np.broadcast_to(row, HW).copy()


def put_list(path: Path, *lines: str) -> Path:
    """A text of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def zipped(root: Path) -> Path:
    """A zip file beside a folder with all that is in it."""
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(root.parent))
    return path
