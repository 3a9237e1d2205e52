"""What the masks of a split hold of each class."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segformer_cli.data.class_statistics import ClassStatistics, count_classes
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Split
from segformer_cli.errors import DataError
from segformer_cli.progress import Progress


def split_of(folder: Path, *masks: list[list[int]], classes: int = 3) -> Split:
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for index, ids in enumerate(masks):
        mask = np.array(ids, np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{index}.png")
        Image.fromarray(np.zeros((*mask.shape, 3), np.uint8)).save(folder / "images" / f"{index}.png")
    (folder / "classes.txt").write_text("\n".join("abcdef"[:classes]))
    return open_data(str(folder), "all")


def statistics(*rows: list[int]) -> ClassStatistics:
    return ClassStatistics(np.array(rows, np.uint32))


@pytest.mark.parametrize("threads", [1, 3])
def test_pixels_are_counted_by_picture_and_class_without_ignored_ones(tmp_path: Path, threads: int) -> None:
    split = split_of(tmp_path, [[0, 0], [0, 2]], [[255, 2], [2, 2]], [[255, 255]])
    heard: list[Progress] = []
    found = count_classes(split, threads, heard.append)
    assert found.pixels.tolist() == [[3, 0, 1], [0, 0, 3], [0, 0, 0]]
    assert found.shares.tolist() == [3 / 7, 0.0, 4 / 7]
    assert [(step.done, step.total) for step in heard] == [(1, 3), (2, 3), (3, 3)]


def test_a_bad_mask_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1.png holds the id 9"):
        count_classes(split_of(tmp_path, [[0]], [[9]]), threads=2)


def test_weights_are_those_of_enet_brought_to_a_mean_of_one() -> None:
    found = statistics([60, 0, 20], [15, 0, 5]).weights()
    frequent, rare = 1 / math.log(1.02 + 0.75), 1 / math.log(1.02 + 0.25)
    mean = 0.75 * frequent + 0.25 * rare
    assert found.tolist() == pytest.approx([frequent / mean, 1.0, rare / mean])
    assert statistics([0, 0]).weights().tolist() == [1.0, 1.0]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_weights_are_finite_weigh_rare_classes_more_and_keep_the_scale_of_the_loss(counts: list[int]) -> None:
    found = statistics(counts)
    weights, shares = found.weights(), found.shares
    assert np.isfinite(weights).all() and (weights > 0).all()
    if sum(counts):
        assert (weights * shares).sum() == pytest.approx(1.0)
    shown = sorted((share, weight) for share, weight in zip(shares, weights, strict=True) if share > 0)
    assert [weight for _, weight in shown] == sorted((weight for _, weight in shown), reverse=True)


def test_a_picture_shows_a_class_from_a_thousandth_of_its_labelled_pixels_on() -> None:
    found = statistics([9_987, 10, 0, 3], [9_991, 9, 0, 0], [50, 50, 0, 0]).pictures_showing()
    assert [pictures.tolist() for pictures in found] == [[0, 1, 2], [0, 2], [], [0]]


def test_they_are_read_back_as_they_were_saved(tmp_path: Path) -> None:
    split = split_of(tmp_path, [[0, 0], [0, 2]], [[255, 2], [2, 2]])
    found = count_classes(split)
    found.save(tmp_path / "class_statistics.npz")
    again = ClassStatistics.load(tmp_path / "class_statistics.npz", split)
    assert np.array_equal(again.pixels, found.pixels)
    assert again.pixels.dtype == found.pixels.dtype


def test_those_of_other_data_or_damaged_are_refused(tmp_path: Path) -> None:
    split = split_of(tmp_path, [[0, 0], [0, 2]], [[255, 2], [2, 2]])
    path = tmp_path / "class_statistics.npz"
    with pytest.raises(DataError, match=r"cannot read class_statistics.npz"):
        ClassStatistics.load(path, split)
    count_classes(split).save(path)
    with pytest.raises(DataError, match="is of 2 x 3 pictures x classes, the data now has 1 x 3"):
        ClassStatistics.load(path, replace(split, pairs=split.pairs[:1]))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"cannot read class_statistics.npz"):
        ClassStatistics.load(path, split)
