"""Data sets that a .yaml describes."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest

from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.description import DOCS
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.errors import DataError, UsageError
from tests.data.own_data import put_colours, put_ids, put_picture, targets

TREE = "train: images/train\nval: images/val\n"


def put_data(root: Path, masks: str = "masks", row: tuple[int, ...] = (0, 1, 255)) -> Path:
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        put_picture(root / "images" / split / f"{name}.jpg", len(row))
        put_ids(root / masks / split / f"{name}.png", row)
    return root


def put_yaml(file: Path, text: str) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return str(file)


ULTRALYTICS = """\
# Cityscapes for `yolo semantic train`
path: cityscapes8 # dataset root dir
train: images/train
val: images/val
test: # optional
masks_dir: masks

names:
  0: road
  1: sidewalk

label_mapping:
  -1: ignore_label
  0: ignore_label
  7: 0
  8: 1

download: |
  import os
"""


def test_a_file_of_ultralytics_is_read_as_it_is(tmp_path: Path) -> None:
    put_data(tmp_path / "cityscapes8", row=(0, 7, 8, 255))
    data = put_yaml(tmp_path / "cityscapes8.yaml", ULTRALYTICS)
    assert layout_name(data) == "yaml"
    split = open_data(data, "train")
    assert (split.data, split.class_names) == ("cityscapes8", ("road", "sidewalk"))
    assert targets(split) == {"a": [255, 0, 1, 255], "b": [255, 0, 1, 255]}
    with pytest.raises(DataError, match="has no split 'test'"):
        open_data(data, "test")


def test_an_id_that_label_mapping_does_not_speak_of_is_no_class(tmp_path: Path) -> None:
    put_data(tmp_path / "cityscapes8", row=(0, 1, 7))
    data = put_yaml(tmp_path / "cityscapes8.yaml", ULTRALYTICS)
    with pytest.raises(DataError, match=r"a\.png holds the id 1 "):
        targets(open_data(data, "train"))


PATHS = ["", "path: .", "path: ../here", "path: here", "path: elsewhere/../here", "path: {root}"]


@pytest.mark.parametrize("path", PATHS)
def test_the_path_is_found_from_the_file_its_folder_or_the_root(tmp_path: Path, path: str) -> None:
    root = put_data(tmp_path / "here")
    data = put_yaml(root / "data.yaml", f"{path.format(root=root)}\n{TREE}names: [road, sky]\n")
    if "elsewhere" in path:
        (tmp_path / "elsewhere").mkdir()
    assert targets(open_data(data, "val")) == {"c": [0, 1, 255]}
    assert layout_name(str(root)) == "yaml"
    assert open_data(str(root), "val").class_names == ("road", "sky")
    assert open_data(str(root), "val").data == "here"


def test_paths_of_roboflow_that_begin_above_are_taken_below(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        put_picture(tmp_path / split / "images" / "a.jpg", 2)
        put_ids(tmp_path / split / "masks" / "a.png", [0, 1])
    data = put_yaml(tmp_path / "data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['a', 'b']\n"
                                            "roboflow:\n  workspace: mine\n  version: 2\n")
    assert targets(open_data(data, "val")) == {"a": [0, 1]}


def test_several_folders_make_a_split_and_keys_tell_them_apart(tmp_path: Path) -> None:
    put_data(tmp_path)
    data = put_yaml(tmp_path / "data.yaml", "train: [images/train, images/val]\nval: images/val\nmasks: masks\n")
    assert list(targets(open_data(data, "train"))) == ["images/train/a", "images/train/b", "images/val/c"]


def test_a_list_of_pictures_finds_its_masks_and_a_list_of_pairs_names_them(tmp_path: Path) -> None:
    put_data(tmp_path)
    (tmp_path / "train.txt").write_text("./images/train/b.jpg\n./images/val/c.jpg\n")
    (tmp_path / "val.txt").write_text("images/train/a.jpg masks/train/b.png\n")
    data = put_yaml(tmp_path / "data.yaml", "train: train.txt\nval: val.txt\nmasks: masks\n")
    assert list(targets(open_data(data, "train"))) == ["images/train/b", "images/val/c"]
    assert targets(open_data(data, "val")) == {"images/train/a": [0, 1, 255]}
    (tmp_path / "masks" / "val" / "c.png").unlink()
    with pytest.raises(DataError, match=r"no mask found for c\.jpg"):
        open_data(data, "train")


def test_a_list_may_begin_in_its_own_folder_which_the_data_s_is_not(tmp_path: Path) -> None:
    put_data(tmp_path / "lists")
    (tmp_path / "lists" / "train.txt").write_text("images/train/a.jpg\n")
    data = put_yaml(tmp_path / "data.yaml", "train: lists/train.txt\nnames: [road, sky]\n")
    assert targets(open_data(data, "train")) == {"images/train/a": [0, 1, 255]}


OURS = """\
path: data
images: photos
masks: targets/fine
image_suffix: _rgb.jpg
mask_suffix: _ids.png
train: photos/2020
val: photos/2021
names: [road, no, "yes"]
palette: [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
map: {204: 1, 9: no, 12: ignore}
reduce_zero: true
ignore: [3]
"""


def put_ours(root: Path) -> str:
    for year in ("2020", "2021"):
        put_picture(root / "data/photos" / year / "a_rgb.jpg", 7)
        put_picture(root / "data/photos" / year / "a_depth.jpg", 7)
        put_ids(root / "data/targets/fine" / year / "a_ids.png", [0, 1, 2, 3, 204, 9, 12])
    return put_yaml(root / "mine.yml", OURS)


def test_our_own_keys_say_the_rest(tmp_path: Path) -> None:
    split = open_data(put_ours(tmp_path), "val")
    assert split.class_names == ("road", "no", "yes")
    assert split.palette == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert targets(split) == {"a": [255, 0, 1, 255, 1, 1, 255]}
    others = {"test", "masks_dir", "label_mapping", "bands"}
    assert {line.partition(":")[0] for line in OURS.splitlines()} == {*DOCS} - others


def test_the_command_line_stands_over_the_file(tmp_path: Path) -> None:
    split = open_data(put_ours(tmp_path), "val", Bending(map=("204=yes", "3=2")))
    assert targets(split) == {"a": [255, 0, 1, 2, 2, 1, 255]}


def test_without_splits_all_pictures_are_divided(tmp_path: Path) -> None:
    put_data(tmp_path)
    data = put_yaml(tmp_path / "data.yaml", "images: images\nmasks: masks\n")
    assert len(open_data(data, "all")) == 3
    assert "chosen by a hash" in str(open_data(data, "val").note)


@pytest.mark.parametrize("masks", ["masks", "annotations"])
def test_masks_that_are_not_named_are_found_under_their_usual_names(tmp_path: Path, masks: str) -> None:
    data = put_yaml(put_data(tmp_path, masks) / "data.yaml", TREE)
    assert open_data(data, "val").class_names == ("class_0", "class_1")


def test_a_palette_reads_masks_in_colours(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "a.jpg", 2)
    put_colours(tmp_path / "masks" / "a.png", [(4, 5, 6), (1, 2, 3)])
    data = put_yaml(tmp_path / "x.yaml", "images: images\nnames: [road, sky]\npalette: [[1, 2, 3], [4, 5, 6]]\n")
    assert targets(open_data(data, "all")) == {"a": [1, 0]}


def test_a_file_may_describe_a_zip_or_lie_in_it(tmp_path: Path) -> None:
    root = put_data(tmp_path / "data")
    put_yaml(root / "data.yaml", f"{TREE}names: [road, sky]\n")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(root).as_posix())
    outside = put_yaml(tmp_path / "mine.yaml", f"path: data.zip\n{TREE}names: [road, sky]\n")
    for data in (outside, str(tmp_path / "data.zip")):
        assert layout_name(data) == "yaml"
        assert targets(pickle.loads(pickle.dumps(open_data(data, "val")))) == {"c": [0, 1, 255]}


def put_labels(root: Path, **lines: str) -> Path:
    """Pictures of 10 x 8 pixels with a label file each, and one without."""
    for name in (*lines, "empty"):
        put_picture(root / "images" / "train" / f"{name}.jpg", 10)
    for name, text in lines.items():
        (root / "labels" / "train").mkdir(parents=True, exist_ok=True)
        (root / "labels" / "train" / f"{name}.txt").write_text(text)
    return root


LEFT = "0.0 0 0.45 0 0.45 1 0.0 1"
MIDDLE = "0.2 0 0.35 0 0.35 1 0.2 1"


@pytest.mark.parametrize("lines", [f"0 {LEFT}\n1 {MIDDLE}\n", f"1 {MIDDLE}\n\n0 {LEFT}\n"])
def test_polygons_are_drawn_smaller_on_top_and_the_background_is_the_last_class(tmp_path: Path, lines: str) -> None:
    put_labels(tmp_path, a=lines)
    data = put_yaml(tmp_path / "data.yaml", "train: images/train\nval: images/train\nnames: [car, door]\n")
    split = pickle.loads(pickle.dumps(open_data(data, "train")))
    assert split.class_names == ("car", "door", "background")
    assert targets(split) == {"a": [0, 0, 1, 1, 0, 2, 2, 2, 2, 2], "empty": [2] * 10}


def test_polygons_of_one_class_are_1_on_a_background_of_0(tmp_path: Path) -> None:
    put_labels(tmp_path, a=f"0 {LEFT}\n")
    data = put_yaml(tmp_path / "data.yaml", "train: images/train\nval: images/train\nnc: 1\nnames: {0: car}\n")
    split = open_data(data, "train")
    assert split.class_names == ("background", "car")
    assert targets(split)["a"] == [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("line", "words", "hint"),
    [
        ("0 0.5 0.5 0.2 0.2", "line 1 of a.txt is a box, no polygon", "labels made for segmentation"),
        ("0 0.5 0.5 0.2", "line 1 of a.txt is no polygon", "class x1 y1"),
        ("car 0 0 1 0 1 1", "line 1 of a.txt is no polygon", "class x1 y1"),
        ("2 0 0 1 0 1 1", "line 1 of a.txt is of class 2", "2 classes, counted from 0"),
        ("0 0 0 20 0 20 30", "line 1 of a.txt leaves the picture", "shares of the width"),
    ],
)
def test_a_line_that_is_no_polygon_is_told(tmp_path: Path, line: str, words: str, hint: str) -> None:
    put_labels(tmp_path, a=line)
    data = put_yaml(tmp_path / "data.yaml", "train: images/train\nnames: [car, door]\n")
    with pytest.raises(DataError, match=words) as caught:
        targets(open_data(data, "train"))
    assert hint in str(caught.value.hint)


def test_a_split_without_any_label_file_is_refused(tmp_path: Path) -> None:
    put_labels(tmp_path, a=f"0 {LEFT}\n")
    put_picture(tmp_path / "images" / "val" / "b.jpg", 10)
    data = put_yaml(tmp_path / "data.yaml", f"{TREE}names: [car, door]\n")
    with pytest.raises(DataError, match="no picture of val has a label file"):
        open_data(data, "val")


@pytest.mark.parametrize(
    ("text", "words", "where", "hint"),
    [
        ("trian: images/train\n", "there is no key 'trian'", "line 1", "did you mean train?"),
        ("train: images/train\nname: [a]\n", "there is no key 'name'", "line 2", "did you mean names?"),
        ("train: images/train\n\tval: images/val\n", "is not YAML: found character '\\\\t'", "line 2", "not tabs"),
        ("names: !!python/object/apply:os.system [echo]\n", "the tag .*object/apply:os.system", "line 1", "no obj"),
        ("names: !mine [echo]\n", "the tag !mine is not read here", "line 1", ""),
        ("names: &a [x]\nval: *a\n", "aliases are not read here", "line 2", ""),
        ("train: a\ntrain: b\n", "train is given twice", "line 2; first in line 1", ""),
        ("just words\n", "data.yaml holds no keys", "data.yaml", "key: value"),
        ("", "data.yaml holds no keys", "data.yaml", "key: value"),
        ("train: [a\n", "is not YAML", "line 2", "space after the colon"),
        (f"{TREE}path: ../gone\n", "path names ../gone, which is not there", "line 3", "beside the file"),
        ("train: images/gone\n", "train names images/gone, which is not there", "line 1", "`path:`"),
        (f"{TREE}names: road\n", "names is 'road'", "line 3", "a list"),
        (f"{TREE}names: {{1: road, 2: sky}}\n", "names has the ids 1, 2", "line 3", "count the classes from 0"),
        (f"{TREE}names: [road, road]\n", "names holds 'road' twice", "line 3", "differently"),
        (f"{TREE}names: [road, sky]\npalette: [[1, 2, 3]]\n", "palette has not a colour for each of 2", "line 4", ""),
        (f"{TREE}names: [a]\npalette: [[1, 2, 300]]\n", "palette holds .* which is no colour", "line 4", ""),
        (f"{TREE}reduce_zero: maybe\n", "reduce_zero is 'maybe'", "line 3", "true or false"),
        (f"{TREE}map: [1, 2]\n", "map is no table", "line 3", "{204: 1"),
        (f"{TREE}map: {{road: 1}}\n", "'road' is no id of a mask", "data.yaml", "numbers"),
        (f"{TREE}map: {{²: 1}}\n", "'²' is no id of a mask", "data.yaml", "0 to 65535"),
        (f"{TREE}ignore: 70000\n", "'70000' is no id of a mask", "data.yaml", "0 to 65535"),
        (f"{TREE}names: [a]\npalette: [[1, 2, ²]]\n", "palette holds .* which is no colour", "line 4", ""),
        (f"{TREE}bands: [²]\n", "bands holds ²", "line 3", "counted from 1"),
        ("train: " + "[" * 2000, "data.yaml is not YAML", "data.yaml", ""),
        (f"{TREE}label_mapping: {{7: 0}}\n", "label_mapping needs the names", "line 3", "add names"),
        (f"{TREE}masks: masks\nmasks_dir: other\n", "masks_dir and masks differ", "line 4", "leave one out"),
        (f"{TREE}images: photos\n", "has no part called photos", "data.yaml", "images: photos"),
        ("train: {a: b}\n", "train is no text or list of texts", "line 1", "a folder"),
    ],
)
def test_what_is_wrong_in_the_file_is_one_clear_error(
    tmp_path: Path, text: str, words: str, where: str, hint: str
) -> None:
    data = put_yaml(put_data(tmp_path) / "data.yaml", text)
    with pytest.raises(DataError, match=words) as caught:
        open_data(data, "train")
    assert where in str(caught.value.where)
    assert hint in str(caught.value.hint)


def test_no_tag_runs_code(tmp_path: Path) -> None:
    made = tmp_path / "made"
    data = put_yaml(put_data(tmp_path) / "data.yaml", f"names: !!python/object/apply:os.mkdir ['{made}']\n")
    with pytest.raises(DataError, match="is not read here"):
        open_data(data, "train")
    assert not made.exists()


@pytest.mark.parametrize("ignored", ["65535", "-1"])
def test_of_more_than_255_classes_255_is_one_of_them(tmp_path: Path, ignored: str) -> None:
    names = ", ".join(f"c{index}" for index in range(300))
    put_data(tmp_path, row=(254, 255, 299, 65535))
    data = put_yaml(tmp_path / "data.yaml", f"{TREE}names: [{names}]\n"
                                            f"label_mapping: {{254: 254, 255: 255, 299: 299, -1: {ignored}}}\n")
    assert targets(open_data(data, "val")) == {"c": [254, 255, 299, 65535]}


def test_a_class_that_the_names_lack_is_an_error_of_usage(tmp_path: Path) -> None:
    data = put_yaml(put_data(tmp_path) / "data.yaml", f"{TREE}names: [road, sky]\nmap: {{7: 5}}\n")
    with pytest.raises(UsageError, match="has no class 5"):
        open_data(data, "train")
