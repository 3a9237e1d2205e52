"""Two folders: lists of names beside them, and masks drawn in colours with the table that says what these mean."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.errors import DataError
from tests.data.own_data import put_colours, put_ids, put_picture, put_tree, targets

ROAD, SKY, CAR, BLACK = (128, 64, 128), (70, 130, 180), (0, 0, 142), (0, 0, 0)


def put_lists(root: Path, folder: str, **names: str) -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for split, lines in names.items():
        (root / folder / f"{split}.txt").write_text(lines)


@pytest.mark.parametrize("folder", [".", "splits", "ImageSets", "ImageSets/Segmentation"])
def test_lists_of_names_divide_the_pictures(tmp_path: Path, folder: str) -> None:
    put_tree(tmp_path, [0, 1], [0, 0], [1, 1])
    put_lists(tmp_path, folder, train="p2\np0\n", val="images/p1.png\n", test="")
    assert layout_name(str(tmp_path)) == "folder"
    train, val = (open_data(str(tmp_path), split) for split in ("train", "val"))
    assert ([pair.key for pair in train.pairs], [pair.key for pair in val.pairs]) == (["p2", "p0"], ["p1"])
    assert train.note is None
    with pytest.raises(DataError, match="has no split 'all'"):
        open_data(str(tmp_path), "all")


def test_lists_of_segmentation_may_have_names_of_their_own_and_flags(tmp_path: Path) -> None:
    put_tree(tmp_path, [0, 1], [0, 0])
    put_lists(tmp_path, "ImageSets/Segmentation", train="p0  1\n", trainaug="p0 -1\np1  1\n", valid="p1\n")
    assert len(open_data(str(tmp_path), "trainaug")) == 2
    assert len(open_data(str(tmp_path), "val")) == 1


def test_other_texts_beside_two_folders_divide_nothing(tmp_path: Path) -> None:
    put_tree(tmp_path, [0, 1], [0, 0])
    put_lists(tmp_path, ".", readme="see the paper\n", trainaug="p0\n")
    put_lists(tmp_path, "ImageSets/Segmentation", default="p0\np1\n")
    assert len(open_data(str(tmp_path), "all")) == 2


def test_a_name_in_a_list_that_is_no_picture_is_told_with_its_line(tmp_path: Path) -> None:
    put_tree(tmp_path, [0, 1], [0, 0])
    put_lists(tmp_path, ".", train="p0\np7\np8\n", val="p1\np1\n")
    with pytest.raises(DataError, match=r"2 lines of train\.txt name no image") as caught:
        open_data(str(tmp_path), "train")
    assert caught.value.message.endswith("(first: line 2, p7)")
    put_lists(tmp_path, ".", train="p0\n")
    with pytest.raises(DataError, match=r"val\.txt names p1 in line 1 and in line 2"):
        open_data(str(tmp_path), "val")


def test_splits_may_lie_beside_each_other(tmp_path: Path) -> None:
    for split in ("train", "val"):
        put_picture(tmp_path / split / "a.jpg")
        put_ids(tmp_path / f"{split}_masks" / "a.png", [0, 1, 2, 2])
    assert targets(open_data(str(tmp_path), "val")) == {"a": [0, 1, 2, 2]}


def put_cvat(root: Path, palette: bool = False) -> Path:
    """What CVAT exports as `Segmentation mask 1.1`, with images."""
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\nsky:70,130,180::\n"
    )
    for split, name in (("train", "a"), ("val", "b")):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(f"{name}\n")
        put_picture(root / "JPEGImages" / f"{name}.jpg", 3)
        put_colours(root / "SegmentationObject" / f"{name}.png", [BLACK, (1, 2, 3), (4, 5, 6)])
        path = put_colours(root / "SegmentationClass" / f"{name}.png", [BLACK, ROAD, SKY])
        if palette:
            image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
            image.putpalette([*BLACK, *ROAD, *SKY])
            image.save(path)
    return root


@pytest.mark.parametrize("palette", [False, True])
def test_an_export_of_cvat_is_read_by_its_labelmap(tmp_path: Path, palette: bool) -> None:
    root = put_cvat(tmp_path / "task", palette)
    assert layout_name(str(root)) == "folder"
    split = open_data(str(root), "train")
    assert split.class_names == ("background", "road", "sky")
    assert split.palette == (BLACK, ROAD, SKY)
    assert targets(split) == {"a": [0, 1, 2]}


def test_an_export_of_cvat_is_read_in_its_zip_and_by_other_processes(tmp_path: Path) -> None:
    root = put_cvat(tmp_path / "task")
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root).as_posix())
    split = pickle.loads(pickle.dumps(open_data(str(tmp_path / "task.zip"), "val")))
    assert targets(split) == {"b": [0, 1, 2]}


TABLES = {
    "classes.csv": "name,r,g,b\nroad,128,64,128\nsky,70,130,180\nVoid,0,0,0\n",
    "class_dict.csv": "name, r, g, b\n\nroad,128,64,128\nsky,70,130,180\nunknown,0,0,0\n",
    "label_colors.txt": "128 64 128\t\troad\n70 130 180\tsky\n0 0 0\tVoid\n",
    "labelmap.txt": "road:128,64,128::\nsky:70,130,180::\nunlabeled:0,0,0::\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_masks_in_colours_are_read_by_the_table_beside_them_and_void_is_ignored(tmp_path: Path, name: str) -> None:
    put_picture(tmp_path / "images" / "a.png", 3)
    put_colours(tmp_path / "masks" / "a.png", [SKY, ROAD, BLACK])
    (tmp_path / name).write_text(TABLES[name])
    split = open_data(str(tmp_path), "all")
    assert (split.class_names, split.palette) == (("road", "sky"), (ROAD, SKY))
    assert targets(split) == {"a": [1, 0, 255]}


@pytest.mark.parametrize("name", TABLES)
def test_masks_of_ids_beside_a_table_of_colours_count_its_lines(tmp_path: Path, name: str) -> None:
    put_tree(tmp_path, [1, 0, 2, 255])
    (tmp_path / name).write_text(TABLES[name])
    split = open_data(str(tmp_path), "all")
    assert (split.class_names, targets(split)) == (("road", "sky"), {"p0": [1, 0, 255, 255]})


def test_names_of_ids_do_not_keep_a_table_of_colours_from_masks_in_colours(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "a.png", 2)
    put_colours(tmp_path / "masks" / "a.png", [SKY, ROAD])
    (tmp_path / "classes.txt").write_text("road\nsky\n")
    (tmp_path / "classes.csv").write_text(TABLES["classes.csv"])
    assert targets(open_data(str(tmp_path), "all")) == {"a": [1, 0]}


def test_masks_in_colours_without_a_table_say_what_to_write(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "a.png", 2)
    put_colours(tmp_path / "masks" / "a.png", [SKY, ROAD])
    with pytest.raises(DataError, match=r"the masks are drawn in colours \(a.png\)") as caught:
        open_data(str(tmp_path), "all")
    assert "classes.csv, class_dict.csv" in str(caught.value.where)
    assert "name,r,g,b" in str(caught.value.hint)


def test_ids_in_three_equal_channels_need_no_table(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "a.png", 2)
    put_colours(tmp_path / "masks" / "a.png", [(0, 0, 0), (1, 1, 1)])
    assert targets(open_data(str(tmp_path), "all")) == {"a": [0, 1]}


def test_a_table_whose_colours_repeat_is_refused_with_its_file(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "a.png", 2)
    put_colours(tmp_path / "masks" / "a.png", [SKY, ROAD])
    (tmp_path / "classes.csv").write_text("name,r,g,b\nroad,128,64,128\npath,128,64,128\n")
    with pytest.raises(DataError, match=r"the colour \(128, 64, 128\) stands for road and for path") as caught:
        open_data(str(tmp_path), "all")
    assert caught.value.where == str(tmp_path / "classes.csv")


def test_a_folder_with_images_alone_says_that_masks_lack(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "a.png", 2)
    with pytest.raises(DataError, match="is in no known layout") as caught:
        open_data(str(tmp_path), "val")
    lines = str(caught.value.where).splitlines()
    assert lines[:2] == [
        "what was considered:",
        "folder: has images/, but no masks/ or labels/ or annotations/ or ann_dir/ or gt/ or SegmentationClass/",
    ]
    assert all(any(line.startswith(f"{name} needs ") for line in lines) for name in ("voc2012", "yaml", "list"))
    with pytest.raises(DataError, match="is no folder of images and masks"):
        open_data(f"folder:{tmp_path}", "val")


def test_a_name_that_two_folders_have_takes_its_folder_too(tmp_path: Path) -> None:
    for place in ("a/001", "b/001", "b/002"):
        put_picture(tmp_path / "images" / f"{place}.png", 2)
        put_ids(tmp_path / "masks" / f"{place}.png", [0, 1])
    put_lists(tmp_path, ".", train="002\n001.png\n", val="a/001\nimages/b/001.png\n")
    with pytest.raises(DataError, match=r"line 2 of train\.txt, 001\.png, names both a/001 and b/001") as caught:
        open_data(str(tmp_path), "train")
    assert caught.value.hint == "write the folder too: a/001"
    put_lists(tmp_path, ".", train="002\n")
    assert [pair.key for pair in open_data(str(tmp_path), "val").pairs] == ["a/001", "b/001"]


@pytest.mark.parametrize("folder", [".", "splits"])
def test_two_lists_of_one_split_are_refused(tmp_path: Path, folder: str) -> None:
    put_tree(tmp_path, [0, 1], [0, 0])
    put_lists(tmp_path, folder, train="p0\n", val="p1\n", validation="p0\n")
    with pytest.raises(DataError, match=r"val\.txt and validation\.txt are both of val"):
        open_data(str(tmp_path), "val")


def test_folders_that_are_links_belong_to_the_data(tmp_path: Path) -> None:
    root = put_tree(tmp_path / "data", [0, 1])
    for folder in ("images", "masks"):
        (tmp_path / "disk" / folder).mkdir(parents=True)
        (root / folder / "p0.png").rename(tmp_path / "disk" / folder / "p0.png")
        (root / folder / "more").symlink_to(tmp_path / "disk" / folder)
    assert targets(open_data(str(root), "all")) == {"more/p0": [0, 1]}


def test_pictures_and_masks_of_a_split_may_call_it_differently(tmp_path: Path) -> None:
    for split, theirs in (("train", "train"), ("val", "validation")):
        put_picture(tmp_path / "images" / split / "a.jpg", 2)
        put_ids(tmp_path / "masks" / theirs / "a.png", [0, 1])
    assert targets(open_data(str(tmp_path), "val")) == {"a": [0, 1]}


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    put_picture(put_tree(tmp_path, [0, 1]) / "images" / "p0.jpg", 2)
    with pytest.raises(DataError, match=r"p0\.jpg and p0\.png have one name, so one mask and one prediction") as caught:
        open_data(str(tmp_path), "all")
    assert "--image-suffix .png" in str(caught.value.hint)
    assert len(open_data(str(tmp_path), "all", Bending(image_suffix=".jpg"))) == 1


def test_the_ending_of_a_mask_may_be_written_in_capitals(tmp_path: Path) -> None:
    root = put_tree(tmp_path, [0, 1])
    (root / "masks" / "p0.png").rename(root / "masks" / "p0.PNG")
    assert targets(open_data(str(root), "all")) == {"p0": [0, 1]}
    (root / "masks" / "p0.PNG").rename(root / "masks" / "p0_L.PNG")
    assert targets(open_data(str(root), "all", Bending(mask_suffix="_L.png"))) == {"p0": [0, 1]}
    (root / "masks" / "p0_L.PNG").rename(root / "masks" / "p0.PNG")
    (root / "list.txt").write_text("images/p0.png\n")
    (root / "data.yaml").write_text("train: list.txt\nmasks: masks\n")
    assert targets(open_data(str(root / "data.yaml"), "train")) == {"images/p0": [0, 1]}
