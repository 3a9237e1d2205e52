"""Ids bent to other classes, over any layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segformer_cli.data.bending import Bending, bend, shifted
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import UNKNOWN, Split, identity_ids
from segformer_cli.errors import DataError, UsageError
from tests.data.own_data import put_ids, put_picture, put_tree, targets

NAMES = ("road", "sky", "car")


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """Three named classes in masks of stray ids: 204 and 11."""
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    return put_tree(tmp_path, [0, 1, 2, 204, 11, 255])


def test_an_id_becomes_a_class_by_number_by_name_or_is_ignored(named: Path) -> None:
    split = open_data(str(named), "all", Bending(map=("204=1", "11=ignore")))
    assert targets(split) == {"p0": [0, 1, 2, 1, 255, 255]}
    assert targets(open_data(str(named), "all", Bending(map=("204= Car", "11=road")))) == {"p0": [0, 1, 2, 2, 0, 255]}


def test_several_ids_become_one_class_and_the_classes_stay(named: Path) -> None:
    split = open_data(str(named), "all", Bending(map=("204=1", "11=1", "2=1", "255=0")))
    assert targets(split) == {"p0": [0, 1, 1, 1, 1, 0]}
    assert split.class_names == NAMES


def test_ids_that_are_not_bent_still_mean_nothing(named: Path) -> None:
    split = open_data(str(named), "all", Bending(map=("204=1",)))
    with pytest.raises(DataError, match=r"p0\.png holds the id 11") as caught:
        targets(split)
    assert "--map 11=ignore" in str(caught.value.hint)


def test_published_layouts_are_bent_by_the_ids_of_their_files(tmp_path: Path) -> None:
    put_picture(tmp_path / "leftImg8bit/val/bonn/bonn_0_0_leftImg8bit.png", 3)
    put_ids(tmp_path / "gtFine/val/bonn/bonn_0_0_gtFine_labelIds.png", [7, 9, 25])
    split = open_data(str(tmp_path), "val", Bending(map=("9=road", "25=person")))
    assert targets(split) == {"bonn_0_0": [0, 0, 11]}
    assert len(split.class_names) == 19
    with pytest.raises(UsageError, match="--reduce-zero is for data of your own: the layout cityscapes"):
        open_data(str(tmp_path), "val", Bending(reduce_zero=True))


def test_a_wide_id_is_bent_in_wide_masks(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    put_tree(tmp_path, [0, 1, 40000])
    assert targets(open_data(str(tmp_path), "all", Bending(map=("40000=2",)))) == {"p0": [0, 1, 2]}


@pytest.mark.parametrize(
    ("entries", "words", "hint"),
    [
        (("204",), "--map '204' is no ID=CLASS", "--map 204=1"),
        (("road=1",), "--map 'road=1' is no ID=CLASS", "ID is what the mask files hold"),
        (("-1=1",), "--map '-1=1' is no ID=CLASS", ""),
        (("204=",), "--map '204=' is no ID=CLASS", ""),
        (("70000=1",), "there is no id 70000, ids lie in 0 to 65535", ""),
        (("204=1", "204=2"), "--map says both 204=1 and 204=2", "an id becomes one class"),
        (("204=3",), "--map 204=3: .* has no class 3", "has 3 classes: 0 road, 1 sky, 2 car"),
        (("204=rode",), "--map 204=rode: .* has no class rode", "did you mean road?"),
    ],
)
def test_what_has_no_meaning_is_one_clear_error(named: Path, entries: tuple[str, ...], words: str, hint: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        open_data(str(named), "all", Bending(map=entries))
    assert hint in str(caught.value.hint)


def test_saying_the_same_twice_is_no_contradiction(named: Path) -> None:
    assert len(open_data(str(named), "all", Bending(map=("204=1", "204=1", "11=0")))) == 1


def test_reduce_zero_ignores_0_and_counts_the_classes_from_1(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    put_tree(tmp_path, [0, 1, 2, 3, 255])
    split = open_data(str(tmp_path), "all", Bending(reduce_zero=True))
    assert targets(split) == {"p0": [255, 0, 1, 2, 255]}
    assert split.class_names == NAMES
    with pytest.raises(DataError, match=r"p0\.png holds the id 3") as caught:
        targets(open_data(str(tmp_path), "all"))
    assert str(caught.value.hint).endswith("; or do the masks count from 1? --reduce-zero")
    put_tree(tmp_path, [1, 2, 3, 255])
    with pytest.raises(DataError, match=r"p0\.png holds the id 3") as caught:
        targets(open_data(str(tmp_path), "all"))
    assert "the masks seem to count from 1: --reduce-zero; else --map 3=ignore" in str(caught.value.hint)


def test_reduce_zero_and_a_map_are_of_the_ids_in_the_files(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    put_tree(tmp_path, [0, 1, 2, 3, 9])
    bending = Bending(map=("9=sky", "1=ignore"), reduce_zero=True)
    assert targets(open_data(str(tmp_path), "all", bending)) == {"p0": [255, 255, 1, 2, 1]}


def test_reduce_zero_contradicts_a_class_for_0_and_a_name_for_what_it_drops(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("Background\nroad\nsky\n")
    put_tree(tmp_path, [0, 1, 2])
    with pytest.raises(UsageError, match=r"--reduce-zero drops the id 0, and classes\.txt names it 'Background'"):
        open_data(str(tmp_path), "all", Bending(reduce_zero=True))
    (tmp_path / "classes.txt").write_text("road\nsky\n")
    with pytest.raises(UsageError, match="--reduce-zero ignores the id 0, and --map 0=1 makes it a class"):
        open_data(str(tmp_path), "all", Bending(map=("0=1",), reduce_zero=True))


def test_classes_without_names_are_those_of_the_bent_ids(tmp_path: Path) -> None:
    put_tree(tmp_path, [0, 1, 204, 255])
    split = open_data(str(tmp_path), "all", Bending(map=("204=2",)))
    assert (split.class_names, targets(split)) == (("class_0", "class_1", "class_2"), {"p0": [0, 1, 2, 255]})
    split = open_data(str(tmp_path), "all", Bending(map=("204=ignore",)))
    assert (len(split.class_names), targets(split)) == (2, {"p0": [0, 1, 255, 255]})
    split = open_data(str(tmp_path), "all", Bending(map=("204=2",), reduce_zero=True))
    assert (len(split.class_names), targets(split)) == (3, {"p0": [255, 0, 2, 255]})


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("77=1", "--map 77=1: no mask holds the id 77"),
        ("204=sky", "--map 204=sky: the classes of .* have no names"),
        ("204=99", "--map makes 99 a class, and ids 2 to 98 never occur"),
    ],
)
def test_a_map_of_classes_without_names_must_fit_the_masks(tmp_path: Path, entry: str, words: str) -> None:
    put_tree(tmp_path, [0, 1, 204, 255])
    with pytest.raises(UsageError, match=words):
        open_data(str(tmp_path), "all", Bending(map=(entry,)))


def test_one_drawn_id_can_be_bent_to_the_one_named_class(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("crack\n")
    put_tree(tmp_path, [0, 128, 200])
    split = open_data(str(tmp_path), "all", Bending(map=("128=crack", "200=ignore")))
    assert (split.class_names, targets(split)) == (("background", "crack"), {"p0": [0, 1, 255]})


def test_what_is_said_above_stands_over_what_is_said_below() -> None:
    above = Bending(mask_suffix="_a.png", map=("1=2",))
    below = Bending(image_suffix="_i.png", mask_suffix="_b.png", map=("1=0", "3=ignore"), reduce_zero=True)
    assert above.over(below) == Bending("_i.png", "_a.png", ("3=ignore", "1=2"), True)


@settings(max_examples=50)
@given(st.integers(2, 300), st.dictionaries(st.integers(0, 400), st.integers(0, 299), max_size=5))
def test_only_what_is_mapped_is_read_otherwise(classes: int, mapped: dict[int, int]) -> None:
    mapped = {index: target for index, target in mapped.items() if target < classes}
    ignore = 255 if classes <= 255 else 65535
    ids = identity_ids(classes, ignore)
    names = tuple(f"c{index}" for index in range(classes))
    split = Split("val", "data", Path("data"), names, ((0, 0, 0),) * classes, ignore, ids, ())
    bent = bend(split, Bending(map=tuple(f"{index}={target}" for index, target in mapped.items()))).ids
    for index in range(400):
        before = ids[index] if index < len(ids) else UNKNOWN
        after = bent[index] if index < len(bent) else UNKNOWN
        assert after == mapped.get(index, before)


def test_a_shifted_table_has_each_class_one_higher_and_ignores_what_was_ignored() -> None:
    ids = shifted(identity_ids(3, 255, (65535,)), 255)
    assert ids[:5].tolist() == [255, 0, 1, 2, UNKNOWN]
    assert (ids[255], ids[256], ids[65535]) == (255, UNKNOWN, 255)
    wide = shifted(identity_ids(300, 65535), 65535)
    assert (wide[0], wide[1], wide[300]) == (65535, 0, 299)
    assert np.count_nonzero(wide != UNKNOWN) == 302
