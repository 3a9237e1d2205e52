"""The ids in someone's own masks, and what they mean where no file says so."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.own_masks import read_own_mask
from segformer_cli.errors import DataError, ImageError
from tests.data.own_data import put_ids, put_picture, put_tree, targets


def test_masks_of_one_bit_are_background_and_one_class(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "a.png", 3)
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.array([[False, True, True]])).save(tmp_path / "masks" / "a.png")
    (tmp_path / "classes.txt").write_text("crack\n")
    split = open_data(str(tmp_path), "all")
    assert (split.class_names, targets(split)) == (("background", "crack"), {"a": [0, 1, 1]})


def test_a_border_of_255_around_one_named_class_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("crack\n")
    split = open_data(str(put_tree(tmp_path, [0, 1, 255])), "all")
    assert (split.class_names, targets(split)) == (("background", "crack"), {"p0": [0, 1, 255]})


@pytest.mark.parametrize("names", [None, "crack\n", "rest\ncrack\n"])
def test_black_and_white_masks_with_smooth_edges_are_refused(tmp_path: Path, names: str | None) -> None:
    put_tree(tmp_path, [0] * 50 + [255] * 50, [0] * 40 + [31, 96, 160, 223] + [255] * 40)
    if names:
        (tmp_path / "classes.txt").write_text(names)
    with pytest.raises(DataError) as caught:
        open_data(str(tmp_path), "all")
    assert caught.value.message == (
        "the masks are black and white with 4 greys between: 31 in 1 pixels of p1.png"
    )
    assert caught.value.where == str(tmp_path / "masks" / "p1.png")
    assert "smooth edges are no classes" in str(caught.value.hint)


def test_ids_beside_a_wide_background_and_border_are_classes(tmp_path: Path) -> None:
    put_tree(tmp_path, [0] * 80 + [255] * 10 + list(range(1, 11)))
    assert len(open_data(str(tmp_path), "all").class_names) == 11


def test_masks_as_those_of_ade20k_ask_for_reduce_zero(tmp_path: Path) -> None:
    put_tree(tmp_path, list(range(151)))
    with pytest.raises(DataError, match="ids from 0 to 150, as those of ADE20K") as caught:
        open_data(str(tmp_path), "all")
    assert "--reduce-zero" in str(caught.value.hint)
    split = open_data(str(tmp_path), "all", Bending(reduce_zero=True))
    assert len(split.class_names) == 150
    assert targets(split)["p0"] == [255, *range(150)]
    (tmp_path / "classes.txt").write_text("\n".join(f"c{index}" for index in range(151)))
    assert targets(open_data(str(tmp_path), "all"))["p0"] == list(range(151))


def test_more_than_256_classes_are_read_from_masks_of_16_bits(tmp_path: Path) -> None:
    row = [*range(300), 65535]
    put_tree(tmp_path, row)
    split = open_data(str(tmp_path), "all")
    assert (len(split.class_names), split.ignore_index) == (300, 65535)
    assert split.read_target(split.pairs[0]).dtype == np.uint16
    assert targets(split)["p0"] == row
    assert len(set(split.palette)) == 300
    (tmp_path / "classes.txt").write_text("\n".join(f"c{index}" for index in range(300)))
    split = open_data(str(tmp_path), "all", Bending(map=("299=ignore", "5=298")))
    assert targets(split)["p0"][295:] == [295, 296, 297, 298, 65535, 65535]
    assert targets(split)["p0"][5] == 298


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.bool_])
def test_arrays_are_masks_too(tmp_path: Path, kind: type[np.generic]) -> None:
    put_picture(tmp_path / "images" / "a.png", 3)
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "masks" / "a.npy", np.array([[0, 1, 1]], kind))
    assert targets(open_data(str(tmp_path), "all")) == {"a": [0, 1, 1]}


def test_an_array_of_more_than_256_classes_and_one_in_a_zip(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([[0, 299, 65535]], np.int32)[None])
    put_picture(tmp_path / "a.png", 3)
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "images/a.png")
        archive.writestr("masks/a.npy", buffer.getvalue())
        archive.writestr("classes.txt", "\n".join(f"c{index}" for index in range(300)))
    assert targets(open_data(str(tmp_path / "data.zip"), "all")) == {"a": [0, 299, 65535]}


@pytest.mark.parametrize(
    ("array", "words", "hint"),
    [
        (np.zeros((1, 3), np.float32), "holds float32, ids of classes are whole numbers", "astype"),
        (np.zeros((5, 2, 3), np.uint8), "is 5 x 2 x 3, a mask is height x width", "argmax"),
        (np.array([[0, -1, 1]]), "holds the values -1 to 1", "write 255"),
        (np.array([{}]), "is no array that can be read", "None"),
    ],
)
def test_an_array_of_something_else_is_refused(tmp_path: Path, array: np.ndarray, words: str, hint: str) -> None:  # type: ignore[type-arg]
    put_picture(tmp_path / "images" / "a.png", 3)
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "masks" / "a.npy", array)
    with pytest.raises(ImageError, match=f"a.npy {words}") as caught:
        open_data(str(tmp_path), "all")
    assert hint in str(caught.value.hint)


def test_a_damaged_array_is_one_error_wherever_it_is_damaged(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3), np.uint8))
    whole = (tmp_path / "a.npy").read_bytes()
    for at in range(len(whole)):
        for value in b"({'\xff\n":
            (tmp_path / "a.npy").write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            with suppress(ImageError):
                read_own_mask(tmp_path / "a.npy")


def test_pictures_without_any_mask_need_the_names_of_the_classes(tmp_path: Path) -> None:
    put_picture(tmp_path / "a.png")
    (tmp_path / "test.txt").write_text("a.png\n")
    with pytest.raises(DataError, match="no image has a mask"):
        open_data(str(tmp_path / "test.txt"), "test")
    (tmp_path / "classes.txt").write_text("road\nsky\n")
    split = open_data(str(tmp_path / "test.txt"), "test")
    assert (split.labelled, split.class_names) == (False, ("road", "sky"))


def test_a_gap_is_told_by_the_id_in_the_files(tmp_path: Path) -> None:
    put_tree(tmp_path, [1, 2, 3, 40])
    with pytest.raises(DataError, match=r"40 occurs in 1 pixels of p0\.png") as caught:
        open_data(str(tmp_path), "all", Bending(reduce_zero=True))
    assert "--map 40=ignore" in str(caught.value.hint)
    put_ids(tmp_path / "masks" / "p0.png", [0, 1, 2, 3])
    assert len(open_data(str(tmp_path), "all", Bending(reduce_zero=True)).class_names) == 3
