"""Areas of classes as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from segformer_cli.errors import SegFormerError, UsageError
from segformer_cli.outputs.areas import areas, write_areas
from segformer_cli.outputs.ground import Ground

MASK = np.array([[0, 2, 2, 255]], np.uint8)
NAMES = ["road", "car", "sky, blue"]
HALF_A_METRE = Ground((0.5, 0, 0, 0, -0.5, 0), metres=1)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_a_row_for_each_class_and_one_for_what_is_ignored(tmp_path: Path) -> None:
    path = write_areas(tmp_path / "areas.csv", areas("a/b.jpg", MASK, NAMES, 255, HALF_A_METRE))
    assert rows(path) == [
        ["picture", "id", "name", "pixels", "share", "square_metres"],
        ["a/b.jpg", "0", "road", "1", "0.25", "0.25"],
        ["a/b.jpg", "2", "sky, blue", "2", "0.5", "0.5"],
        ["a/b.jpg", "255", "ignored", "1", "0.25", "0.25"],
    ]


def test_off_any_map_the_last_column_is_empty(tmp_path: Path) -> None:
    path = write_areas(tmp_path / "areas.csv", areas("a.jpg", MASK, NAMES, 255))
    assert {row[-1] for row in rows(path)[1:]} == {""}


def test_a_job_that_goes_on_adds_its_pictures_and_replaces_those_done_again(tmp_path: Path) -> None:
    path = tmp_path / "areas.csv"
    for picture, mask in (("a", MASK), ("b", MASK), ("a", MASK[:, :1])):
        write_areas(path, areas(picture, mask, NAMES, 255), add=True)
    assert [row[:4] for row in rows(path)[1:]] == [
        ["b", "0", "road", "1"], ["b", "2", "sky, blue", "2"], ["b", "255", "ignored", "1"], ["a", "0", "road", "1"],
    ]


def test_what_exists_is_neither_replaced_unasked_nor_mixed_with_another_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "areas.csv"
    path.write_text("picture;id\n", encoding="utf-8")
    with pytest.raises(SegFormerError, match="exists already"):
        write_areas(path, [])
    with pytest.raises(SegFormerError, match="a file of areas with"):
        write_areas(path, [], add=True)
    assert path.read_text(encoding="utf-8") == "picture;id\n"
    write_areas(path, [], force=True)
    assert len(rows(path)) == 1


def test_a_class_without_a_name_is_refused() -> None:
    with pytest.raises(UsageError, match="the mask holds class 2"):
        areas("a", MASK, NAMES[:2], 255)
