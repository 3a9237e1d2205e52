"""Pictures and targets decoded once and kept in one file, of which a reader maps into memory what it looks at.

Decoding takes most of the time of a crop: of a PNG of 2048 x 1024 three quarters. The file's name is a hash of all that
its values depend on, each source file's size and times of change among it, so it is never stale; any number of
processes share its pages. Who reads it holds a lock that it shares with others who do: what is locked is not deleted.
"""

from __future__ import annotations

import getpass
import hashlib
import mmap
import os
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import PIL
from numpy.typing import NDArray

from segformer_cli.atomic import replacing
from segformer_cli.data.pairs import Split
from segformer_cli.errors import SegFormerError
from segformer_cli.images import Ids, Pixels
from segformer_cli.places import changed_at
from segformer_cli.progress import Progress, ProgressListener, ignore_progress
from segformer_cli.threads import each_of

if sys.platform != "win32":             # which lets nobody delete a file that another has open
    import fcntl

FORMAT = 2
"""Of the file: one of another is not read."""

SUFFIX = ".decoded"

KINDS = (np.uint8, np.uint16, np.float32)
"""Of values of pictures, by the number that the index has for each."""

ALIGNED = 8
"""Bytes, from which every array begins."""

COLUMNS = 5
"""Of the index at the file's end, a row a pair: offset, height, width, bands, kind. Its last 8 bytes count the rows."""

SHARED_MEMORY = Path("/dev/shm")
"""A folder whose files are memory (Linux)."""

TRIES = 3
"""To open the file that was just written, before which another process may delete it."""

Where = Literal["disk", "ram"]


class Decoded:
    """A split's pairs, decoded; what it gives are views of the file, which must not be written to.

    Given to another process, it opens the file there. `close` lets others delete it, and deletes it itself where it
    lies in memory and nobody else reads it.
    """

    def __init__(self, path: Path, *, wide: bool) -> None:
        """
        Args:
            wide: targets are of 16 bits.

        Raises:
            FileNotFoundError: there is no such file.
        """
        self.path, self.wide = path, wide
        self._open()

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_RDONLY)
        self._closed = weakref.finalize(self, os.close, self._file)
        _lock(self._file, shared=True)
        self._map = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)
        rows = int.from_bytes(self._map[-8:], "little")
        start = len(self._map) - 8 - 8 * COLUMNS * rows
        self._index = np.frombuffer(self._map, np.int64, COLUMNS * rows, start).reshape(rows, COLUMNS)

    def __len__(self) -> int:
        return len(self._index)

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "wide": self.wide}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self.wide = state["path"], state["wide"]
        self._open()

    def read(self, index: int) -> tuple[Pixels, Ids]:
        """The picture (H, W, C) and its target (H, W), as `Split.read` gives them."""
        offset, height, width, bands, kind = self._index[index].tolist()
        image: NDArray[Any] = np.frombuffer(self._map, KINDS[kind], height * width * bands, offset)
        ids = np.uint16 if self.wide else np.uint8
        target = np.frombuffer(self._map, ids, height * width, _even(offset + image.nbytes))
        return image.reshape(height, width, bands), target.reshape(height, width)

    def __enter__(self) -> Decoded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """No more is read; where the file is memory, it goes with its last reader."""
        if not self._closed.alive:
            return
        if self.path.parent.parent == SHARED_MEMORY and _lock(self._file, shared=False):
            self.path.unlink(missing_ok=True)
        _unlock(self._file)         # the map has a handle of its own, which would hold it
        self._closed()


def bytes_needed(sizes: Sequence[tuple[int, int]], each: int, *, wide: bool) -> int:
    """Of the file for pictures of these (height, width), of `each` bytes a pixel.

    >>> bytes_needed([(2, 3), (4, 5)], 3, wide=False)
    208
    """
    pixels = (height * width for height, width in sizes)
    arrays = sum(_even(count * each) + _even(count * (2 if wide else 1)) for count in pixels)
    return arrays + 8 * COLUMNS * len(sizes) + 8


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
    path, wide = file_of(split, where, folder), split.ignore_index > 255
    for _ in range(TRIES):
        with suppress(OSError):             # what keeps it from being written says so
            return Decoded(path, wide=wide)
        _delete_older(path)
        _write(split, path, threads, progress)
    raise SegFormerError(
        f"{path.name} was deleted again and again by other runs", where=str(path), hint="leave out cache"
    )


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
    made_by = f"{FORMAT} {cv2.__version__} {PIL.__version__} {reader} {split.ignore_index} {split.bands}"
    digest = hashlib.sha256(made_by.encode())
    digest.update(split.ids.tobytes())
    for pair in split.pairs:
        for place in (pair.image, pair.mask):
            digest.update(f"{place} {changed_at(place) if place else ''}\n".encode())
    return digest.hexdigest()[:16]


def _write(split: Split, path: Path, threads: int, progress: ProgressListener) -> None:
    """The file, written beside its place and moved there."""
    index = np.zeros((len(split), COLUMNS), np.int64)
    end = 0
    with replacing(path, force=True) as temporary, temporary.open("wb") as file:
        _lock(file.fileno(), shared=False)
        for number, (image, target) in enumerate(each_of(split.read, split.pairs, threads, ahead=2)):
            index[number] = end, *image.shape, KINDS.index(image.dtype.type)
            for array in (image, target):
                file.write(np.ascontiguousarray(array).data)
                file.write(bytes(_even(array.nbytes) - array.nbytes))
                end += _even(array.nbytes)
            progress(Progress("decoding", number + 1, len(split), "picture"))
        file.write(index.tobytes() + len(index).to_bytes(8, "little"))


def _delete_older(path: Path) -> None:
    """Files of the same pairs as they were or were read before, and what a killed process left, unless in use."""
    prefix = path.name.partition("-")[0]
    for old in (*path.parent.glob(f"{prefix}-*"), *path.parent.glob(f".{prefix}-*")):
        with suppress(OSError), old.open("rb") as file:
            if _lock(file.fileno(), shared=False):
                old.unlink()


def _lock(file: int, *, shared: bool) -> bool:
    """Whether this process now holds the lock on an open file; no other waits for it."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _place(where: Where, folder: Path) -> Path:
    """The folder of the files; its own for each user where it is shared."""
    if where == "ram" and SHARED_MEMORY.is_dir():
        return SHARED_MEMORY / f"segformer-{_user()}"
    return folder


def _unlock(file: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_UN)


def _even(count: int) -> int:
    """The next multiple of `ALIGNED`."""
    return -(-count // ALIGNED) * ALIGNED


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):         # a container's user may have a number alone
        return str(os.getuid())
