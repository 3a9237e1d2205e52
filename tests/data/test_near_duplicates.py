from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segformer_cli.data.near_duplicates import difference_hash, neighbours

HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=12)


def picture(seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    blocks = np.random.default_rng(seed).integers(0, 255, (9, 12, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(blocks, (240, 180), interpolation=cv2.INTER_CUBIC), np.uint8)


def bits(one: int | None, other: int | None) -> int:
    assert one is not None and other is not None
    return bin(one ^ other).count("1")


@settings(max_examples=60, deadline=None)
@given(HASHES, st.integers(0, 8), st.data())
def test_neighbours_are_those_that_comparing_all_pairs_finds(
    hashes: list[int], distance: int, data: st.DataObject
) -> None:
    flips = st.tuples(st.integers(0, max(0, len(hashes) - 1)), st.sets(st.integers(0, 63), max_size=9))
    if hashes:                                  # some that lie near others, of which random ones have none
        for at, flipped in data.draw(st.lists(flips, max_size=6)):
            hashes.append(hashes[at] ^ sum(1 << bit for bit in flipped))
    wanted = [
        [i, j]
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if bin(hashes[i] ^ hashes[j]).count("1") <= distance
    ]
    assert neighbours(np.array(hashes, np.uint64), distance).tolist() == wanted


@pytest.mark.parametrize("changed", ["smaller", "compressed", "darker"])
def test_a_copy_that_is_resized_recompressed_or_darker_has_nearly_the_same_hash(changed: str) -> None:
    whole = picture()
    if changed == "smaller":
        other = np.asarray(cv2.resize(whole, (120, 90), interpolation=cv2.INTER_AREA), np.uint8)
    elif changed == "compressed":
        other = np.asarray(cv2.imdecode(cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1), np.uint8)
    else:
        other = (whole * 0.7).astype(np.uint8)
    assert bits(difference_hash(whole), difference_hash(other)) <= 3


def test_other_pictures_have_other_hashes() -> None:
    found = [difference_hash(picture(seed)) for seed in range(40)]
    assert min(bits(a, b) for at, a in enumerate(found) for b in found[:at]) > 8


def test_a_flat_picture_has_no_hash_since_all_flat_ones_would_look_alike() -> None:
    assert difference_hash(np.full((40, 60, 3), 90, np.uint8)) is None


def test_of_very_many_that_agree_in_a_piece_the_nearest_are_compared() -> None:
    many = np.unique(np.random.default_rng(0).integers(0, 2**63, 20_000, dtype=np.uint64) & np.uint64(2**32 - 1))
    copies = many[::100] ^ np.uint64(2**16 + 1)             # which have no short run of equal pieces in common
    hashes = np.concatenate((many, copies))
    found = {tuple(pair) for pair in neighbours(hashes, 3).tolist()}
    assert {(100 * at, len(many) + at) for at in range(len(copies))} <= found
