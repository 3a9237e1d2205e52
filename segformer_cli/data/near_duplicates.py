"""Pictures that look alike, though their files differ: a hash of 64 bits each, and those that differ in few of them.

Source: the difference hash (dHash) of N. Krawetz, "Kind of Like That", 2013.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.images import Picture

BITS = 64
_ROWS, _COLUMNS = 8, 9

LONGEST = 1000
"""Hashes that agree in a piece, of which each is compared with each."""

FLAT = 8
"""Grey levels: a picture whose 72 parts differ by less shows nothing that a hash could tell apart."""


def difference_hash(picture: Picture) -> int | None:
    """64 bits: of 8 rows of 9 parts, whether each part is brighter than the next; None of a flat picture.

    It stays nearly the same under another size, compression, brightness and contrast.

    >>> ramp = np.repeat(np.arange(72, 0, -1, np.uint8).reshape(8, 9)[..., None], 3, axis=2)
    >>> difference_hash(ramp) == 2**64 - 1, difference_hash(ramp[:, ::-1].copy()), difference_hash(ramp // 10)
    (True, 0, None)
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    parts = cv2.resize(grey, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA).astype(np.int16)
    if parts.max() - parts.min() < FLAT:
        return None
    return int.from_bytes(np.packbits(parts[:, :-1] > parts[:, 1:]).tobytes(), "big")


def neighbours(hashes: NDArray[np.uint64], distance: int) -> NDArray[np.int64]:
    """The pairs (P, 2) of places, the lower first, whose hashes differ in at most `distance` of 64 bits; in order.

    Cut into one piece more than bits may differ, two such hashes have a piece in common: only those that have one are
    compared. Equal hashes make a pair each; give every hash once where there are many. Where more than `LONGEST` agree
    in a piece, as those of pictures with the same sky may, each is compared in it with those that follow in the order
    of the hashes, and a pair that has no other piece in common may be missed.

    >>> neighbours(np.array([0b1011, 2**63, 0b0011, 0b1011], np.uint64), 1).tolist()
    [[0, 2], [0, 3], [2, 3]]
    """
    found = [_sharing(hashes, piece, distance) for piece in _pieces(distance + 1)]
    return np.unique(np.concatenate(found), axis=0)


def _pieces(count: int) -> list[np.uint64]:
    """Masks of bits that lie side by side, of nearly equal width, which together cover all."""
    ends = [BITS * place // count for place in range(count + 1)]
    return [np.uint64(2**end - 2**start) for start, end in pairwise(ends)]


def _sharing(hashes: NDArray[np.uint64], piece: np.uint64, distance: int) -> NDArray[np.int64]:
    """Those pairs that agree in a piece."""
    keys = hashes & piece
    order = np.lexsort((hashes, keys))
    keys, sorted_hashes = keys[order], hashes[order]
    found = [np.empty((0, 2), np.int64)]
    starts = np.arange(len(order))
    # Each with the next, with the one after that ..., as long as they lie in the same run of equal pieces.
    for step in range(1, min(len(order), LONGEST + 1)):
        starts = starts[starts + step < len(order)]
        starts = starts[keys[starts] == keys[starts + step]]
        if not len(starts):
            break
        near = starts[_ones(sorted_hashes[starts] ^ sorted_hashes[starts + step]) <= distance]
        found.append(np.sort(np.stack((order[near], order[near + step]), axis=1), axis=1))
    return np.concatenate(found)


def _ones(numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The bits of each number that are set; numpy counts them itself from version 2 on only."""
    octets = np.ascontiguousarray(numbers).view(np.uint8).reshape(-1, 8)
    return np.asarray(_ONES[octets].sum(axis=1, dtype=np.int64))


_ONES = np.array([bin(value).count("1") for value in range(256)], np.uint8)
