"""Probabilities of the classes, in half precision, written strip by strip: all of them, or the largest few.

Read back: `numpy.load(path)["probabilities"]`, `zarr.open(path)["probabilities"]`, (H, W, K). Of the largest k there is
`ids` too, both (H, W, k), the most probable first. `class_names` (K,) says what the ids mean: an array of the .npz, an
attribute of the .zarr. A pixel's probabilities add up to 1 within 2^-11 + K 2^-25, the rounding of float16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import mask_dtype
from segformer_cli.errors import ImageError, UsageError
from segformer_cli.images import Ids
from segformer_cli.outputs.array_files import Shapes, npz_file, zarr_file

Probabilities = NDArray[np.floating[Any]]
"""(h, W, K), 0..1: some rows of a picture."""

_FILES: Mapping[str, Callable[..., AbstractContextManager[Callable[[Mapping[str, NDArray[Any]]], None]]]] = {
    ".npz": npz_file,
    ".zarr": zarr_file,
}


@contextmanager
def probability_file(
    path: Path, size_hw: tuple[int, int], class_names: Sequence[str], *, most: int | None = None, force: bool = False
) -> Iterator[Callable[[Probabilities], None]]:
    """What takes the strips of a picture, (h, W, K), from its top to its bottom; `path` is there when all are.

    Only the strip at hand is in memory. An array (K, h, W), as networks give it, is `numpy.moveaxis(array, 0, 2)`.
    Strips of float16 are written as they are: torch's `.half()` rounds the same way, a hundred times as fast as numpy.

    Args:
        path: ends in .npz or .zarr.
        most: keep the largest so many of each pixel, and their ids, chosen before rounding.

    Raises:
        UsageError: another suffix, or `most` is not in 1..K.
        EnvironmentLacksError: .zarr, and zarr is not installed.
        ImageError: a strip holds what is no number.
        SegFormerError: the file exists and `force` is not given, or it cannot be written.
        ValueError: the strips are not of this size.
    """
    K = len(class_names)
    if path.suffix.lower() not in _FILES:
        raise UsageError(f"probabilities are not written as {path.suffix!r}", hint="use .npz or .zarr")
    if most is not None and not 1 <= most <= K:
        raise UsageError(f"the largest {most} of {K} probabilities are asked for", hint=f"1 to {K}")
    height, width = size_hw
    kept = K if most is None else most
    shapes: Shapes = {"probabilities": ((height, width, kept), np.dtype(np.float16))}
    if most is not None:
        shapes["ids"] = ((height, width, kept), np.dtype(mask_dtype(K)))
    rows = 0
    with _FILES[path.suffix.lower()](path, shapes, class_names, force=force) as append:

        def add(strip: Probabilities) -> None:
            nonlocal rows
            if strip.shape[1:] != (width, K) or rows + len(strip) > height:
                raise ValueError(f"strip {strip.shape} after {rows} rows of {height} x {width} with {K} classes")
            _refuse_no_numbers(strip, rows, path)
            append(_halved(strip, most))
            rows += len(strip)

        yield add
        if rows != height:
            raise ValueError(f"{rows} of {height} rows were given")


def largest(strip: Probabilities, most: int) -> tuple[Ids, Probabilities]:
    """Ids and values of the largest of each pixel, both (h, W, most), largest first, of equals the lower id.

    >>> ids, values = largest(np.array([[[0.25, 0.5, 0.25]]]), 2)
    >>> ids.tolist(), values.tolist()
    ([[[1, 0]]], [[[0.5, 0.25]]])
    """
    left = strip.copy()
    ids = np.empty((*strip.shape[:2], most), mask_dtype(strip.shape[2]))
    values = np.empty(ids.shape, strip.dtype)
    for place in range(most):
        best = left.argmax(axis=2)[..., None]
        ids[..., place] = best[..., 0]
        values[..., place] = np.take_along_axis(left, best, axis=2)[..., 0]
        np.put_along_axis(left, best, -1, axis=2)
    return ids, values


def _halved(strip: Probabilities, most: int | None) -> dict[str, NDArray[Any]]:
    if most is None:
        return {"probabilities": strip.astype(np.float16, order="C", copy=False)}
    ids, values = largest(strip, most)
    return {"probabilities": values.astype(np.float16), "ids": ids}


def _refuse_no_numbers(strip: Probabilities, top: int, path: Path) -> None:
    if np.isfinite(strip).all():
        return
    row, column, class_id = (int(index) for index in np.argwhere(~np.isfinite(strip))[0])
    raise ImageError(
        f"the probability of class {class_id} in row {top + row}, column {column} is {strip[row, column, class_id]}",
        where=str(path),
        hint="a network whose outputs are no numbers is damaged, or overflows in fp16: try --precision fp32",
    )
