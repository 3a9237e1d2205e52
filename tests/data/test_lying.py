"""What lies beside pictures and masks without belonging to them."""

from __future__ import annotations

from pathlib import Path

from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.lying import masks_alone
from tests.data.own_data import put_ids, put_picture


def alone(root: Path) -> list[str]:
    return [fault.file.name for fault in masks_alone(tuple(open_data(str(root), "all").pairs))]


def test_a_mask_is_not_that_of_a_picture_whose_name_only_begins_so(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "10.png")
    for name in ("10", "1"):
        put_ids(tmp_path / "masks" / f"{name}.png", [0, 1, 1, 0])
    assert alone(tmp_path) == ["1.png"]


def test_a_mask_of_a_picture_that_is_not_read_is_not_alone(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "a.JPG")
    (tmp_path / "images" / "b.gif").write_bytes(b"")
    for name in "ab":
        put_ids(tmp_path / "masks" / f"{name}.png", [0, 1, 1, 0])
    assert alone(tmp_path) == []
