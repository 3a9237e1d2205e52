"""What is counted under every corruption: whole numbers, picture by picture, kept on disk so that a run can go on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segformer_cli.atomic import replacing
from segformer_cli.data.pairs import Split
from segformer_cli.engine.corrupted import CorruptedMask
from segformer_cli.engine.scoring import hash_of_target
from segformer_cli.errors import DataError
from segformer_cli.metrics.bootstrap import ImageCounts
from segformer_cli.metrics.calibration import BINS, confidence_counts
from segformer_cli.metrics.confusion import Counts, confusion_matrix
from segformer_cli.robustness.protocols import Cell
from segformer_cli.workflows.results import DAMAGED

_ARRAYS = ("settings", "confusion", "stability", "confidence", "indices", "target_sha256", "pixels")
"""Of each file of the state."""


@dataclass(frozen=True, eq=False)
class PictureCounts:
    """One picture through all cells: right, predicted and true pixels of each class, (C, 3, K) int32."""

    target_hash: str
    pixels: NDArray[np.int32]


class RobustCounts:
    """Sums over the pictures that are through all cells; a picture that failed on its way leaves nothing behind.

    C cells, the clean picture first; K classes.
    """

    def __init__(self, split: Split, cells: Sequence[Cell], *, confident: bool = False) -> None:
        self.split, self.confident = split, confident
        self.place: Mapping[Cell | None, int] = {cell: at for at, cell in enumerate((None, *cells))}
        self._shape = len(self.place), len(split.class_names)
        self._sums = _Sums(*self._shape)
        self._unsaved = _Sums(*self._shape)
        self.damaged = 0
        self.pictures: dict[int, PictureCounts] = {}
        self.failed: dict[int, str] = {}
        self._on_the_way: dict[int, _Picture] = {}
        self._saved: set[int] = set()

    @property
    def confusion(self) -> Counts:
        """(C, K, K): row = true class, column = predicted one."""
        return self._sums.confusion

    @property
    def stability(self) -> Counts:
        """(C, K, K): row = class of the clean mask, column = class of the corrupted one."""
        return self._sums.stability

    @property
    def confidence(self) -> Counts:
        """(C, BINS, 3), as `confidence_counts` has them; all 0 unless `confident`."""
        return self._sums.confidence

    @property
    def done(self) -> frozenset[int]:
        """Indices of the pictures that need not be taken again."""
        return frozenset(self.pictures) | frozenset(self.failed)

    @property
    def cells_done(self) -> int:
        """Over all pictures; a picture that failed counts as one that is through."""
        return len(self.done) * self._shape[0] + sum(picture.cells for picture in self._on_the_way.values())

    def add(self, each: CorruptedMask) -> None:
        """One cell of a picture that is on its way."""
        if each.index not in self._on_the_way:
            self._on_the_way[each.index] = _Picture(_Sums(*self._shape), hash_of_target(each.target))
        picture = self._on_the_way[each.index]
        picture.cells += 1
        sums, at, K, ignore = picture.sums, self.place[each.cell], self._shape[1], self.split.ignore_index
        sums.confusion[at] = confusion_matrix(each.target, each.mask, K, ignore)
        sums.stability[at] = confusion_matrix(each.clean_mask, each.mask, K, ignore)
        if each.confidence is not None:
            counted = each.target != ignore
            sums.confidence[at] = confidence_counts(each.confidence[counted], (each.target == each.mask)[counted])

    def close(self, index: int) -> None:
        """The picture is through all cells."""
        picture = self._on_the_way.pop(index)
        self._sums.add(picture.sums)
        self._unsaved.add(picture.sums)
        pixels = [(np.diag(each), each.sum(0), each.sum(1)) for each in picture.sums.confusion]
        self.pictures[index] = PictureCounts(picture.target_hash, np.array(pixels, np.int32))

    def fail(self, index: int, error: str) -> None:
        """The picture could not be taken through all cells."""
        self._on_the_way.pop(index, None)
        self.failed[index] = error

    def counts(self, cell: Cell | None, among: Sequence[int] | None = None) -> ImageCounts:
        """Of each picture under one cell, in the order of the split.

        Args:
            among: indices; None: every picture that is through.
        """
        order = sorted(self.pictures if among is None else set(among) & set(self.pictures))
        pixels = np.zeros((len(order), 3, self._shape[1]), np.int64)
        for row, index in enumerate(order):
            pixels[row] = self.pictures[index].pixels[self.place[cell]]
        keys = tuple(self.split.pairs[index].key for index in order)
        return ImageCounts(keys, tuple(self.pictures[index].target_hash for index in order), *pixels.transpose(1, 0, 2))

    def save(self, folder: Path, settings: Mapping[str, object]) -> None:
        """What came since the last call, in one file more of `folder`; all its files together are the state.

        Raises:
            SegFormerError: it cannot be written.
        """
        fresh = sorted(set(self.pictures) - self._saved)
        if not fresh:
            return
        with replacing(folder / f"{fresh[0]:06d}.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                settings=np.array(_text(settings)),
                confusion=self._unsaved.confusion,
                stability=self._unsaved.stability,
                confidence=self._unsaved.confidence,
                indices=np.array(fresh, np.int64),
                target_sha256=np.array([self.pictures[index].target_hash for index in fresh]),
                pixels=np.array([self.pictures[index].pixels for index in fresh]),
            )
        self._saved.update(fresh)
        self._unsaved = _Sums(*self._shape)

    def load(self, folder: Path, settings: Mapping[str, object]) -> None:
        """Goes on from what `save` wrote; a folder that is not there is no state.

        A file of it that is damaged goes: its pictures are taken again.

        Raises:
            DataError: the state is that of a run with other settings.
        """
        for path in sorted(folder.glob("*.npz")):
            saved = _read_or_remove(path)
            if saved is None:
                self.damaged += 1
                continue
            if str(saved["settings"]) != _text(settings):
                raise _of_another_run(path, json.loads(str(saved["settings"])), json.loads(_text(settings)))
            self._sums.confusion += saved["confusion"]
            self._sums.stability += saved["stability"]
            self._sums.confidence += saved["confidence"]
            for row, index in enumerate(saved["indices"].tolist()):
                self.pictures[index] = PictureCounts(str(saved["target_sha256"][row]), saved["pixels"][row])
        self._saved = set(self.pictures)


def _read_or_remove(path: Path) -> dict[str, NDArray[Any]] | None:
    """A file of a state; None where it was damaged, and is gone now."""
    with suppress(DataError):
        return _read(path)
    path.unlink()
    return None


def saved_settings(folder: Path) -> str | None:
    """What the state in a folder was made with, as `save` wrote it; None where there is no readable state."""
    first = next(iter(sorted(folder.glob("*.npz"))), None)
    with suppress(DataError):
        return None if first is None else str(_read(first)["settings"])
    return None


def forget(folder: Path) -> None:
    """No state lies in `folder` any more."""
    for path in folder.glob("*.npz"):
        path.unlink()


def _text(settings: Mapping[str, object]) -> str:
    return json.dumps(settings, sort_keys=True)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in _ARRAYS}
    except (OSError, *DAMAGED) as error:
        raise DataError(
            f"what a stopped run goes on from cannot be read: {error}",
            where=str(path),
            hint="--force starts the run again",
        ) from error


def _of_another_run(path: Path, theirs: Mapping[str, object], ours: Mapping[str, object]) -> DataError:
    other = sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name))
    return DataError(
        f"an unfinished run lies there that differs in {', '.join(other)}",
        where=str(path.parent.parent),
        hint="name another folder with -o; --force starts this one again",
    )


class _Sums:
    """Matrices of one picture, or of several added up."""

    def __init__(self, cells: int, classes: int) -> None:
        self.confusion: Counts = np.zeros((cells, classes, classes), np.int64)
        self.stability: Counts = np.zeros((cells, classes, classes), np.int64)
        self.confidence: Counts = np.zeros((cells, BINS, 3), np.int64)

    def add(self, other: _Sums) -> None:
        self.confusion += other.confusion
        self.stability += other.stability
        self.confidence += other.confidence


@dataclass(eq=False)
class _Picture:
    """A picture on its way, through so many `cells`."""

    sums: _Sums
    target_hash: str
    cells: int = 0
