"""How much of each class every picture of a split shows, counted in one pass over its masks; and what follows.

Letters: N pictures, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from segformer_cli.atomic import replacing
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.errors import DataError
from segformer_cli.progress import Progress, ProgressListener, ignore_progress
from segformer_cli.threads import each_of

STATISTICS = "class_statistics.npz"
"""The file of a run that keeps them."""

ENET = 1.02
"""Bounds a weight by 1 / ln(1.02), fifty times that of a class that fills everything."""

SHOWN = 0.001
"""Of a picture's labelled pixels: less of a class is gone at half the size, or a slip of the pen."""


@dataclass(frozen=True, eq=False)
class ClassStatistics:
    """Labelled pixels (N, K) of each class in each picture, in the order of the split."""

    pixels: NDArray[np.uint32]

    @property
    def shares(self) -> NDArray[np.float64]:
        """(K,) of the labelled pixels of all pictures.

        >>> ClassStatistics(np.array([[6, 2, 0], [0, 0, 0]], np.uint32)).shares.tolist()
        [0.75, 0.25, 0.0]
        """
        of_class = self.pixels.sum(0, dtype=np.int64)
        return np.asarray(of_class / max(1, of_class.sum()))

    def weights(self) -> NDArray[np.float64]:
        """(K,) for the losses of pixels: 1 / ln(1.02 + share), whose mean over all labelled pixels is made 1.

        A class without a pixel weighs 1: there is nothing to balance. Source: ENet (Paszke et al., arXiv 1606.02147,
        section 5.2).
        """
        shares = self.shares
        bounded = 1 / np.log(ENET + shares)
        mean = (shares * bounded).sum()
        return np.where(shares > 0, bounded / mean, 1.0) if mean > 0 else np.ones_like(shares)

    def pictures_showing(self, least: float = SHOWN) -> tuple[NDArray[np.int64], ...]:
        """For each class the numbers of the pictures that show it.

        Args:
            least: the share of a picture's labelled pixels that shows a class; where no picture has so much of
                one, any pixel does.
        """
        of_picture = np.maximum(self.pixels.sum(1, dtype=np.int64), 1)[:, None]
        clear, any_pixel = self.pixels >= least * of_picture, self.pixels > 0
        shown = np.where((clear & any_pixel).any(0), clear & any_pixel, any_pixel)
        return tuple(np.flatnonzero(shown[:, index]) for index in range(shown.shape[1]))

    def save(self, path: Path) -> None:
        """Written over `path` in one move."""
        with replacing(path, force=True) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, pixels=self.pixels)

    @classmethod
    def load(cls, path: Path, split: Split) -> ClassStatistics:
        """What `save` wrote of a split.

        Raises:
            DataError: the file is missing or damaged, or the split has other pictures or classes by now.
        """
        hint = "the run cannot go on without it: start it again"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                pixels = stored["pixels"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DataError(f"cannot read {path.name}", where=str(path), hint=hint) from error
        wanted = len(split), len(split.class_names)
        if pixels.shape != wanted:
            raise DataError(
                f"{path.name} is of {' x '.join(map(str, pixels.shape))} pictures x classes, the data now has "
                f"{wanted[0]} x {wanted[1]}",
                where=str(path),
                hint="restore the pictures that the run was started with, or start it again",
            )
        return cls(pixels)


def count_classes(
    split: Split, threads: int = 1, progress: ProgressListener = ignore_progress
) -> ClassStatistics:
    """The statistics of a split, each of whose masks is read once.

    Raises:
        DataError, ImageError: a mask cannot be read, or holds an id that means nothing.
    """
    pixels = np.zeros((len(split), len(split.class_names)), np.uint32)
    for index, counted in enumerate(each_of(_counting(split), split.pairs, threads)):
        pixels[index] = counted
        progress(Progress("classes", index + 1, len(split), "mask"))
    return ClassStatistics(pixels)


def _counting(split: Split) -> Callable[[Pair], NDArray[np.int64]]:
    K = len(split.class_names)

    def count(pair: Pair) -> NDArray[np.int64]:
        return np.bincount(split.read_target(pair).ravel(), minlength=K)[:K]

    return count
