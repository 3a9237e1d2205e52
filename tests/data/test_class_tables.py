"""The files that name classes, and what is said of those that cannot be understood."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from segformer_cli.data.bending import Bending
from segformer_cli.data.class_tables import read_class_table
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.errors import DataError, UsageError
from tests.data.own_data import put_tree, targets


def test_pixel_values_of_roboflow_are_the_ids(tmp_path: Path) -> None:
    put_tree(tmp_path, [0, 7, 3])
    (tmp_path / "_classes.csv").write_text("Pixel Value, Class\n0, background\n7, road\n3, sky\n")
    split = open_data(str(tmp_path), "all")
    assert (split.class_names, targets(split)) == (("background", "road", "sky"), {"p0": [0, 1, 2]})


def test_the_hub_s_id2label_names_the_ids(tmp_path: Path) -> None:
    put_tree(tmp_path, [0, 2, 10])
    (tmp_path / "id2label.json").write_text('{"0": "flat", "10": "car", "2": "sky"}')
    split = open_data(str(tmp_path), "all")
    assert (split.class_names, targets(split)) == (("flat", "sky", "car"), {"p0": [0, 1, 2]})


@pytest.mark.parametrize("name", ["classes.txt", "labels.txt"])
def test_names_alone_stand_in_the_order_of_the_ids(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("\ufeffStraße\n\n# a note\nsky \n", encoding="utf-8")
    table = read_class_table(tmp_path)
    assert table is not None and (table.names, table.ids, table.colours) == (("Straße", "sky"), None, None)
    assert read_class_table(tmp_path, colours=True) is None


def test_a_labelmap_without_colours_names_the_ids(tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text("background:::\nroad:::\n")
    table = read_class_table(tmp_path)
    assert table is not None and (table.names, table.colours) == (("background", "road"), None)


@pytest.mark.parametrize(
    ("name", "text", "words", "hint"),
    [
        ("classes.csv", "road,1,2,3\n", "classes.csv has no column of names in its header 'road,1,2,3'", "name,r,g,b"),
        ("classes.csv", "name,r,g,b\nroad,1,2\n", "classes.csv, line 2, cannot be understood", "4 columns"),
        ("classes.csv", "name,r,g,b\nroad,1,2,300\n", "line 2, cannot be understood: '1,2,300'", "0 to 255"),
        ("classes.csv", "id,name\nx,road\n", "line 2, cannot be understood: 'x'", "a number from 0 to 65535"),
        ("classes.csv", "id,name\n70000,road\n", "line 2, cannot be understood: '70000'", "from 0 to 65535"),
        ("classes.csv", "id,name\n²,road\n", "line 2, cannot be understood: '²'", "from 0 to 65535"),
        ("classes.csv", "name,r,g,b\nroad,1,2,²\n", "line 2, cannot be understood: '1,2,²'", "0 to 255"),
        ("classes.txt", "ignore\nroad\n", "classes.txt names one class, and ignore, which is ignored", "background"),
        ("classes.csv", "id,name\n1,road\n1,sky\n", "gives the id 1 in line 2 and in line 3", "None"),
        ("classes.csv", "name,r,g,b\nvoid,0,0,0\n", "names no class but void", "None"),
        ("label_colors.txt", "road 1 2 3\n", "label_colors.txt, line 1, cannot be understood", "red, green, blue"),
        ("labelmap.txt", "road 1,2,3\n", "labelmap.txt, line 1, cannot be understood", "name:red,green,blue"),
        ("labelmap.txt", "road:1,2,3::\nsky:::\n", "line 2, cannot be understood: 'sky'", "this one none"),
        ("id2label.json", "[1, 2]", "id2label.json cannot be understood", "name of id 0"),
        ("id2label.json", '{"a": "b"}', "id2label.json, line 1, cannot be understood: 'a'", "from 0 to 65535"),
        ("id2label.json", "[" * 100_000, "id2label.json cannot be understood", "name of id 0"),
        ("classes.txt", "\n", "classes.txt names no class", "one name a line"),
        ("labels.txt", "sky\nSky\n", "labels.txt names 'Sky' in line 1 and in line 2", "differently"),
    ],
)
def test_what_cannot_be_understood_is_told_with_its_line(
    tmp_path: Path, name: str, text: str, words: str, hint: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        read_class_table(tmp_path)
    assert hint in str(caught.value.hint)
    assert caught.value.where == str(tmp_path / name)


@pytest.mark.parametrize("void", ["255,void", "-1,unlabeled", "9,Ignored"])
def test_void_is_no_class_with_or_without_colours(tmp_path: Path, void: str) -> None:
    put_tree(tmp_path, [0, 7, 9 if void[0] == "9" else 255])
    (tmp_path / "classes.csv").write_text(f"id,name\n{void}\n0,road\n7,sky\n")
    split = open_data(str(tmp_path), "all")
    assert (split.class_names, targets(split)) == (("road", "sky"), {"p0": [0, 1, 255]})


def test_an_id_below_0_on_the_hub_is_ignored(tmp_path: Path) -> None:
    put_tree(tmp_path, [0, 1, 255])
    (tmp_path / "id2label.json").write_text('{"-1": "nothing", "0": "road", "1": "sky"}')
    split = open_data(str(tmp_path), "all")
    assert (split.class_names, targets(split)) == (("road", "sky"), {"p0": [0, 1, 255]})


def test_the_first_line_may_be_void_and_reduce_zero_then_has_nothing_to_drop(tmp_path: Path) -> None:
    put_tree(tmp_path, [0, 1, 2])
    (tmp_path / "classes.txt").write_text("Unlabelled\nroad\nsky\n")
    split = open_data(str(tmp_path), "all")
    assert (split.class_names, targets(split)) == (("road", "sky"), {"p0": [255, 0, 1]})
    with pytest.raises(UsageError, match=r"--reduce-zero drops the id 0, and classes\.txt names it 'void'"):
        open_data(str(tmp_path), "all", Bending(reduce_zero=True))
