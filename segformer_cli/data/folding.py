"""The pairs of a data set, divided for cross-validation."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from segformer_cli.data.pairs import Pair, Split
from segformer_cli.errors import DataError


def fold_of(train: Split, val: Split, folds: int, number: int) -> tuple[Split, Split]:
    """What is trained on and what is validated on in fold `number` of `folds`, counted from 1.

    The pairs of both splits are dealt out in the order of a hash of their names, so that every one is validated on in
    one fold, and folds differ in size by one at most.

    Raises:
        DataError: there are fewer pairs than folds, or the two splits have other classes or ids.
    """
    pairs = [*train.pairs, *val.pairs]
    if len(pairs) < folds:
        raise DataError(f"{len(pairs)} images cannot be divided into {folds} folds", where=str(train.root))
    if train.class_names != val.class_names or not np.array_equal(train.ids, val.ids):
        raise DataError(
            "the masks of train and val hold other classes or ids, so they cannot be mixed in folds",
            where=str(train.root),
        )
    order = sorted(range(len(pairs)), key=lambda index: _hash(pairs[index]))
    held_out = set(order[number - 1 :: folds])
    note = f"fold {number} of {folds}: {len(held_out)} of {len(pairs)} images, dealt by a hash of their names, are val"
    rest = tuple(pair for index, pair in enumerate(pairs) if index not in held_out)
    chosen = tuple(pair for index, pair in enumerate(pairs) if index in held_out)
    return replace(train, pairs=rest, note=note), replace(val, pairs=chosen, note=note)


def _hash(pair: Pair) -> bytes:
    return hashlib.sha256(pair.key.encode()).digest()
