"""CamVid with its original 32 labels, in the trees of its download, of fastai and of Kaggle, and grouped into 11."""

from __future__ import annotations

from pathlib import Path

import pytest

from segformer_cli.classes import class_set
from segformer_cli.data.layouts import camvid
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.errors import DataError
from tests.data.trees import put_colours, put_grey, put_list, put_picture, zipped

ALL = class_set("camvid32")
CODES = (*ALL.class_names[:30], "Void", "Wall")
"""The order of label_colors.txt and of fastai's codes.txt."""
ROAD, CAR, WALL = (ALL.class_names.index(name) for name in ("Road", "Car", "Wall"))
DRAWN = [ALL.palette[ROAD], ALL.palette[CAR], (0, 0, 0), ALL.palette[WALL]]
IN_ALL = [ROAD, CAR, 255, WALL, ROAD, CAR]
IN_11 = [3, 8, 255, 1, 3, 8]
FRAMES = {"train": "0006R0_f00930", "val": "0016E5_08001", "test": "Seq05VD_f00000"}


def put_original(root: Path) -> Path:
    """701_StillsRaw_full.zip and LabeledApproved_full.zip."""
    for stem in FRAMES.values():
        put_picture(root / f"701_StillsRaw_full/{stem}.png")
        put_colours(root / f"LabeledApproved_full/{stem}_L.png", DRAWN)
    lines = [f"{r} {g} {b}\t\t{name}" for name, (r, g, b) in zip(ALL.class_names, ALL.palette, strict=True)]
    put_list(root / "label_colors.txt", *lines)
    return root


def put_fastai(root: Path, valid: bool = True) -> Path:
    for stem in FRAMES.values():
        put_picture(root / f"images/{stem}.png")
        put_grey(root / f"labels/{stem}_P.png", [ROAD, CAR, 30, 31])
    put_list(root / "codes.txt", *CODES)
    if valid:
        put_list(root / "valid.txt", f"{FRAMES['val']}.png")
    return root


def put_kaggle(root: Path) -> Path:
    for split, stem in FRAMES.items():
        put_picture(root / f"{split}/{stem}.png")
        put_colours(root / f"{split}_labels/{stem}_L.png", DRAWN)
    lines = [f"{name},{r},{g},{b}" for name, (r, g, b) in zip(ALL.class_names, ALL.palette, strict=True)]
    put_list(root / "class_dict.csv", "name,r,g,b", *lines)
    return root


@pytest.mark.parametrize("put", [put_original, put_fastai, put_kaggle])
def test_each_tree_is_recognised_and_void_is_ignored(tmp_path: Path, put: object) -> None:
    root = put(tmp_path / "CamVid")  # type: ignore[operator]
    assert layout_name(str(root)) == "camvid32"
    split = open_data(str(root), "val")
    assert (split.class_names, len(split.class_names)) == (ALL.class_names, 31)
    assert [pair.key for pair in split.pairs] == [FRAMES["val"]]
    assert split.read(split.pairs[0])[1][0].tolist() == IN_ALL


@pytest.mark.parametrize("put", [put_original, put_fastai, put_kaggle])
def test_asked_for_as_camvid_the_classes_are_grouped_into_11(tmp_path: Path, put: object) -> None:
    split = open_data(f"camvid:{put(tmp_path)}", "train")  # type: ignore[operator]
    assert (split.data, split.class_names) == ("camvid", class_set("camvid").class_names)
    assert split.read(split.pairs[0])[1][0].tolist() == IN_11
    assert "grouped into 11" in str(split.note)


def test_each_original_class_is_in_one_group() -> None:
    grouped = [name for group in camvid.GROUPS.values() for name in group]
    assert sorted(grouped) == sorted(ALL.class_names)
    assert tuple(camvid.GROUPS) == class_set("camvid").class_names


@pytest.mark.parametrize("split", FRAMES)
def test_frames_that_nothing_divides_are_divided_as_segnets_copy_is(tmp_path: Path, split: str) -> None:
    for root in (put_original(tmp_path / "original"), put_fastai(tmp_path / "fastai", valid=False)):
        found = open_data(str(root), split)
        assert [pair.key for pair in found.pairs] == [FRAMES[split]]
        assert found.note == "divided as SegNet's copy is"


def test_fastais_list_divides_its_copy(tmp_path: Path) -> None:
    train = open_data(str(put_fastai(tmp_path)), "train")
    assert [pair.key for pair in train.pairs] == [FRAMES["train"], FRAMES["test"]]
    assert train.note == "divided by valid.txt"
    with pytest.raises(DataError, match="has no split 'test'"):
        open_data(str(tmp_path), "test")


def test_the_ids_of_fastais_copy_are_what_codes_txt_says(tmp_path: Path) -> None:
    root = put_fastai(tmp_path)
    put_list(root / "codes.txt", *CODES[::-1])
    for stem in FRAMES.values():
        put_grey(root / f"labels/{stem}_P.png", [31 - ROAD, 31 - CAR, 1, 0])
    split = open_data(str(root), "val")
    assert split.read_target(split.pairs[0])[0].tolist() == IN_ALL
    put_list(root / "codes.txt", "Road", "Hovercraft")
    with pytest.raises(DataError, match=r"codes\.txt names 'Hovercraft', which is no class of CamVid"):
        open_data(str(root), "val")


def test_without_codes_txt_the_ids_are_in_the_order_of_the_alphabet(tmp_path: Path) -> None:
    (put_fastai(tmp_path) / "codes.txt").unlink()
    split = open_data(str(tmp_path), "val")
    assert split.read_target(split.pairs[0])[0].tolist() == IN_ALL


def test_a_missing_label_and_a_colour_of_no_class_are_told(tmp_path: Path) -> None:
    root = put_kaggle(tmp_path)
    put_colours(root / f"val_labels/{FRAMES['val']}_L.png", [DRAWN[0], (128, 64, 127)])
    split = open_data(str(root), "val")
    with pytest.raises(DataError, match=r"holds the colour \(128, 64, 127\) \(12 pixels\)") as caught:
        split.read_target(split.pairs[0])
    assert "is (128, 64, 128), Road" in str(caught.value.hint)
    put_picture(root / "train/0006R0_f00960.png")
    with pytest.raises(DataError, match=r"1 of 2 images \(first: train/0006R0_f00960\.png\)"):
        open_data(str(root), "train")


def test_it_is_read_from_a_zip(tmp_path: Path) -> None:
    split = open_data(str(zipped(put_kaggle(tmp_path / "camvid"))), "test")
    assert split.read(split.pairs[0])[1][0].tolist() == IN_ALL


def test_a_folder_of_ones_own_with_train_and_train_labels_is_not_taken(tmp_path: Path) -> None:
    put_picture(tmp_path / "images/a.png")
    put_grey(tmp_path / "labels/a.png", [0, 1])
    assert layout_name(str(tmp_path)) == "folder"
