"""Pictures and targets decoded once and kept in one file, of which a reader maps into memory what it looks at.

Decoding takes most of the time of a crop: of a PNG of 2048 x 1024 three quarters. The file's name is a hash of all that
its values depend on, each source file's size and time of change among it, so it is never stale; any number of processes
share its pages.
"""

from __future__ import annotations

import getpass
import hashlib
import mmap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segformer_cli.atomic import replacing
from segformer_cli.data.pairs import Split
from segformer_cli.images import Ids, Picture
from segformer_cli.places import changed_at
from segformer_cli.progress import Progress, ProgressListener, ignore_progress
from segformer_cli.threads import each_of

FORMAT = 1
"""Of the file: one of another is not read."""

SUFFIX = ".decoded"
ALIGNED = 8
"""Bytes, from which every array begins."""

SHARED_MEMORY = Path("/dev/shm")
"""A folder whose files are memory (Linux)."""

Where = Literal["disk", "ram"]


class Decoded:
    """A split's pairs, decoded; what it gives are views of the file, which must not be written to.

    Given to another process, it opens the file there.
    """

    def __init__(self, path: Path, pages: NDArray[np.int64], wide: bool) -> None:
        self.path = path
        self._pages, self._wide = pages, wide
        self._map: mmap.mmap | None = None

    def __len__(self) -> int:
        return len(self._pages)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_map": None}

    def read(self, index: int) -> tuple[Picture, Ids]:
        """The picture (H, W, C) and its target (H, W), as `Split.read` gives them."""
        if self._map is None:
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        offset, height, width, bands = self._pages[index].tolist()
        image = np.frombuffer(self._map, np.uint8, height * width * bands, offset).reshape(height, width, bands)
        ids = np.uint16 if self._wide else np.uint8
        target = np.frombuffer(self._map, ids, height * width, _even(offset + image.size)).reshape(height, width)
        return image, target


def bytes_needed(sizes: Sequence[tuple[int, int]], bands: int, wide: bool) -> int:
    """Of the file for pictures of these (height, width).

    >>> bytes_needed([(2, 3), (4, 5)], 3, False)
    120
    """
    return sum(_even(height * width * bands) + _even(height * width * (2 if wide else 1)) for height, width in sizes)


def decoded(
    split: Split, where: Where, folder: Path, threads: int = 1, progress: ProgressListener = ignore_progress
) -> Decoded:
    """The split decoded, from the file of an earlier time where one holds the same; older ones of the same pairs go.

    Args:
        folder: where files are kept; with `ram`, one that is memory is taken instead where the system has it.
        threads: that decode at the same time.

    Raises:
        SegFormerError: a picture or mask cannot be read, or the file cannot be written.
    """
    path = file_of(split, where, folder)
    index = path.with_suffix(".npy")
    if not (path.is_file() and index.is_file()):
        for old in path.parent.glob(f"{path.name.partition('-')[0]}-*"):
            with suppress(OSError):
                old.unlink()
        pages = _write(split, path, threads, progress)
        with replacing(index, force=True) as temporary:
            np.save(temporary, pages)
    return Decoded(path, np.load(index), wide=split.ignore_index > 255)


def file_of(split: Split, where: Where, folder: Path) -> Path:
    """The file that `decoded` reads or writes."""
    which = hashlib.sha256(f"{split.root}".encode())
    for pair in split.pairs:
        which.update(f" {pair.key}".encode())
    return _place(where, folder) / f"{which.hexdigest()[:8]}-{fingerprint(split)}{SUFFIX}"


def fingerprint(split: Split) -> str:
    """A hash of all that the decoded values depend on."""
    # A function is told by its name, a table of colours by its values.
    reader = getattr(split.read_ids, "__qualname__", repr(split.read_ids))
    digest = hashlib.sha256(f"{FORMAT} {reader} {split.ignore_index}".encode())
    digest.update(split.ids.tobytes())
    for pair in split.pairs:
        for place in (pair.image, pair.mask):
            digest.update(f"{place} {changed_at(place) if place else ''}\n".encode())
    return digest.hexdigest()[:16]


def _write(split: Split, path: Path, threads: int, progress: ProgressListener) -> NDArray[np.int64]:
    """The file, written beside its place and moved there; (N, 4) offset, height, width, bands of each picture."""
    pages = np.zeros((len(split), 4), np.int64)
    end = 0
    with replacing(path, force=True) as temporary, temporary.open("wb") as file:
        for index, (image, target) in enumerate(each_of(split.read, split.pairs, threads, ahead=2)):
            pages[index] = end, *image.shape
            for array in (image, target):
                file.write(np.ascontiguousarray(array).data)
                file.write(bytes(_even(array.nbytes) - array.nbytes))
                end += _even(array.nbytes)
            progress(Progress("decoding", index + 1, len(split), "picture"))
    return pages


def _place(where: Where, folder: Path) -> Path:
    """The folder of the files; its own for each user where it is shared."""
    if where == "ram" and SHARED_MEMORY.is_dir():
        return SHARED_MEMORY / f"segformer-{getpass.getuser()}"
    return folder


def _even(count: int) -> int:
    """The next multiple of `ALIGNED`."""
    return -(-count // ALIGNED) * ALIGNED
