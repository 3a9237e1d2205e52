"""Masks of single classes as COCO writes them: the lengths of runs down the columns, packed into text.

Source: the format of pycocotools' `maskApi.c`, whose output this equals.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segformer_cli.images import Ids
from segformer_cli.outputs.tracing import Whole

_BITS, _MORE, _FIRST_SIGN = 5, 0x20, 48
_MOST_SIGNS = 13
"""Signs of five bits that any whole number of 64 bits fits into."""


def class_runs(mask: Ids) -> Iterator[tuple[int, Whole]]:
    """Each id in a mask (H, W) with the lengths of its runs: pixels without, with, without ..., column by column.

    >>> [(index, runs.tolist()) for index, runs in class_runs(np.array([[1, 2], [1, 1]], np.uint8))]
    [(1, [0, 2, 1, 1]), (2, [2, 1, 1])]
    """
    flat = mask.ravel(order="F")
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]])) if mask.size else np.zeros(0, np.int64)
    ends = np.append(starts[1:], flat.size)
    values = flat[starts]
    order = np.argsort(values, kind="stable")
    ids, first = np.unique(values[order], return_index=True)
    for index, chosen in zip(ids.tolist(), np.split(order, first[1:]), strict=False):
        bounds = np.stack([starts[chosen], ends[chosen]], axis=1).ravel()
        rest = [flat.size] if bounds[-1] < flat.size else []
        yield index, np.diff(np.concatenate([[0], bounds, rest])).astype(np.int64)


def packed(runs: Whole) -> str:
    """The lengths as text: from the fourth on as what they differ from the one before last, five bits a sign.

    >>> packed(np.array([2, 1, 1]))
    '211'
    >>> packed(np.array([0, 40, 5, 30]))
    '0X15F'
    """
    steps = runs.astype(np.int64)
    steps[3:] -= runs[1:-2]
    signs = np.zeros((len(steps), _MOST_SIGNS), np.uint8)
    written = np.zeros((len(steps), _MOST_SIGNS), bool)
    left, unfinished = steps, np.ones(len(steps), bool)
    for place in range(_MOST_SIGNS):
        bits = left & (2**_BITS - 1)
        left = left >> _BITS
        written[:, place] = unfinished
        # The highest bit of the last sign is the number's sign.
        unfinished = unfinished & (left != np.where(bits & 2 ** (_BITS - 1), -1, 0))
        signs[:, place] = bits + np.where(unfinished, _MORE, 0) + _FIRST_SIGN
        if not unfinished.any():
            break
    return signs[written].tobytes().decode("ascii")


def box(runs: Whole, height: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of what the runs cover, in a picture of that height.

    >>> box(np.array([2, 1, 1]), height=2)
    (1, 0, 1, 1)
    """
    ends = np.cumsum(runs)
    starts, lasts = ends[0:-1:2], ends[1::2] - 1
    left, right = int(starts[0]) // height, int(lasts[-1]) // height
    spans = starts // height != lasts // height         # a run that goes on in the next column reaches both edges
    top = 0 if spans.any() else int((starts % height).min())
    bottom = height - 1 if spans.any() else int((lasts % height).max())
    return left, top, right - left + 1, bottom - top + 1
