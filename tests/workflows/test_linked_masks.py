"""Masks linked into the variants of a data set, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from segformer_cli.data.layouts.detect import open_data
from segformer_cli.robustness.protocols import Cell
from segformer_cli.workflows.linked_masks import linked
from tests.data.own_data import put_ids, put_picture, put_tree

CELL = Cell("fog", 1)


def put_lists(root: Path, mask: str) -> Path:
    """data/train.txt with one pair, whose mask is named so."""
    put_picture(root / "data" / "images" / "a.png")
    (root / "data" / "train.txt").write_text(f"images/a.png {mask}\n")
    return root / "data" / "train.txt"


def test_masks_and_the_lists_beside_them_are_linked(tmp_path: Path) -> None:
    put_tree(tmp_path / "data", [0, 1], [0, 0])
    for split in ("train", "val"):
        (tmp_path / "data" / f"{split}.txt").write_text("p0\n")
    assert list(linked(open_data(str(tmp_path / "data"), "train"), tmp_path / "out", [CELL])) == []
    lying = sorted(path.name for path in (tmp_path / "out" / "fog" / "1").iterdir())
    assert lying == ["masks", "train.txt", "val.txt"]
    assert (tmp_path / "out" / "fog" / "1" / "masks" / "p1.png").is_file()


@pytest.mark.parametrize("whole", [True, False])
def test_masks_outside_of_the_data_are_not_linked_and_it_is_said(tmp_path: Path, whole: bool) -> None:
    mask = put_ids(tmp_path / "elsewhere" / "a.png", [0, 1, 1, 0])
    file = put_lists(tmp_path, str(mask) if whole else "../elsewhere/a.png")
    (note,) = linked(open_data(str(file), "train"), tmp_path / "out", [CELL])
    assert "lies outside of" in note
    assert not (tmp_path / "out").exists()


def test_masks_in_several_folders_are_all_linked_by_a_relative_path_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = put_lists(tmp_path, "one/a.png")
    for name, mask in (("a", "one/a.png"), ("b", "two/b.png")):
        put_picture(tmp_path / "data" / "images" / f"{name}.png")
        put_ids(tmp_path / "data" / mask, [0, 1, 1, 0])
    file.write_text("images/a.png one/a.png\nimages/b.png two/b.png\n")
    assert list(linked(open_data("data/train.txt", "train"), Path("out"), [CELL])) == []
    assert sorted(path.name for path in Path("out/fog/1").iterdir()) == ["one", "train.txt", "two"]


def test_a_link_that_leads_nowhere_is_made_anew(tmp_path: Path) -> None:
    split = open_data(str(put_tree(tmp_path / "data", [0, 1])), "all")
    link = tmp_path / "out" / "fog" / "1" / "masks"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "gone")
    assert list(linked(split, tmp_path / "out", [CELL])) == []
    assert (link / "p0.png").is_file()


def test_a_variant_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    split = open_data(str(put_tree(tmp_path / "data", [0, 1])), "all")
    (tmp_path / "out").write_text("a file, no folder")
    (note,) = linked(split, tmp_path / "out", [CELL])
    assert note.startswith("masks are not linked: ") and note.endswith("copy masks into every variant")
