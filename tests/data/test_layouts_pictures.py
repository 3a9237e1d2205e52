"""Folders of pictures without labels, where labels can be done without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.layouts.pictures import open_pictures
from segformer_cli.errors import DataError, UsageError
from tests.tiny_data import THINGS, write_lot


def put(root: Path, *names: str) -> str:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path)
    return str(root)


def test_all_pictures_below_a_folder_are_a_split_with_the_classes_of_the_network(tmp_path: Path) -> None:
    split = open_pictures(put(tmp_path / "walk", "b.png", "a/c.jpg", "a/c.png"), "val", THINGS)
    assert [(pair.key, pair.mask) for pair in split.pairs] == [("a/c.jpg", None), ("a/c.png", None), ("b.png", None)]
    assert (split.name, split.data, split.labelled) == ("all", "walk", False)
    assert (split.class_names, len(split.palette), split.ignore_index) == (THINGS, 5, 255)


def test_a_network_of_more_than_255_classes_ignores_65535(tmp_path: Path) -> None:
    split = open_pictures(put(tmp_path, "a.png"), "val", [f"class {index}" for index in range(300)])
    assert split.ignore_index == 65535 and len(split.ids) == 65536


def test_a_suffix_chooses_among_the_pictures(tmp_path: Path) -> None:
    data = put(tmp_path, "a_rgb.png", "a_depth.png")
    split = open_pictures(data, "val", THINGS, Bending(image_suffix="_rgb.png"))
    assert [pair.key for pair in split.pairs] == ["a_rgb.png"]


def test_a_data_set_is_opened_as_one(tmp_path: Path) -> None:
    data = str(write_lot(tmp_path / "lot"))
    split = open_pictures(data, "val", ["other"])
    assert split.labelled and split.class_names == THINGS
    assert split.pairs == open_data(data, "val").pairs


def test_a_data_set_without_the_split_is_not_taken_for_a_folder_of_pictures(tmp_path: Path) -> None:
    data = str(write_lot(tmp_path / "lot"))
    with pytest.raises(DataError, match="has no split 'test'"):
        open_pictures(data, "test", THINGS)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("nowhere", DataError, "there is no folder nowhere"),
        ("cityscape:x", UsageError, "there is no layout 'cityscape'"),
        (".", DataError, "is in no known layout"),
    ],
)
def test_what_holds_no_pictures_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, error: type[Exception], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(error, match=message):
        open_pictures(data, "val", THINGS)
