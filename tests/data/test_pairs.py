"""Pairs in one block, and data sets in archives."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Pair, Pairs, histogram
from segformer_cli.data.sample import write_sample
from segformer_cli.places import ArchivePath
from tests.data.own_data import put_tree, targets

NAMES = st.text(st.characters(exclude_characters="\0/\\", exclude_categories=("Cs",)), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
PLACES = st.one_of(
    NAMES.map(lambda name: Path("/data") / name),
    st.tuples(NAMES, NAMES).map(lambda pair: ArchivePath(Path(f"{pair[0]}.zip"), PurePosixPath(pair[1]))),
)


@given(st.lists(st.builds(Pair, NAMES, PLACES, st.none() | PLACES), max_size=6), st.data())
def test_a_block_of_pairs_is_the_list_of_them(pairs: list[Pair], data: st.DataObject) -> None:
    block = Pairs(pairs)
    assert list(block) == pairs
    assert block == tuple(pairs)
    assert len(block) == len(pairs)
    chosen = data.draw(st.lists(st.sampled_from(range(len(pairs))))) if pairs else []
    assert list(block.at(chosen)) == [pairs[index] for index in chosen]
    start = data.draw(st.integers(-7, 7))
    assert list(block[start:][::-1]) == pairs[start:][::-1]
    assert pickle.loads(pickle.dumps(block)) == block
    with pytest.raises(IndexError):
        block[len(pairs)]


def test_a_block_is_as_small_as_its_names() -> None:
    """118287 pairs as objects are more than 100 MB, and each reading process copies them bit by bit."""
    names = [f"{number:012}" for number in range(2000)]
    pairs = Pairs(Pair(name, Path(f"/data/images/{name}.jpg"), Path(f"/d/masks/{name}.png")) for name in names)
    assert len(pickle.dumps(pairs)) < 2000 * (12 + 30 + 28 + 4 * 8)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("layout", ["", "cityscapes:"])
def test_a_data_set_in_an_archive_is_the_one_that_was_packed(tmp_path: Path, kind: str, layout: str) -> None:
    write_sample(tmp_path / "scenes", {"train": 2, "val": 2}, (64, 96))
    packed = shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path, "scenes")
    whole, inside = open_data(f"{layout}{tmp_path / 'scenes'}", "val"), open_data(f"{layout}{packed}", "val")
    assert [pair.key for pair in inside.pairs] == [pair.key for pair in whole.pairs]
    assert inside.class_names == whole.class_names
    for ours, theirs in zip(inside.pairs, whole.pairs, strict=True):
        for read, expected in zip(inside.read(ours), whole.read(theirs), strict=True):
            assert np.array_equal(read, expected)


def test_names_that_are_no_utf_8_are_kept(tmp_path: Path) -> None:
    name = os.fsdecode(b"stra\xdfe.png")
    pair = Pair("a", tmp_path / name, tmp_path / "masks" / name)
    assert list(Pairs([pair])) == [pair]


def test_data_with_such_names_is_opened_and_read(tmp_path: Path) -> None:
    root = put_tree(tmp_path, [0, 1], [1, 0])
    for folder in ("images", "masks"):
        (root / folder / "p0.png").rename(root / folder / os.fsdecode(b"stra\xdfe.png"))
    split = open_data(str(root), "all")
    assert sorted(map(tuple, targets(split).values())) == [(0, 1), (1, 0)]
    assert len(open_data(str(root), "val")) == 1


@pytest.mark.parametrize("size_hw", [(6000, 6000), (1, 36_000_000), (7, 5), (0, 4)])
def test_pixels_are_counted_exactly_in_masks_of_any_size(size_hw: tuple[int, int]) -> None:
    ids = np.zeros(size_hw, np.uint8)
    ids[:1, :1] = 7
    found = histogram(ids)
    assert (len(found), found[7], found[0]) == (256, min(1, ids.size), ids.size - min(1, ids.size))
