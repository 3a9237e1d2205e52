"""Pictures that a data set holds more than once, in one split or in two: byte by byte, or nearly."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from segformer_cli.data.near_duplicates import neighbours


@dataclass(frozen=True)
class Shown:
    """A picture as far as it is compared: the split's and its own place, the digest of its bytes, its hash."""

    split: int
    index: int
    digest: bytes
    alike: int | None


@dataclass(frozen=True)
class Repeat:
    """A picture that repeats another one, which comes before it; `near` where the bytes differ."""

    picture: Shown
    other: Shown
    near: bool


def repeats(
    pictures: Sequence[Shown], split_names: Sequence[str], distance: int, shared: Sequence[tuple[str, str]] = ()
) -> list[Repeat]:
    """Each picture that repeats an earlier one of its split, and each that repeats one of another split.

    Splits of which one is called within the other's name, as train and trainval, share pictures by design.

    Args:
        pictures: in the order of the splits.
        distance: bits by which the hashes of near duplicates may differ.
        shared: other splits that do so.
    """
    apart = _apart(split_names, shared)
    first: dict[tuple[int, bytes], Shown] = {}
    found = []
    for picture in pictures:
        known = first.setdefault((picture.split, picture.digest), picture)
        if known is not picture:
            found.append(Repeat(picture, known, near=False))
    by_digest: dict[bytes, list[Shown]] = {}
    for shown in first.values():
        others = by_digest.setdefault(shown.digest, [])
        other = next((each for each in others if (each.split, shown.split) in apart), None)
        if other is not None:
            found.append(Repeat(shown, other, near=False))
        others.append(shown)
    return found + list(_nearly(list(first.values()), apart, distance))


def _nearly(pictures: Sequence[Shown], apart: Container[tuple[int, int]], distance: int) -> Iterator[Repeat]:
    """Of pictures without exact copies in their split: those that are nearly another one."""
    members: dict[int, list[Shown]] = {}
    firsts: dict[int, dict[int, list[Shown]]] = {}
    for picture in pictures:
        if picture.alike is not None:
            members.setdefault(picture.alike, []).append(picture)
            # With the second, a picture that is the first's copy has another one to be like.
            of_split = firsts.setdefault(picture.alike, {}).setdefault(picture.split, [])
            of_split += [picture] * (len(of_split) < 2)
    hashes = np.array(list(members), np.uint64)
    near: dict[int, list[int]] = {value: [value] for value in members}
    if len(hashes) > 1:
        for one, other in hashes[neighbours(hashes, distance)].tolist():
            near[one].append(other)
            near[other].append(one)
    for value, group in members.items():
        for picture in group:
            earlier = [
                other
                for each in near[value]
                for of_split in firsts[each].values()
                for other in of_split
                if other.digest != picture.digest and (other.split, other.index) < (picture.split, picture.index)
            ]
            for wanted in (
                (other for other in earlier if other.split == picture.split),
                (other for other in earlier if (other.split, picture.split) in apart),
            ):
                other = next(wanted, None)
                if other is not None:
                    yield Repeat(picture, other, near=True)


def _apart(names: Sequence[str], shared: Sequence[tuple[str, str]]) -> frozenset[tuple[int, int]]:
    """The splits, by their places, that should have no picture in common."""
    return frozenset(
        (one, other)
        for (one, a), (other, b) in permutations(enumerate(names), 2)
        if a not in b and b not in a and not {(a, b), (b, a)} & set(shared)
    )
