"""Masks that another tool made: whose they are, and what their ids mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.cityscapes import open_split
from segformer_cli.data.mask_files import find_masks, read_as_classes
from segformer_cli.data.pairs import Pair, Split, identity_ids
from segformer_cli.data.sample import write_sample
from segformer_cli.errors import DataError, ImageError
from segformer_cli.images import MASK_SUFFIXES, write_mask


def split_of(keys: Sequence[str], classes: int = 3, ending: str = ".jpg") -> Split:
    ignore = 255 if classes <= 255 else 65535
    pairs = tuple(Pair(key, Path("images") / f"{key}{ending}", Path("masks") / f"{key}.png") for key in keys)
    names = tuple(f"class_{index}" for index in range(classes))
    colours = ((0, 0, 0),) * classes
    return Split("val", "data", Path("data"), names, colours, ignore, identity_ids(classes, ignore), pairs)


Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Makes a folder that holds empty files of these names."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / "masks" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "masks"

    return make


def found(folder: Path, keys: Sequence[str], ending: str = ".jpg") -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_masks(folder, split_of(keys, ending=ending))]


# Whose mask it is.


@pytest.mark.parametrize("suffix", [*MASK_SUFFIXES, ".PNG", ".TIFF"])
def test_a_mask_is_called_as_its_picture(folder: Folder, suffix: str) -> None:
    masks = folder(f"a{suffix}", f"b{suffix}")
    assert found(masks, ["b", "a"]) == [f"b{suffix}", f"a{suffix}"]


def test_masks_may_lie_in_folders_as_the_pictures_do_or_all_in_one(folder: Folder) -> None:
    assert found(folder("x/1.png", "y/1.png", "y/2.png"), ["x/1", "y/1", "y/2"]) == ["x/1.png", "y/1.png", "y/2.png"]


def test_pictures_of_folders_find_their_masks_in_one_folder_or_deeper_ones(folder: Folder) -> None:
    masks = folder("1.png", "some/where/2.png")
    assert found(masks, ["x/1", "y/2"]) == ["1.png", "some/where/2.png"]


def test_a_mask_may_be_called_as_the_file_of_its_picture(folder: Folder) -> None:
    masks = folder("bonn_1_leftImg8bit.png", "ulm_2_pred.png", "ulm_3_leftImg8bit_pred.png")
    keys = ["bonn_1", "ulm_2", "ulm_3"]
    assert found(masks, keys, ending="_leftImg8bit.png") == [
        "bonn_1_leftImg8bit.png", "ulm_2_pred.png", "ulm_3_leftImg8bit_pred.png"
    ]


def test_a_name_with_more_after_it_counts_where_there_is_no_equal_one(folder: Folder) -> None:
    masks = folder("a.png", "a_overlay.png", "b_pred.png")
    assert found(masks, ["a", "b"]) == ["a.png", "b_pred.png"]


def test_an_overlay_is_no_mask_unless_its_picture_is_called_so(folder: Folder) -> None:
    masks = folder("a_overlay.png", "b_overlay.png")
    with pytest.raises(DataError, match=r"no mask found for 1 of 2 images \(first: a\)"):
        found(masks, ["a", "b_overlay"])
    assert found(masks, ["b_overlay"]) == ["b_overlay.png"]


def test_a_name_with_more_after_it_is_of_the_picture_with_the_longest_name(folder: Folder) -> None:
    masks = folder("a_pred.png", "a_b_pred.png", "a_b_c_pred.png")
    assert found(masks, ["a", "a_b_c", "a_b"]) == ["a_pred.png", "a_b_c_pred.png", "a_b_pred.png"]


def test_hidden_files_and_other_kinds_of_file_are_no_masks(folder: Folder) -> None:
    masks = folder("a.png", ".a.png", "._a_x.png", "a.jpg", "a.txt", "a.npz", "notes/a.json")
    assert found(masks, ["a"]) == ["a.png"]


def test_names_with_dots_stay_whole(folder: Folder) -> None:
    assert found(folder("a.1.png", "a.2.png"), ["a.1", "a.2"]) == ["a.1.png", "a.2.png"]


# What is not certain is refused.


def test_missing_masks_are_counted_and_what_lies_there_is_said(folder: Folder) -> None:
    masks = folder("a.png", "x.png", "y.png", "z.png")
    with pytest.raises(DataError, match=r"no mask found for 2 of 3 images \(first: b\)") as caught:
        found(masks, ["a", "b", "c"])
    assert caught.value.where == f"looked for b.png below {masks}; found a.png, x.png, y.png and 1 more"
    assert "--limit" in str(caught.value.hint)


def test_only_the_masks_of_the_first_pictures_are_asked_for_where_that_is_the_limit(folder: Folder) -> None:
    masks = folder("a_pred.png", "a_b_pred.png")
    split = split_of(["a", "a_b", "c"])
    assert find_masks(masks, split, 1) == (masks / "a_pred.png",)    # the other is of a_b, though a_b is not asked for
    assert find_masks(masks, split, 2) == (masks / "a_pred.png", masks / "a_b_pred.png")
    with pytest.raises(DataError, match=r"no mask found for 1 of 3 images \(first: c\)"):
        find_masks(masks, split, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp"])
def test_masks_that_lost_their_ids_are_named_as_the_reason(folder: Folder, suffix: str) -> None:
    with pytest.raises(DataError, match="no mask found for 1 of 1 images") as caught:
        found(folder(f"a{suffix}"), ["a"])
    assert caught.value.hint == (
        f"a{suffix} is no mask: masks must be lossless, JPEG blurs class ids; save them as PNG"
    )
    assert str(caught.value.where).endswith(f"found a{suffix}")


def test_an_empty_folder_and_none_at_all_are_told_apart(tmp_path: Path, folder: Folder) -> None:
    with pytest.raises(DataError) as caught:
        found(folder("readme.txt"), ["a"])
    assert "found no masks" in str(caught.value.where)
    with pytest.raises(DataError, match="there is no folder"):
        find_masks(tmp_path / "nowhere", split_of(["a"]))
    with pytest.raises(DataError, match="there is no folder"):
        find_masks(folder("a.png") / "a.png", split_of(["a"]))


@pytest.mark.parametrize("names", [("a.png", "a.tif"), ("a.png", "old/a.png"), ("a_x.png", "a_y.png")])
def test_two_masks_of_one_picture_are_refused(folder: Folder, names: tuple[str, str]) -> None:
    masks = folder(*names)
    with pytest.raises(DataError, match="2 masks could be that of a") as caught:
        found(masks, ["a"])
    assert all(str(masks / name) in str(caught.value.where) for name in names)


def test_the_mask_of_another_picture_is_not_taken_for_a_missing_one(folder: Folder) -> None:
    with pytest.raises(DataError, match=r"no mask found for 1 of 2 images \(first: a\)"):
        found(folder("a_b.png"), ["a", "a_b"])
    with pytest.raises(DataError, match=r"no mask found for 1 of 2 images \(first: y/1\)"):
        found(folder("x/1.png"), ["x/1", "y/1"])


def test_one_mask_is_not_taken_for_two_pictures(folder: Folder) -> None:
    masks = folder("1.png")
    (masks / "x").mkdir()
    with pytest.raises(DataError, match=r"1\.png could be the mask of x/1 and of y/1") as caught:
        found(masks, ["x/1", "y/1"])
    assert caught.value.where == str(masks / "1.png")
    assert caught.value.hint == "lay the masks in folders as the pictures lie"


# What the ids mean.


def saved(path: Path, ids: np.ndarray) -> Path:
    Image.fromarray(ids).save(path)
    return path


def test_ids_that_are_no_class_become_one_more_class(tmp_path: Path) -> None:
    ids = np.array([[0, 1, 2, 3, 77, 255]], np.uint8)
    read = read_as_classes(saved(tmp_path / "a.png", ids), split_of("a"), ids)
    assert read.tolist() == [[0, 1, 2, 3, 3, 3]]
    assert read.dtype == np.uint8


def test_a_palette_mask_is_read_by_its_indices_not_its_colours(tmp_path: Path) -> None:
    ids = np.array([[2, 0], [1, 2]], np.uint8)
    path = write_mask(tmp_path / "a.png", ids, ((9, 8, 7), (200, 0, 0), (0, 0, 250)))
    assert np.array_equal(read_as_classes(path, split_of("a"), ids), ids)


def test_more_than_255_classes_are_read_from_16_bits(tmp_path: Path) -> None:
    ids = np.array([[0, 255, 256, 299, 300, 65535]], np.uint16)
    read = read_as_classes(saved(tmp_path / "a.png", ids), split_of("a", classes=300), ids)
    assert read.tolist() == [[0, 255, 256, 299, 300, 300]]


@pytest.mark.parametrize("classes", [254, 255])
def test_with_255_classes_the_ignored_value_is_no_class(tmp_path: Path, classes: int) -> None:
    ids = np.array([[0, classes - 1, 255]], np.uint8)
    read = read_as_classes(saved(tmp_path / "a.png", ids), split_of("a", classes=classes), ids)
    assert read.tolist() == [[0, classes - 1, classes]]


def test_ids_of_cityscapes_files_become_its_classes(tmp_path: Path) -> None:
    write_sample(tmp_path / "city", {"val": 1}, (32, 64))
    split = open_split(tmp_path / "city", "val")
    ids = np.array([[7, 8, 26, 33, 0, 29, 255]], np.uint8)  # road, sidewalk, car, bicycle, unlabelled, caravan, plate
    path = saved(tmp_path / "a.png", ids)
    assert read_as_classes(path, split, ids, file_ids=True).tolist() == [[0, 1, 13, 18, 19, 19, 19]]
    assert read_as_classes(path, split, ids).tolist() == [[7, 8, 19, 19, 0, 19, 19]]
    assert class_set("cityscapes").class_names[13] == "car"
    wide = saved(tmp_path / "b.png", np.array([[7, 300]], np.uint16))
    assert read_as_classes(wide, split, ids[:, :2], file_ids=True).tolist() == [[0, 19]]


def test_ids_of_files_beyond_the_table_of_the_data_are_no_class_and_never_wrap_around(tmp_path: Path) -> None:
    wide = np.array([[0, 7, 255, 256, 263, 65535]], np.uint16)
    path = saved(tmp_path / "a.png", wide)
    few = read_as_classes(path, split_of("a", classes=8), wide, file_ids=True)
    assert few.tolist() == [[0, 7, 8, 8, 8, 8]]
    many = read_as_classes(path, split_of("a", classes=300), wide, file_ids=True)
    assert many.tolist() == [[0, 7, 255, 256, 263, 300]]
    most = read_as_classes(path, split_of("a", classes=255), wide, file_ids=True)
    assert (most.tolist(), most.dtype) == ([[0, 7, 255, 255, 255, 255]], np.uint8)


def test_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(DataError, match=r"a\.png is 4 x 6, its target 6 x 4 \(height x width\)") as caught:
        read_as_classes(path, split_of("a"), np.zeros((6, 4), np.uint8))
    assert caught.value.where == str(path)
    assert "nearest neighbour" in str(caught.value.hint)


def test_colours_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    with pytest.raises(ImageError, match="a mask of class ids is one channel") as caught:
        read_as_classes(path, split_of("a"), np.zeros((2, 2), np.uint8))
    assert caught.value.where == str(path)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_class_ids_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    classes = data.draw(st.integers(2, 255))
    height, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    values = data.draw(st.lists(st.integers(0, classes - 1), min_size=height * width, max_size=height * width))
    ids = np.array(values, np.uint8).reshape(height, width)
    path = write_mask(tmp_path_factory.mktemp("masks") / "a.png", ids, ((1, 2, 3),))
    assert np.array_equal(read_as_classes(path, split_of("a", classes=classes), ids), ids)
